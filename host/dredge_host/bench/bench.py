# SPDX-License-Identifier: BSD-2-Clause
"""The benchmark: stages, frames of a live stream, the end of a gap, several streams."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TypeVar

from dredge_host.bench.clock import Disturbance, back_to_back, paced
from dredge_host.bench.compare import SCHEMA
from dredge_host.bench.documents import BenchResult, BurstRow, Context, RedundancyRow, Sections, StageRow, StreamsRow
from dredge_host.bench.receiver import PERIODS_PER_S, STREAMS, burst, datagrams, live, streams
from dredge_host.bench.sender import LENGTHS_S, ratio, redundancy_cost
from dredge_host.bench.stages import Stage, stages
from dredge_host.errors import UsageError
from dredge_host.sending.audio import Pcm

SECTIONS = ("stages", "live", "burst", "redundancy", "streams")


@dataclass(frozen=True)
class Effort:
    """The amount of measurements.

    Calls per stage in each mode, paced frames of a live stream, gaps, packets per redundancy length, periods per number
    of streams, most streams.
    """

    throughput: int = 1000
    paced: int = 200
    live: int = 1000
    bursts: int = 20
    redundancy: int = 300
    periods: int = 100
    streams: int = STREAMS[-1]


QUICK = Effort(throughput=50, paced=8, live=50, bursts=2, redundancy=50, periods=10, streams=2)

Progress = Callable[[int, int], None]
Item = TypeVar("Item")


def bench(
    pcm: Pcm, effort: Effort | None = None, progress: Progress | None = None, only: Collection[str] = SECTIONS
) -> BenchResult:
    """Measure on int16[n >= 3 s] of speech; times are microseconds of CPU of the calling thread.

    throughput: calls back to back, caches warm; paced: one call per 20 ms, after a walk through more
    memory than the caches hold, as in a live call. only: sections to run; UsageError for others.
    """
    effort, disturb = effort or Effort(), _disturbance()
    chosen = _chosen(only)
    steps = _Steps(progress)
    work: dict[str, Callable[[], Sections]] = {
        "stages": lambda: {"stages": [measure(stage, effort, disturb) for stage in steps.over(stages(pcm))]},
        "live": lambda: {"live": live(datagrams(pcm, PERIODS_PER_S + effort.live), disturb)},
        "burst": lambda: {"burst": bursts(pcm, effort.bursts, disturb)},
        "redundancy": lambda: redundancy(pcm, effort, steps),
        "streams": lambda: {"streams": several(pcm, effort)},
    }
    result: BenchResult = {"schema": SCHEMA, **_context(), "disturbance_bytes": disturb.size_bytes}
    steps.total = len(chosen)
    for name in chosen:
        result |= work[name]()
        steps.one()
    return result


def measure(stage: Stage, effort: Effort, disturb: Disturbance | None = None) -> StageRow:
    """Return the times of one stage in both modes, after a warm-up."""
    back_to_back(stage.call, min(10, effort.throughput), stage.prepare)
    fast = back_to_back(stage.call, effort.throughput, stage.prepare).as_dict()["cpu_us"]
    slow = paced(stage.call, effort.paced, stage.prepare, disturb).as_dict()
    return {
        "stage": stage.name,
        "side": stage.side,
        "covers_ms": stage.covers_ms,
        "throughput_us": fast,
        "paced_us": slow["cpu_us"],
        "paced_wall_us": slow["wall_us"],
        "times_real_time": round(1000 * stage.covers_ms / max(fast["p50"], 1e-3), 1),
    }


def bursts(pcm: Pcm, repeats: int, disturb: Disturbance) -> dict[str, BurstRow]:
    """Return the times at the end of a 1 s gap, with warm and with cold caches."""
    return {"warm": burst(pcm, repeats), "cold": burst(pcm, repeats, disturb=disturb)}


def redundancy(pcm: Pcm, effort: Effort, steps: _Steps | None = None) -> Sections:
    """Return the cost by length of the history: of the sender, and of a gap as long as it."""
    costs = redundancy_cost(pcm, effort.redundancy)
    lengths = list(zip(costs, LENGTHS_S, strict=True))
    rows: list[RedundancyRow] = [
        {**cost, "gap": burst(pcm, max(2, effort.bursts // 4), seconds)}
        for cost, seconds in (steps.over(lengths) if steps else lengths)
    ]
    return {"redundancy": rows, "encoder_cpu": {"ratio": ratio(rows)}}


def several(pcm: Pcm, effort: Effort) -> list[StreamsRow]:
    """Return the cost by number of streams."""
    return streams(datagrams(pcm, PERIODS_PER_S + effort.periods), effort.periods, effort.streams)


class _Steps:
    """Progress in steps of unequal length; sections add their own to the total."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress, self._done, self.total = progress, 0, 0

    def one(self) -> None:
        self._done += 1
        if self._progress:
            self._progress(self._done, max(self.total, self._done))

    def over(self, items: list[Item]) -> Iterator[Item]:
        self.total += len(items)
        for item in items:
            yield item
            self.one()


def _chosen(only: Collection[str]) -> list[str]:
    unknown = [name for name in only if name not in SECTIONS]
    if unknown or not only:
        raise UsageError(f"sections: expected some of {', '.join(SECTIONS)}, got {', '.join(unknown) or 'none'}")
    return [name for name in SECTIONS if name in only]


def _disturbance() -> Disturbance:
    from dredge_device.pi.machine import Machine

    return Disturbance(Machine().cache_bytes(2))


def _context() -> Context:
    from dredge_device.pi.machine import Machine
    from dredge_host.simd import simd_level
    from dredge_kernels.opus import opus_version
    from dredge_models.registry import model_ids
    from dredge_models.tflite.runtime import runtime_name

    return {
        "simd_level": simd_level(),
        "models": model_ids(),
        "libopus": opus_version(),
        "neural_runtime": runtime_name(),
        "machine": Machine().facts(),
    }

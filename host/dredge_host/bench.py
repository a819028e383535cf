# SPDX-License-Identifier: BSD-2-Clause
"""How long every stage takes, back to back and paced like a real stream."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dredge_host.audio import Pcm
from dredge_host.benchstages import Stage, stages
from dredge_host.timing import percentiles

SCHEMA = "dredge.bench/1"
PERIOD_S = 0.02


@dataclass(frozen=True)
class Effort:
    """How much to measure: calls per stage in each mode, packets for the redundancy ratio."""

    throughput: int = 1000
    paced: int = 200
    ratio: int = 500


QUICK = Effort(throughput=50, paced=8, ratio=100)


def bench(pcm: Pcm, effort: Effort | None = None, progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """Measure CPU time (of the calling thread) of every stage on int16[n >= 3 s] of speech.

    throughput: calls back to back, caches warm; paced: one call per 20 ms, as in a real stream,
    where caches are cold and the clock may have dropped. Results are microseconds per call.
    """
    effort = effort or Effort()
    chosen = stages(pcm)
    rows = []
    for index, stage in enumerate(chosen):
        rows.append(measure(stage, effort))
        if progress:
            progress(index + 1, len(chosen) + 1)
    ratio = redundancy_ratio(pcm, effort.ratio)
    if progress:
        progress(len(chosen) + 1, len(chosen) + 1)
    return {"schema": SCHEMA, "stages": rows, "encoder_cpu": ratio, **_context()}


def measure(stage: Stage, effort: Effort) -> dict[str, Any]:
    """One stage in both modes, after a warm-up."""
    for _ in range(min(10, effort.throughput)):
        stage.call()
    back_to_back = [timed(stage.call) for _ in range(effort.throughput)]
    spaced = paced(stage.call, effort.paced)
    fast = percentiles(back_to_back)
    return {
        "stage": stage.name,
        "side": stage.side,
        "covers_ms": stage.covers_ms,
        "throughput_us": fast,
        "paced_us": percentiles(spaced),
        "times_real_time": round(1000 * stage.covers_ms / max(fast["p50"], 1e-3), 1),
    }


def timed(call: Callable[[], object]) -> float:
    """CPU microseconds of one call in this thread."""
    start = time.thread_time_ns()
    call()
    return (time.thread_time_ns() - start) / 1000


def paced(call: Callable[[], object], count: int) -> list[float]:
    """CPU microseconds of calls that start 20 ms apart (absolute deadlines)."""
    times = []
    due = time.monotonic()
    for _ in range(count):
        due += PERIOD_S
        ahead = due - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        else:
            due = time.monotonic()
        times.append(timed(call))
    return times


def redundancy_ratio(pcm: Pcm, count: int, make: Callable[[float], Any] | None = None) -> dict[str, Any]:
    """CPU of the whole sender with 1 s of redundancy against 100 ms, packet by packet in turn.

    Taking turns in one loop lets both see the same disturbances; medians ignore the rest.
    """
    from dredge_host.audio import packets
    from dredge_host.sender import Sender

    make = make or (lambda seconds: Sender(redundancy_s=seconds))
    long, short = make(1.0), make(0.1)
    pieces = list(packets(pcm))
    times: tuple[list[float], list[float]] = ([], [])
    warm = min(60, count)  # one second of history first, so that 1 s is really sent
    for index in range(warm + count):
        piece = pieces[index % len(pieces)]
        pair = [(0, long), (1, short)]
        for which, sender in pair if index % 2 else reversed(pair):
            spent = timed(lambda sender=sender, piece=piece: sender.push(piece))  # type: ignore[misc]
            if index >= warm:
                times[which].append(spent)
    one_second, tenth = percentiles(times[0]), percentiles(times[1])
    return {
        "redundancy_1s_us": one_second,
        "redundancy_100ms_us": tenth,
        "ratio": round(one_second["p50"] / max(tenth["p50"], 1e-3), 4),
    }


def lines(result: dict[str, Any]) -> list[str]:
    """A table for people."""
    from dredge_host.output import table

    rows = [_row(stage) for stage in result["stages"]]
    head = ["stage", "covers", "p50 µs", "p99 µs", "paced p50", "paced p99", "x real time"]
    ratio = result["encoder_cpu"]["ratio"]
    machine = result["machine"]
    return [
        *table(rows, head),
        f"sender CPU with 1 s of redundancy: {ratio:.3f} times that with 100 ms",
        f"{machine['board'] or machine['cpu']}, {result['simd_level']} kernels",
    ]


def _row(stage: dict[str, Any]) -> Sequence[str]:
    fast, slow = stage["throughput_us"], stage["paced_us"]
    return [
        stage["stage"],
        f"{stage['covers_ms']:g} ms",
        *(f"{value:.1f}" for value in (fast["p50"], fast["p99"], slow["p50"], slow["p99"])),
        f"{stage['times_real_time']:.1f}",
    ]


def _context() -> dict[str, Any]:
    from dredge_host.machine import Machine, simd_level
    from dredge_kernels.opus import opus_version
    from dredge_models.registry import model_ids
    from dredge_models.tflite import runtime_name

    return {
        "simd_level": simd_level(),
        "models": model_ids(),
        "libopus": opus_version(),
        "neural_runtime": runtime_name(),
        "machine": Machine().facts(),
    }

# SPDX-License-Identifier: BSD-2-Clause
"""What one run on the virtual board showed, taken from the agent's own report."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from dredge_device.timeline import expand, numbers
from virtual_pi.board import BoardError
from virtual_pi.stream import Stream

CLASSIC = ("conceal", "plc")  # sources of a lost packet that know nothing of what was said


@dataclass(frozen=True)
class Cell:
    """One run: a speed (million instructions per second), a model, a loss."""

    mips: float
    model: str
    loss: str
    playout: str = "fixed:1000"
    cpu: str = "cortex-a53"
    seconds: float = 25.0
    seed: int = 3


def figures(cell: Cell, stream: Stream, said: dict[str, Any]) -> dict[str, Any]:
    """The figures of one run, as plain JSON values. Raises BoardError when the agent's report is missing.

    coverable: lost packets that a later packet describes in time; dred: lost packets that DRED filled; share:
    percent of the coverable ones that it filled; classic: lost packets that were concealed without it;
    late_periods: periods handed out after their time; underruns: periods for which the listener got nothing in
    time; wake_max_ms: the latest that the decoding thread woke up; cpu_pct: of one core, while playing; ready_s:
    from starting the agent to its "listening"; pss_kb: memory of the agent before the first packet.
    """
    report = said.get("report")
    if not report:
        raise BoardError(f"the agent on the virtual board sent no final report: {said}")
    source = _sources(report)
    lost = {number for number, gone in enumerate(stream.lost, stream.first_sequence) if gone}
    wanted = {number + stream.first_sequence for number in stream.coverable(cell.playout)}
    filled = {number for number in lost if source.get(number) == "dred"}
    by = Counter(source.get(number, "not played") for number in lost)
    pacing, budget, delay = report["output"]["pacing"], report["budget"], report["delay_ms"]
    return {
        "mips": cell.mips, "cpu": cell.cpu, "model": cell.model, "loss": cell.loss, "seed": cell.seed,
        "playout": cell.playout, "seconds": cell.seconds,
        "packets": len(stream.data), "lost": len(lost), "coverable": len(wanted), "dred": len(filled),
        "share": round(100 * len(filled & wanted) / len(wanted), 2) if wanted else 100.0,
        "classic": sum(by[name] for name in CLASSIC),
        "lost_by_source": dict(sorted(by.items())),
        "late_periods": pacing["missed_deadlines"], "underruns": pacing["missed_deadlines"],
        "wake_max_ms": pacing["wake_max_us"] / 1000,
        "delay_ms": delay["mean"], "delay_max_ms": delay["max"],
        "cpu_pct": said["cpu_pct"], "replay_cpu_pct": said["replay_cpu_pct"],
        "period_mean_ms": budget["mean_us"] / 1000, "period_p99_ms": budget["p99_us"] / 1000,
        "period_max_ms": budget["max_us"] / 1000,
        "ready_s": said["ready_s"], "pss_kb": said["pss_kb"], "pss_playing_kb": said["pss_playing_kb"],
        "level": report["output"]["load"]["level"], "kernel": said["kernel"],
    }  # fmt: skip


def _sources(report: dict[str, Any]) -> dict[int, str]:
    """Where each packet of the stream came from."""
    timeline = report["timeline"]
    names, _ = expand(timeline)
    return dict(zip(numbers(timeline), names, strict=True))

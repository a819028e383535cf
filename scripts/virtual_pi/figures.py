# SPDX-License-Identifier: BSD-2-Clause
"""What one run on the virtual board showed, taken from the reports of the product's own programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from dredge_device.timeline import expand, numbers
from dredge_host.sending.coverage import coverable
from dredge_host.sending.loss import parse_loss
from dredge_host.settings import Settings, parse_playout
from virtual_pi.board import BoardError
from virtual_pi.stream import Stream

CLASSIC = ("conceal", "plc")  # sources of a lost packet that know nothing of what was said


@dataclass(frozen=True)
class Cell:
    """One run: a speed (million instructions per second), a model, a loss; job: replay, or talk (duplex, both ends)."""

    mips: float
    model: str
    loss: str
    playout: str = "fixed:1000"
    cpu: str = "cortex-a53"
    seconds: float = 25.0
    seed: int = 3
    job: str = "replay"


def covered(lost: list[bool], playout: str, mean_ms: float) -> set[int]:
    """Return the lost packets that a later one describes before playout needs them; mean_ms: the mean delay, where
    adaptive.
    """
    adaptive, delay = parse_playout(playout)
    return coverable(lost, Settings(playout_ms=int(mean_ms) if adaptive else delay, adaptive=adaptive))


def replayed(cell: Cell, stream: Stream, said: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of a replay, as plain JSON values. Raises BoardError when the agent's report is missing.

    coverable: lost packets that a later packet describes in time; dred: lost packets that DRED filled; share: percent
    of the coverable ones that it filled; classic: lost packets that were concealed without it; late_periods: periods
    that were ready after their time; underruns: runs of such periods; latest_ms: the latest of them; queue_periods: how
    many finished periods waited; wake_max_ms: how late the decoding thread woke up at worst; cpu_pct: of one core,
    while playing; ready_s: from starting the agent to its "listening"; pss_kb: memory of the agent before the first
    packet.
    """
    report = said.get("report")
    if not report:
        raise BoardError(f"the agent on the virtual board sent no final report: {said}")
    source = _sources(report)
    lost = {number for number, gone in enumerate(stream.lost, stream.first_sequence) if gone}
    numbers = covered(stream.lost, cell.playout, report["delay_ms"]["mean"])
    wanted = {number + stream.first_sequence for number in numbers}
    filled = {number for number in lost if source.get(number) == "dred"}
    by = Counter(source.get(number, "not played") for number in lost)
    return {
        **asdict(cell), "packets": len(stream.data), "lost": len(lost), "coverable": len(wanted),
        "dred": len(filled), "share": _share(len(filled & wanted), len(wanted)),
        "classic": sum(by[name] for name in CLASSIC), "lost_by_source": dict(sorted(by.items())),
        **_timing(report),
        "cpu_pct": said["cpu_pct"], "replay_cpu_pct": said["replay_cpu_pct"],
        "ready_s": said["ready_s"], "pss_kb": said["pss_kb"], "pss_playing_kb": said["pss_playing_kb"],
        "level": report["output"]["load"]["level"], "vocoder": said["device"]["vocoder"], "kernel": said["kernel"],
    }  # fmt: skip


def _timing(report: dict[str, Any]) -> dict[str, Any]:
    """Return the delay, cost and lateness of the periods."""
    pacing, budget, delay = report["output"]["pacing"], report["budget"], report["delay_ms"]
    queue = report.get("queue")
    if queue is None:
        raise BoardError("the agent on the virtual board played nothing of the stream")
    return {
        "late_periods": queue["late_periods"], "underruns": queue["underruns"],
        "wake_max_ms": pacing["wake_max_us"] / 1000, "latest_ms": queue["latest_ms"],
        "queue_periods": queue["length"], "delay_ms": delay["mean"], "delay_max_ms": delay["max"],
        "period_mean_ms": budget["mean_us"] / 1000, "period_p99_ms": budget["p99_us"] / 1000,
        "period_max_ms": budget["max_us"] / 1000,
    }  # fmt: skip


def talked(cell: Cell, said: dict[str, Any]) -> dict[str, Any]:
    """Return the same figures for two duplex streams, both ends together; delay_ms: from a packet's arrival to its
    playout.

    What is coverable follows from the seeds of the losses.
    """
    heard = [end["received"] for end in said["ends"]]
    sources = sum((Counter(part["by_source"]) for part in heard), Counter())
    made = [end["sent"]["accounting"]["made"] for end in said["ends"]]
    mean_ms = sum(part["playout_delay_ms"]["mean"] for part in heard) / 2
    wanted = sum(len(covered(lost, cell.playout, mean_ms)) for lost in _losses(cell, made))
    lost = sum(part["packets"]["lost"] for part in heard)
    budgets = [part["budget"] for part in heard]
    missed = sum(part["sink"]["pacing"]["missed_deadlines"] for part in heard)
    delays = [part["playout_delay_ms"] for part in heard]
    return {
        **asdict(cell), "packets": sum(made), "lost": lost, "coverable": wanted, "dred": sources["dred"],
        "share": _share(min(sources["dred"], wanted), wanted),
        "classic": sum(sources[name] for name in CLASSIC),
        "late_periods": missed, "underruns": missed,
        "delay_ms": round(sum(delay["mean"] for delay in delays) / 2, 3),
        "delay_max_ms": max(delay["max"] for delay in delays),
        "mouth_to_ear_ms": [part["delay_ms"]["mouth_to_ear"] for part in heard],
        "period_mean_ms": sum(budget["mean_us"] for budget in budgets) / 2000,
        "period_p99_ms": max(budget["p99_us"] for budget in budgets) / 1000,
        "period_max_ms": max(budget["max_us"] for budget in budgets) / 1000,
        "cpu_pct": said["cpu_pct"], "ready_s": said["ready_s"], "pss_kb": said["pss_kb"],
        "pss_playing_kb": said["pss_playing_kb"], "kernel": said["kernel"],
    }  # fmt: skip


def _losses(cell: Cell, made: Iterable[int]) -> Iterable[list[bool]]:
    for end, count in enumerate(made):
        model = parse_loss(cell.loss, cell.seed + end)
        yield [model.lost() for _ in range(count)]


def _share(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 100.0


def _sources(report: dict[str, Any]) -> dict[int, str]:
    """Return the source of each packet of the stream."""
    timeline = report["timeline"]
    names, _ = expand(timeline)
    return dict(zip(numbers(timeline), names, strict=True))

# SPDX-License-Identifier: BSD-2-Clause
"""What one run on the virtual board showed, taken from the reports of the product's own programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from dredge_device.timeline import expand, numbers
from dredge_host.sending.coverage import coverable
from dredge_host.settings import Settings, parse_playout
from virtual_pi.board import BoardError
from virtual_pi.stream import Stream

CLASSIC = ("conceal", "plc")  # sources of a lost packet that know nothing of what was said
RECOVERED = ("dred", "lbrr")  # … that another packet describes
RECEIVED = ("opus", "dtx", "silence")  # of a packet that was not lost


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


def covered(lost: list[bool], playout: str, delays_us: dict[int, int]) -> set[int]:
    """Return the lost packets that a later one describes before playout needs them; delays_us: at which every packet
    was played, where adaptive.
    """
    adaptive, delay = parse_playout(playout)
    return coverable(lost, Settings(playout_ms=delay, adaptive=adaptive), delays_us if adaptive else None)


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
    source, delays_us = _played(report["timeline"], stream.first_sequence)
    lost = {number for number, gone in enumerate(stream.lost) if gone}
    wanted = covered(stream.lost, cell.playout, delays_us)
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
    playout; recovered: coverable losses filled from DRED or from the low-rate copy that the other end sends.
    """
    heard = [end["received"] for end in said["ends"]]
    lost: Counter[str] = Counter()
    wanted = recovered = 0
    for part in heard:
        source, delays_us = _played(part["timeline"], part["timeline"]["first_packet"])
        trace = [source.get(number, "skipped") not in RECEIVED for number in range(max(source) + 1)]
        lost.update(source[number] for number, gone in enumerate(trace) if gone and number in source)
        described = covered(trace, cell.playout, delays_us)
        wanted += len(described)
        recovered += sum(source[number] in RECOVERED for number in described)
    budgets, delays = [part["budget"] for part in heard], [part["playout_delay_ms"] for part in heard]
    queues = [part["queue"] for part in heard]
    return {
        **asdict(cell), "packets": sum(end["sent"]["accounting"]["made"] for end in said["ends"]),
        "lost": lost.total(), "coverable": wanted, "dred": lost["dred"], "recovered": recovered,
        "share": _share(recovered, wanted),
        "classic": sum(lost[name] for name in CLASSIC), "lost_by_source": dict(sorted(lost.items())),
        "late_periods": sum(queue["late_periods"] for queue in queues),
        "underruns": sum(queue["underruns"] for queue in queues),
        "latest_ms": max(queue["latest_ms"] for queue in queues),
        "queue_periods": [queue["length"] for queue in queues],
        "reserve_ms": [queue["longest_reserve_ms"] for queue in queues],
        "delay_ms": round(sum(delay["mean"] for delay in delays) / 2, 3),
        "delay_max_ms": max(delay["max"] for delay in delays),
        "mouth_to_ear_ms": [part["delay_ms"]["mouth_to_ear"] for part in heard],
        "period_mean_ms": sum(budget["mean_us"] for budget in budgets) / 2000,
        "period_p99_ms": max(budget["p99_us"] for budget in budgets) / 1000,
        "period_max_ms": max(budget["max_us"] for budget in budgets) / 1000,
        "cpu_pct": said["cpu_pct"], "ready_s": said["ready_s"], "pss_kb": said["pss_kb"],
        "pss_playing_kb": said["pss_playing_kb"], "level": [part["governor"]["level"] for part in heard],
        "kernel": said["kernel"],
    }  # fmt: skip


def _share(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 100.0


def _played(timeline: dict[str, Any], first: int) -> tuple[dict[int, str], dict[int, int]]:
    """Return the source of each packet of the stream, and how late it was played in microseconds; numbered from 0."""
    names, delays_ms = expand(timeline)
    counted = [number - first for number in numbers(timeline)]
    delays_us = [1000 * delay for delay in delays_ms]
    return dict(zip(counted, names, strict=True)), dict(zip(counted, delays_us, strict=True))

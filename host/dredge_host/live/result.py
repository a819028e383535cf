# SPDX-License-Identifier: BSD-2-Clause
"""The result document of a live stream: the sent packets, and the device's report."""

from __future__ import annotations

from collections import Counter
from typing import cast

from dredge_device.pi.machine import Machine
from dredge_device.pi.schema.report import BudgetReport, DeviceReport
from dredge_device.timeline import expand, numbers
from dredge_host.legend import counted
from dredge_host.live.documents import Accounting, CpuPart, StreamResult
from dredge_host.live.screen.figures import SILENT_S
from dredge_host.live.stream import StreamOutcome
from dredge_host.sending.loss_statistics import measure_loss
from dredge_host.settings import Settings
from dredge_host.timing import percentiles

SCHEMA = "dredge.stream/1"
Row = tuple[int, str, float, float]


def timeline_rows(report: DeviceReport | None, first_sequence: int = 0) -> list[Row]:
    """Return (packet, source, delay_ms, cpu_us) per played packet, packets counted from 0."""
    part = report.get("timeline") if report else None
    if not part or not part["sources"]:
        return []
    names, delays = expand(part)
    rows = zip(numbers(part), names, delays, part["cpu_us"], strict=True)
    return [(number - first_sequence, name, delay, cpu) for number, name, delay, cpu in rows]


def played_rows(outcome: StreamOutcome) -> list[Row]:
    """Return the timeline's rows of the packets that were made.

    A device that hears of the end late (the sender stood still, the goodbye was lost) has played on by then; what it
    predicted after the last packet belongs to none.
    """
    rows = timeline_rows(outcome.report, outcome.first_sequence)
    return [row for row in rows if row[0] < len(outcome.trace)]


def by_source(rows: list[Row], packets: int) -> dict[str, int]:
    """Return the packets of the stream per source, in all `packets`; `silence` counts those that the device never
    played.

    A late packet may be predicted first and received then: a packet played twice counts by its last source.
    """
    played = {row[0]: row[1] for row in rows}
    counts = Counter(played.values())
    counts["silence"] += packets - len(played)
    return counted(counts)


def document(outcome: StreamOutcome, settings: Settings) -> StreamResult:
    """Return the JSON result of a stream in the shape that the report page expects."""
    report: DeviceReport = outcome.report or {}
    rows = played_rows(outcome)
    loss = measure_loss(outcome.trace)
    return {
        "schema": SCHEMA,
        "settings": settings.as_dict(),
        "packets": loss.packets,
        "stream": {
            "bitrate_total_bps": outcome.meter.total(),
            "bitrate_bps": outcome.meter.rates(),
            "loss": {
                "model": settings.loss,
                "seed": settings.seed,
                "measured_pct": round(100 * loss.rate, 3),
                **loss.as_dict(),
            },
            "redundancy_s": settings.redundancy_s,
            "playout_ms": settings.playout_ms,
            "sender_late_ms": percentiles(outcome.late_ms),
            "accounting": accounting(outcome),
            "line": outcome.line,
            "missed_deadlines_pct": missed_deadlines_pct(report),
            "longest_silence_s": outcome.longest_silence_s,
        },
        "frames": {
            "by_source": by_source(rows, loss.packets),
            "total": loss.packets,
            "reasons": report.get("reasons", {}),
        },
        "cpu": cpu_part(report.get("budget")),
        "timeline": [list(row) for row in rows],
        "models": outcome.device.get("models"),
        "environment": {"host": Machine().facts(), "device": outcome.device},
        "device_report": cast(DeviceReport, {k: v for k, v in report.items() if k != "timeline"}),
    }


def accounting(outcome: StreamOutcome) -> Accounting:
    """Return the fate of every packet: made = lost by the model + sent + refused + withheld; sent (copies included) =
    arrived + missing on the way.

    complete: the device's counts agree with ours to the packet. After a restart they cannot agree: the packets of the
    process before it is known up to its last report (arrived_before_restart); for the unaccounted packets it is unknown
    whether they arrived.
    """
    report = outcome.report or {}
    packets = report.get("packets") or {}
    made = outcome.dropped + outcome.sent + outcome.refused + outcome.withheld
    copies = outcome.network.get("duplicated", 0)
    arrived, expected = packets.get("arrived"), packets.get("sent")
    sources = report.get("sources") or {}
    before = outcome.arrived_before if outcome.restarts else 0
    lost_books = outcome.sent - copies - before - (arrived or 0) if outcome.restarts else 0
    return {
        "made": made - copies,
        "dropped_by_model": outcome.dropped,
        "sent": outcome.sent,
        "copies": copies,
        "refused": outcome.refused,
        "withheld": outcome.withheld,
        "arrived": arrived,
        "missing_at_device": packets.get("missing"),
        "device_restarts": outcome.restarts,
        "arrived_before_restart": before,
        "unaccounted": max(0, lost_books),
        "periods": sum(sources.values()) - sources.get("silence", 0),
        "complete": expected == made - copies and arrived == outcome.sent - copies,
    }


def missed_deadlines_pct(report: DeviceReport) -> float | None:
    """Return the share in % of the device's periods that were not done when the next was due, by the wall clock.

    Far above the share of late packets by CPU time it says that the machine was busy elsewhere.
    """
    pacing = (report.get("output") or {}).get("pacing") or {}
    budget = report.get("budget")
    periods = budget["frames"] if budget else 0
    if not periods or "missed_deadlines" not in pacing:
        return None
    return round(100.0 * pacing["missed_deadlines"] / periods, 2)


def cpu_part(budget: BudgetReport | None) -> CpuPart:
    """Return the CPU time per packet as the report page expects it: percentiles and a histogram with edges."""
    if not budget:
        return {}
    part = cast(CpuPart, {name: value for name, value in budget.items() if name != "histogram"})
    bins = budget.get("histogram") or []
    if bins:
        edges = [0, *[edge for edge, _ in bins]]
        part["histogram"] = {"edges_us": edges, "counts": [count for _, count in bins]}
    return part


def lines(result: StreamResult) -> list[str]:
    """Return the result in a few lines of text."""
    rates = result["stream"]["bitrate_bps"]
    parts = ", ".join(f"{name} {rate / 1000:.1f}" for name, rate in rates.items() if rate)
    filled = result["frames"]["by_source"]
    loss, cpu = result["stream"]["loss"], result["cpu"]
    bursts = f"{loss['bursts']} bursts, longest {loss['longest_burst_ms']:.0f} ms"
    words = [
        f"loss     {loss['measured_pct']:.1f} % in {bursts}",
        "packets  " + ", ".join(f"{name} {count}" for name, count in filled.items() if count),
        f"bitrate  {result['stream']['bitrate_total_bps'] / 1000:.1f} kb/s: {parts}",
    ]
    if cpu:
        words.append(
            f"device   CPU p99 {cpu['p99_us'] / 1000:.1f} ms of {cpu['period_us'] / 1000:g} ms "
            f"per packet ({cpu['p99_pct']:.0f} %), {cpu['late_frames']} late"
        )
    silence_s = result["stream"].get("longest_silence_s") or 0.0
    if silence_s >= SILENT_S:
        words.append(f"silence  the device sent no report for {silence_s:.1f} s while the stream ran")
    return words + overload_lines(result["device_report"])


def overload_lines(report: DeviceReport) -> list[str]:
    """Return the periods that a device beyond its rating rendered at lower quality; empty at full quality."""
    load = report.get("load") or {}
    spent = ", ".join(f"{name} {periods}" for name, periods in load.items() if name != "full" and periods)
    return [f"load     the device was beyond its rating; periods at each level: {spent}"] if spent else []

# SPDX-License-Identifier: BSD-2-Clause
"""The figures in a receiver's report, as plain JSON values with units in the names."""

from dredge_device.jitter import JitterBuffer
from dredge_device.pi.concealment.concealer import Concealer
from dredge_device.pi.concealment.time_stretch import TimeStretch
from dredge_device.pi.input.rtp_input import RtpInput
from dredge_device.pi.render_queue import RenderQueue
from dredge_device.pi.schema.report import DelayPart, DeviceReport, DredPart, PlayoutPart, QueuePart, StatisticsReport
from dredge_device.pi.stage_timer import StageTimer
from dredge_device.playout import Playout
from dredge_device.units import PACKET_US


def document(
    stream: RtpInput, buffer: JitterBuffer, playout: Playout, stretch: TimeStretch, concealer: Concealer,
    statistics: StatisticsReport,
) -> DeviceReport:  # fmt: skip
    """Return the counts of input, playout and recovery; statistics: those of the periods (PlayoutStatistics.report)."""
    return {
        **statistics,
        "packets": {**_packets(stream, buffer, concealer.damaged), **statistics["packets"]},
        "delay_ms": {**statistics["delay_ms"], **_delays(stream, buffer, playout)},
        "playout": _corrections(playout, stretch),
        "dred": _dred(concealer),
    }


def _packets(stream: RtpInput, buffer: JitterBuffer, damaged: int) -> dict[str, int]:
    """Return the counts of packets by outcome; damaged: packets that the decoder refused."""
    counts = stream.counts()
    for name in ("duplicate", "late", "reordered", "beyond", "resyncs"):
        counts[name] = getattr(buffer, name)
    arrivals = stream.arrivals
    counts["sent"] = arrivals.expected()
    counts["arrived"] = arrivals.arrived
    counts["missing"] = arrivals.missing()
    counts["undecodable"] = damaged
    return counts


def _delays(stream: RtpInput, buffer: JitterBuffer, playout: Playout) -> DelayPart:
    """Return jitter (RFC 3550), buffered speech and the delay that playout aims at, ms."""
    return {
        "jitter": round(stream.jitter.units() / 48, 3),
        "buffered": buffer.depth() * PACKET_US // 1000,
        "target": playout.target_us() / 1000,
    }


def _corrections(playout: Playout, stretch: TimeStretch) -> PlayoutPart:
    """Return how often playout stood still and by how much speech was shortened and lengthened."""
    return {
        "holds": playout.holds,
        "corrections": playout.lag.corrections,
        "shortened_ms": stretch.removed / 16,
        "lengthened_ms": stretch.inserted / 16,
    }


def _dred(concealer: Concealer) -> DredPart:
    """Return the counts of DRED payloads."""
    source = concealer.dred_source
    return {
        "payloads_parsed": source.parsed if source else 0,
        "bytes_parsed": source.parsed_bytes if source else 0,
        "payloads_damaged": source.damaged if source else 0,
    }


def ahead(queue: RenderQueue, timer: StageTimer, statistics: StatisticsReport) -> QueuePart:
    """Return the figures of rendering ahead: the queue, the mean load, and the share of losses that was recovered."""
    busy = timer.budget.total
    load = 100 * busy.total / (busy.count * PACKET_US) if busy.count else 0.0
    sources = statistics["sources"]
    recovered = sources["dred"] + sources["lbrr"]
    lost = max(statistics["packets"]["lost"], recovered)  # rendering ahead recovers periods before they count
    return {
        **queue.report(),
        "load_pct": round(load, 2),
        "headroom_pct": round(100 - load, 2),
        "recovered": recovered,
        "recovered_pct": round(100 * recovered / lost, 2) if lost else 100.0,
    }

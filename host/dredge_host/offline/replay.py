# SPDX-License-Identifier: BSD-2-Clause
"""A captured stream through a lossy link into our receiver, offline."""

from __future__ import annotations

from collections.abc import Callable

from dredge_device import rtp
from dredge_device.pi.schema.report import DeviceReport
from dredge_device.rtp import MAX_DROPOUT
from dredge_device.units import PACKET_MS, PACKET_SAMPLES, RTP_TICKS_PER_PACKET, SAMPLE_RATE
from dredge_host.capture.packets import Capture, Captured
from dredge_host.capture.rtp_stream import duration
from dredge_host.legend import counted
from dredge_host.offline.documents import RunResult
from dredge_host.offline.player import OfflineStream, PacketReceiver, Recording, Simulation, VirtualClock
from dredge_host.offline.simulate import make_receiver
from dredge_host.sending.loss import LossModel, parse_loss
from dredge_host.sending.loss_statistics import measure_loss
from dredge_host.sending.sender import SSRC
from dredge_host.settings import Settings

SCHEMA = "dredge.replay/1"


def timed(capture: Capture) -> list[tuple[int, int, Captured | None]]:
    """Return the number and 48 kHz timestamp of every packet from 0 on, None for those that the capture lacks.

    A packet that was lost lasted as long as the one before the gap; formats without timestamps have no pauses.
    """
    out: list[tuple[int, int, Captured | None]] = []
    stamp, lasts, first = 0, RTP_TICKS_PER_PACKET, None
    for captured in capture.packets:
        sequence = len(out) if captured.sequence is None else captured.sequence
        first = sequence if first is None else first
        for number in range(len(out), min(sequence - first, len(out) + MAX_DROPOUT)):
            out.append((number, stamp, None))
            stamp += lasts
        stamp = stamp if captured.timestamp is None else captured.timestamp
        lasts = duration(captured.data) or lasts
        first = sequence - len(out)
        out.append((len(out), stamp, captured))
        stamp += lasts
    return out


def replay(
    capture: Capture,
    settings: Settings | None = None,
    *,
    loss: LossModel | None = None,
    receiver_factory: Callable[[Settings, VirtualClock], PacketReceiver] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Simulation:
    """Play a captured stream with the losses it has and those of a loss model on top.

    Packets come when their timestamps say, so that pauses stay as long as they were. The output starts with the first
    packet's decoded samples; the sender's look-ahead is not known and stays in. Redundancy is used as far as models
    are there (`dredge models`).
    """
    settings = settings or Settings()
    loss = loss or parse_loss(settings.loss, settings.seed)
    stream = timed(capture)
    end = max((stamp + duration(c.data) for _, stamp, c in stream if c), default=0)
    make = receiver_factory or make_receiver
    player = OfflineStream(lambda clock: make(settings, clock))
    player.receiver.announce(SSRC, 0)
    run = Recording(-(-end // RTP_TICKS_PER_PACKET), adaptive=settings.adaptive)
    trace: list[bool] = []
    for number in range(run.count):
        arriving = []
        while len(trace) < len(stream) and stream[len(trace)][1] < (number + 1) * RTP_TICKS_PER_PACKET:
            place, stamp, captured = stream[len(trace)]
            lost = loss.lost() or captured is None
            trace.append(lost)
            if captured is not None and not lost:
                arriving.append(rtp.build(place, stamp, SSRC, captured.data))
        run.take(player.period(*arriving))
        if progress:
            progress(number + 1, run.count)
    if hasattr(player.receiver, "finish"):
        player.receiver.finish(len(stream) - 1 & 0xFFFF)
    run.drain(player, limit=run.count + settings.playout_ms // PACKET_MS + 50)
    result = _result(settings, run, trace, capture, player.receiver)
    return Simulation(run.aligned(run.count * PACKET_SAMPLES), result, trace, run.timeline)


def _result(
    settings: Settings, run: Recording, trace: list[bool], capture: Capture, receiver: PacketReceiver
) -> RunResult:
    from dredge_models import modelset

    report: DeviceReport = receiver.report() if hasattr(receiver, "report") else {}
    return {
        "schema": SCHEMA,
        "settings": settings.as_dict(),
        "format": capture.format,
        "seconds": round(run.count * PACKET_SAMPLES / SAMPLE_RATE, 4),
        "packets": run.count,
        "frames": counted(run.sources),
        "loss": measure_loss(trace).as_dict(),
        "seed": settings.seed,
        "versions": sorted(modelset.versions()),
        "dred": report.get("dred"),
        "reasons": report.get("reasons"),
        "notes": capture.notes,
    }

# SPDX-License-Identifier: BSD-2-Clause
"""A captured stream through a lossy link into our receiver, offline: what would have been heard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from dredge_device.units import PACKET_MS, PACKET_SAMPLES, RTP_TICKS_PER_PACKET, SAMPLE_RATE
from dredge_host.capture.packets import Capture
from dredge_host.errors import InputError
from dredge_host.legend import counted
from dredge_host.offline.player import OfflineStream, PacketReceiver, Recording, Simulation, VirtualClock
from dredge_host.offline.simulate import make_receiver
from dredge_host.sending.loss import LossModel, parse_loss
from dredge_host.sending.loss_statistics import measure_loss
from dredge_host.sending.sender import SSRC
from dredge_host.settings import Settings

SCHEMA = "dredge.replay/1"


def packets_of(capture: Capture) -> list[bytes | None]:
    """One Opus packet per 20 ms, None where the capture lacks one; packets of several such frames are taken apart.

    Raises InputError for a stream whose frames are not 20 ms (or 10 ms, two in a packet).
    """
    out: list[bytes | None] = []
    previous: int | None = None
    for captured in capture.packets:
        if captured.sequence is not None and previous is not None:
            out += [None] * min(captured.sequence - previous - 1, 3000)
        previous = captured.sequence
        out += _twenty_ms(captured.data)
    return out


def _twenty_ms(packet: bytes) -> Iterator[bytes]:
    from dredge_kernels.framing import build_packet, frame_samples_48k, parse_packet

    try:
        parsed = parse_packet(packet)
    except ValueError:
        yield packet            # the receiver counts it
        return
    frame = frame_samples_48k(parsed.toc)
    if parsed.samples_48k == 960:
        yield packet
    elif frame == 960:          # the padding, and with it the redundancy, belongs to the first frame
        for number, data in enumerate(parsed.frames):
            yield build_packet(parsed.toc, [data], None if number else parsed.padding)
    else:
        total = parsed.samples_48k / 48
        raise InputError(f"the stream has packets of {total:g} ms ({frame / 48:g} ms frames), expected 20 ms frames")


def replay(
    capture: Capture,
    settings: Settings | None = None,
    *,
    loss: LossModel | None = None,
    receiver_factory: Callable[[Settings, VirtualClock], PacketReceiver] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Simulation:
    """Play a captured stream with the losses it has and those of a loss model on top.

    The output starts with the first packet's decoded samples; the sender's look-ahead is not known and stays in.
    Redundancy is used as far as models are there (`dredge models`). Raises InputError for other than 20 ms frames.
    """
    settings = settings or Settings()
    loss = loss or parse_loss(settings.loss, settings.seed)
    stream = packets_of(capture)
    make = receiver_factory or make_receiver
    player = OfflineStream(lambda clock: make(settings, clock))
    player.receiver.announce(SSRC, 0)
    run = Recording(len(stream), adaptive=settings.adaptive)
    trace = []
    for number, packet in enumerate(stream):
        lost = loss.lost() or packet is None
        trace.append(lost)
        run.take(player.period(None if packet is None or lost else _datagram(number, packet)))
        if progress:
            progress(number + 1, len(stream))
    run.drain(player, limit=len(stream) + settings.playout_ms // PACKET_MS + 50)
    pcm = run.aligned(len(stream) * PACKET_SAMPLES)
    return Simulation(pcm, _result(settings, run, trace, capture, player.receiver), trace, run.timeline)


def _datagram(number: int, packet: bytes) -> bytes:
    from dredge_device import rtp

    return rtp.build(number, number * RTP_TICKS_PER_PACKET, SSRC, packet)


def _result(
    settings: Settings, run: Recording, trace: list[bool], capture: Capture, receiver: PacketReceiver
) -> dict[str, Any]:
    from dredge_models import modelset

    report = receiver.report() if hasattr(receiver, "report") else {}
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

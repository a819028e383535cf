# SPDX-License-Identifier: BSD-2-Clause
"""The whole pipeline offline: Sender → loss → Receiver with a virtual clock.

Same samples, settings and seed give the same output and the same result, except for `cpu`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from dredge_device.units import PACKET_MS, PACKET_SAMPLES, SAMPLE_RATE
from dredge_host.errors import InputError
from dredge_host.legend import counted
from dredge_host.offline.documents import RunResult
from dredge_host.offline.player import OfflineStream, PacketReceiver, PacketSender, Recording, Simulation, VirtualClock
from dredge_host.sending.audio import Pcm, packets
from dredge_host.sending.loss import LossModel, parse_loss
from dredge_host.sending.loss_statistics import measure_loss
from dredge_host.sending.sender import BitrateMeter, Packet, Sender
from dredge_host.settings import Settings
from dredge_host.timing import percentiles

SCHEMA = "dredge.simulate/1"


def simulate(
    pcm: Pcm,
    settings: Settings | None = None,
    *,
    loss: LossModel | None = None,
    sender: PacketSender | None = None,
    receiver_factory: Callable[[Settings, VirtualClock], PacketReceiver] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Simulation:
    """Send int16[n] (16 kHz mono) through a lossy link and return the played speech.

    Output sample i belongs to input sample i: the Opus look-ahead and the playout delay are
    removed. `loss` overrides settings.loss; `sender` and `receiver_factory` replace the real parts.
    Raises InputError for empty input, UsageError for impossible settings.
    """
    settings = settings or Settings()
    if len(pcm) == 0:
        raise InputError("there is no audio to send")
    loss = loss or parse_loss(settings.loss, settings.seed)
    sender = sender or Sender.from_settings(settings)
    make = receiver_factory or make_receiver
    stream = OfflineStream(lambda clock: make(settings, clock))
    stream.receiver.announce(sender.ssrc, sender.first_sequence)
    count = -(-(len(pcm) + sender.lookahead) // PACKET_SAMPLES)
    run, meter, began = Recording(count, sender.lookahead, settings.adaptive), BitrateMeter(), time.process_time()
    for piece in packets(pcm, count):
        packet = sender.push(piece)
        meter.add(packet.split)
        run.take(stream.period(arriving(packet, loss)))
        if progress:
            progress(packet.index + 1, count)
    run.drain(stream, limit=count + settings.playout_ms // PACKET_MS + 50)
    cpu_seconds = time.process_time() - began
    trace = loss.history[-count:]
    result = _result(settings, run, meter, trace, len(pcm), sender, cpu_seconds)
    return Simulation(run.aligned(len(pcm)), result, trace, run.timeline)


def arriving(packet: Packet, loss: LossModel) -> bytes | None:
    """Return the packet's datagram, None where it is lost or left out by DTX; the loss model advances."""
    if not packet.data:
        loss.skip()
        return None
    return None if loss.lost() else packet.data


def make_receiver(settings: Settings, clock_us: Callable[[], int]) -> PacketReceiver:
    """Return the real receiver for these settings; clock_us returns microseconds."""
    from dredge_device.pi.receiver import Receiver

    receiver: PacketReceiver = Receiver(
        playout_ms=settings.playout_ms,
        conceal=settings.conceal,
        use_lbrr=settings.lbrr,
        clock_us=clock_us,
        cpu_clock=time.thread_time_ns,
        adaptive=settings.adaptive,
        vocoder=settings.known_vocoder(),
        opus_complexity=settings.opus_complexity,
    )
    return receiver


def _result(
    settings: Settings,
    run: Recording,
    meter: BitrateMeter,
    trace: list[bool],
    samples: int,
    sender: PacketSender,
    cpu_seconds: float,
) -> RunResult:
    from dredge_device.pi.machine import Machine
    from dredge_host.simd import simd_level
    from dredge_models.registry import model_ids

    return {
        "schema": SCHEMA,
        "settings": settings.as_dict(),
        "seconds": round(samples / SAMPLE_RATE, 4),
        "packets": run.count,
        "bitrate_total_bps": meter.total(),
        "bitrate_bps": meter.rates(),
        "frames": counted(run.sources),
        "loss": measure_loss(trace).as_dict(),
        "seed": settings.seed,
        "alignment": {"opus_lookahead_samples": sender.lookahead, "offset_samples": 0},
        "models": model_ids(),
        "simd_level": simd_level(),
        "cpu": {
            "pipeline_seconds": round(cpu_seconds, 3),
            "times_real_time": round(samples / SAMPLE_RATE / max(cpu_seconds, 1e-9), 2),
            "receiver_us_per_packet": percentiles([row[3] for row in run.timeline]),
            "machine": Machine().facts(),
        },
    }

# SPDX-License-Identifier: BSD-2-Clause
"""The whole pipeline offline: Sender → loss → Receiver with a virtual clock.

Same samples, settings and seed give the same output and the same result, except for `cpu`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from dredge_device.units import PACKET_SAMPLES, PACKET_SECONDS, SAMPLE_RATE
from dredge_host.errors import InputError
from dredge_host.legend import counted
from dredge_host.offline.player import PacketReceiver, PacketSender, Simulation, VirtualClock, _Run
from dredge_host.sending.audio import Pcm, packets
from dredge_host.sending.loss import LossModel, parse_loss
from dredge_host.sending.loss_statistics import measure_loss
from dredge_host.sending.sender import Sender
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
    """Send int16[n] (16 kHz mono) through a lossy link and return what is played.

    Output sample i belongs to input sample i: the Opus look-ahead and the playout delay are taken
    out. `loss` overrides settings.loss; `sender` and `receiver_factory` replace the real parts.
    Raises InputError for empty input, UsageError for impossible settings.
    """
    settings = settings or Settings()
    if len(pcm) == 0:
        raise InputError("there is no audio to send")
    loss = loss or parse_loss(settings.loss, settings.seed)
    sender = sender or make_sender(settings)
    clock = VirtualClock()
    receiver = (receiver_factory or make_receiver)(settings, clock)
    receiver.announce(sender.ssrc, sender.first_sequence)
    count = -(-(len(pcm) + sender.lookahead) // PACKET_SAMPLES)
    run = _Run(count, sender.lookahead, settings.adaptive)
    for piece in packets(pcm, count):
        packet = sender.push(piece)
        run.meter.add(packet.split)
        clock.now = packet.index * PACKET_SECONDS
        if not packet.data:
            loss.skip()
        elif not loss.lost():
            receiver.push(packet.data, clock.now)
        run.take(receiver.pull())
        if progress:
            progress(packet.index + 1, count)
    run.drain(receiver, clock, limit=count + settings.playout_ms // 20 + 50)
    trace = loss.history[-count:]
    result = _result(settings, run, trace, len(pcm), sender)
    return Simulation(run.aligned(len(pcm)), result, trace, run.timeline)


def make_sender(settings: Settings) -> Sender:
    """The real sender for these settings."""
    return Sender(settings.bitrate, settings.redundancy_s, settings.lbrr, settings.loss_pct, dtx=settings.dtx,
                  dred_version=settings.dred_version)  # fmt: skip


def make_receiver(settings: Settings, clock: Callable[[], float]) -> PacketReceiver:
    """The real receiver for these settings."""
    from dredge_device.pi.receiver import Receiver

    receiver: PacketReceiver = Receiver(
        playout_ms=settings.playout_ms,
        conceal=settings.conceal,
        use_lbrr=settings.lbrr,
        clock=clock,
        cpu_clock=time.thread_time_ns,
        adaptive=settings.adaptive,
        vocoder=settings.vocoder,
    )
    return receiver


def _result(settings: Settings, run: _Run, trace: list[bool], samples: int, sender: PacketSender) -> dict[str, Any]:
    from dredge_device.pi.machine import Machine
    from dredge_host.simd import simd_level
    from dredge_models.registry import model_ids

    return {
        "schema": SCHEMA,
        "settings": settings.as_dict(),
        "seconds": round(samples / SAMPLE_RATE, 4),
        "packets": run.count,
        "bitrate_total_bps": run.meter.total(),
        "bitrate_bps": run.meter.rates(),
        "frames": counted(run.sources),
        "loss": measure_loss(trace).as_dict(),
        "seed": settings.seed,
        "alignment": {"opus_lookahead_samples": sender.lookahead, "offset_samples": 0},
        "models": model_ids(),
        "simd_level": simd_level(),
        "cpu": {
            "pipeline_seconds": round(run.cpu_seconds, 3),
            "times_real_time": round(samples / SAMPLE_RATE / max(run.cpu_seconds, 1e-9), 2),
            "receiver_us_per_packet": percentiles([row[3] for row in run.timeline]),
            "machine": Machine().facts(),
        },
    }

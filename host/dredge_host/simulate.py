# SPDX-License-Identifier: BSD-2-Clause
"""The whole pipeline offline: Sender → loss → Receiver with a virtual clock.

Same samples, settings and seed give the same output and the same result, except for `cpu`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from dredge_host.audio import PACKET, RATE, Pcm, packets
from dredge_host.errors import DredgeError, InputError
from dredge_host.livesummary import RARE, SOURCES
from dredge_host.loss import LossModel, parse_loss
from dredge_host.lossstats import measure_loss
from dredge_host.sender import BitrateMeter, Packet, Sender
from dredge_host.settings import PACKET_SECONDS, Settings
from dredge_host.timing import percentiles

SCHEMA = "dredge.simulate/1"


class PlayedPacket(Protocol):
    """One decision of the receiver (dredge_device.pi.receiver.Played)."""

    pcm: Pcm
    source: str
    packet: int | None
    delay_ms: float
    cpu_us: float


class PacketSender(Protocol):
    """What the simulation needs of dredge_host.sender.Sender."""

    ssrc: int
    first_sequence: int

    @property
    def lookahead(self) -> int: ...

    def push(self, pcm: Pcm) -> Packet: ...


class PacketReceiver(Protocol):
    """What the simulation needs of dredge_device.pi.receiver.Receiver."""

    def push(self, datagram: bytes, now: float) -> None: ...

    def pull(self) -> Any: ...

    def announce(self, ssrc: int, sequence: int) -> None: ...


@dataclass
class Simulation:
    """pcm: int16[n], as long as the input and aligned with it (with adaptive playout: what is heard,
    as long as that takes); result: the JSON document; trace: the losses, True = lost; timeline:
    (packet, source, delay_ms, cpu_us) per packet."""

    pcm: Pcm
    result: dict[str, Any]
    trace: list[bool]
    timeline: list[tuple[int, str, float, float]] = field(default_factory=list)


class VirtualClock:
    """Seconds that pass only when told so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


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
    count = -(-(len(pcm) + sender.lookahead) // PACKET)
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


class _Run:
    """Collects what the receiver plays, by packet number."""

    def __init__(self, count: int, lookahead: int, adaptive: bool = False) -> None:
        self.count, self.lookahead = count, lookahead
        self.heard: list[Pcm] | None = [] if adaptive else None
        self.meter = BitrateMeter()
        self.pcm = np.zeros(count * PACKET, np.int16)
        self.sources: Counter[str] = Counter()
        self.timeline: list[tuple[int, str, float, float]] = []
        self.last = -1
        self.cpu_seconds = -time.process_time()

    def take(self, played: Any) -> None:
        if self.heard is not None:
            self._take_stretched(played)
            return
        number = played.packet
        if number is None or not 0 <= number < self.count:
            return
        self.pcm[number * PACKET : (number + 1) * PACKET] = played.pcm
        self._enter(played)

    def _take_stretched(self, played: Any) -> None:
        """Adaptive playout: what is heard in a period belongs to no, one or several packets."""
        assert self.heard is not None
        for frame in played.frames:
            if 0 <= frame.packet < self.count:
                self._enter(frame)
        if played.spoken and self.last < self.count:
            self.heard.append(played.pcm)

    def _enter(self, frame: Any) -> None:
        self.last = frame.packet
        self.sources[frame.source] += 1
        self.timeline.append((frame.packet, frame.source, frame.delay_ms, frame.cpu_us))

    def drain(self, receiver: PacketReceiver, clock: VirtualClock, limit: int) -> None:
        """Let playout catch up; a receiver that heard nothing at all leaves silence."""
        while self.last < self.count - 1 and limit > 0:
            clock.now += PACKET_SECONDS
            self.take(receiver.pull())
            limit -= 1
        missing = self.count - len(self.timeline)
        if missing < 0:
            raise DredgeError(f"the receiver played {-missing} packets twice")
        self.sources["silence"] += missing  # lost before the receiver knew of the stream
        self.cpu_seconds += time.process_time()

    def aligned(self, length: int) -> Pcm:
        if self.heard is not None:
            return np.concatenate([*self.heard, np.zeros(0, np.int16)])
        return np.ascontiguousarray(self.pcm[self.lookahead : self.lookahead + length])


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
    from dredge_host.machine import Machine, simd_level
    from dredge_models.registry import model_ids

    frames = {name: run.sources.get(name, 0) for name in (*SOURCES, *(n for n in RARE if run.sources[n]))}
    return {
        "schema": SCHEMA,
        "settings": settings.as_dict(),
        "seconds": round(samples / RATE, 4),
        "packets": run.count,
        "bitrate_total_bps": run.meter.total(),
        "bitrate_bps": run.meter.rates(),
        "frames": frames,
        "loss": measure_loss(trace).as_dict(),
        "seed": settings.seed,
        "alignment": {"opus_lookahead_samples": sender.lookahead, "offset_samples": 0},
        "models": model_ids(),
        "simd_level": simd_level(),
        "cpu": {
            "pipeline_seconds": round(run.cpu_seconds, 3),
            "times_real_time": round(samples / RATE / max(run.cpu_seconds, 1e-9), 2),
            "receiver_us_per_packet": percentiles([row[3] for row in run.timeline]),
            "machine": Machine().facts(),
        },
    }

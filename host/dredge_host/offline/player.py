# SPDX-License-Identifier: BSD-2-Clause
"""Plays packets into a receiver on a virtual clock."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from dredge_device.units import PACKET_SAMPLES, PACKET_SECONDS
from dredge_host.errors import DredgeError
from dredge_host.sending.audio import Pcm
from dredge_host.sending.sender import BitrateMeter, Packet


class PlayedPacket(Protocol):
    """One decision of the receiver (dredge_device.pi.receiver.Played)."""

    pcm: Pcm
    source: str
    packet: int | None
    delay_ms: float
    cpu_us: float


class PacketSender(Protocol):
    """What the simulation needs of dredge_host.sending.sender.Sender."""

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


class _Run:
    """Collects what the receiver plays, by packet number."""

    def __init__(self, count: int, lookahead: int, adaptive: bool = False) -> None:
        self.count, self.lookahead = count, lookahead
        self.heard: list[Pcm] | None = [] if adaptive else None
        self.meter = BitrateMeter()
        self.pcm = np.zeros(count * PACKET_SAMPLES, np.int16)
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
        self.pcm[number * PACKET_SAMPLES : (number + 1) * PACKET_SAMPLES] = played.pcm
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

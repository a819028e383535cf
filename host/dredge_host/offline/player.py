# SPDX-License-Identifier: BSD-2-Clause
"""A receiver on a virtual clock, driven period by period, and the recording of its output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from dredge_device.units import PACKET_SAMPLES, PACKET_US
from dredge_host.errors import DredgeError
from dredge_host.offline.documents import RunResult
from dredge_host.sending.audio import Pcm
from dredge_host.sending.sender import Packet


class PacketSender(Protocol):
    """The methods that the simulation needs of dredge_host.sending.sender.Sender."""

    ssrc: int
    first_sequence: int

    @property
    def lookahead(self) -> int: ...

    def push(self, pcm: Pcm) -> Packet: ...


class PacketReceiver(Protocol):
    """The methods that the simulation needs of dredge_device.pi.receiver.Receiver."""

    def push(self, datagram: bytes, now_us: int) -> None: ...

    def pull(self) -> Any: ...

    def announce(self, ssrc: int, sequence: int) -> None: ...


@dataclass
class Simulation:
    """The outcome of a run.

    pcm: int16[n], as long as the input and aligned with it (with adaptive playout: all the output, as long as it
    lasts); result: the JSON document; trace: the losses, True = lost; timeline: (packet, source, delay_us, cpu_us) per
    packet.
    """

    pcm: Pcm
    result: RunResult
    trace: list[bool]
    timeline: list[tuple[int, str, int, float]] = field(default_factory=list)


class VirtualClock:
    """A clock in microseconds that moves only when it is set."""

    def __init__(self) -> None:
        self.now_us = 0

    def __call__(self) -> int:
        return self.now_us


class OfflineStream:
    """A receiver on a virtual clock. `period` is one packet period of 20 ms: datagrams arrive, then 20 ms are played.
    """

    def __init__(self, make: Callable[[VirtualClock], PacketReceiver]) -> None:
        """Make the receiver; make: returns one on the given clock."""
        self.clock = VirtualClock()
        self.receiver = make(self.clock)
        self.number = 0  # number of the next period

    def period(self, *datagrams: bytes | None) -> Any:
        """Play the next period and return it (dredge_device.pi.playing.played.Played); datagrams: what arrives, None
        for nothing.
        """
        self.clock.now_us = self.number * PACKET_US
        self.number += 1
        for datagram in datagrams:
            if datagram is not None:
                self.receiver.push(datagram, self.clock.now_us)
        return self.receiver.pull()


class Recording:
    """The speech that a receiver plays of `count` packets, by packet number; lookahead: of the sender's encoder, in
    samples.

    adaptive: the output is kept in sequence, since speech is shortened and lengthened.
    """

    def __init__(self, count: int, lookahead: int = 0, adaptive: bool = False) -> None:
        self.count, self.lookahead = count, lookahead
        self.sources: Counter[str] = Counter()
        self.timeline: list[tuple[int, str, int, float]] = []
        self._heard: list[Pcm] | None = [] if adaptive else None
        self._pcm = np.zeros(count * PACKET_SAMPLES, np.int16)
        self._last = -1

    def take(self, played: Any) -> None:
        """Add one period."""
        if self._heard is not None:
            self._take_stretched(played, self._heard)
            return
        number = played.packet
        if number is None or not 0 <= number < self.count:
            return
        self._pcm[number * PACKET_SAMPLES : (number + 1) * PACKET_SAMPLES] = played.pcm
        self._enter(played)

    def _take_stretched(self, played: Any, heard: list[Pcm]) -> None:
        """Add one period of adaptive playout, whose 20 ms belong to no, one or several packets."""
        for frame in played.frames:
            if 0 <= frame.packet < self.count:
                self._enter(frame)
        if played.of_stream and self._last < self.count:
            heard.append(played.pcm)

    def _enter(self, frame: Any) -> None:
        self._last = frame.packet
        self.sources[frame.source] += 1
        self.timeline.append((frame.packet, frame.source, frame.delay_us, frame.cpu_us))

    def drain(self, stream: OfflineStream, limit: int) -> None:
        """Let playout catch up within so many periods; a receiver without any packet leaves silence."""
        while self._last < self.count - 1 and limit > 0:
            self.take(stream.period())
            limit -= 1
        missing = self.count - len(self.timeline)
        if missing < 0:
            raise DredgeError(f"the receiver played {-missing} packets twice")
        self.sources["silence"] += missing  # lost before the receiver knew of the stream

    def aligned(self, length: int) -> Pcm:
        """Return int16[length] whose sample i belongs to sample i that was sent (adaptive: all the output)."""
        if self._heard is not None:
            return np.concatenate([*self._heard, np.zeros(0, np.int16)])
        return np.ascontiguousarray(self._pcm[self.lookahead : self.lookahead + length])

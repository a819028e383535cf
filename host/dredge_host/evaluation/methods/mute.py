# SPDX-License-Identifier: BSD-2-Clause
"""A receiver without any concealment: received packets are decoded, missing ones are 20 ms of zeros."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dredge_device import rtp
from dredge_device.units import PACKET_SAMPLES
from dredge_host.sending.audio import Pcm


@dataclass(frozen=True)
class Heard:
    """20 ms of output; the fields of dredge_device.pi.receiver.Played that the simulation reads."""

    pcm: Pcm
    source: str
    packet: int
    delay_us: int
    cpu_us: float
    of_stream: bool = True


class MuteReceiver:
    """A receiver that plays every packet in the period in which it arrives, and zeros for one that has not arrived by
    then.

    Interface of dredge_host.offline.player.PacketReceiver, one packet per period from `announce` on. The decoder is not
    informed of a gap: it continues from its last packet. cpu_clock: nanoseconds.
    """

    def __init__(self, cpu_clock: Callable[[], int] = time.thread_time_ns) -> None:
        from dredge_kernels.opus import OpusDecoder

        self._decoder = OpusDecoder()
        self._cpu_clock = cpu_clock
        self._waiting: dict[int, bytes] = {}
        self._next = 0

    def announce(self, ssrc: int, sequence: int) -> None:
        """Note the number of the sender's first packet; there is one sender."""
        self._next = sequence

    def push(self, datagram: bytes, now_us: int) -> None:
        """Take in a datagram; one that is no RTP packet is dropped."""
        try:
            packet = rtp.parse(datagram)
        except ValueError:
            return
        age = rtp.distance(packet.sequence, self._next & 0xFFFF)
        if age >= 0:
            self._waiting[self._next + age] = packet.payload

    def pull(self) -> Heard:
        """Return the next 20 ms."""
        started = self._cpu_clock()
        number, self._next = self._next, self._next + 1
        pcm = self._decoded(self._waiting.pop(number, None))
        source = "opus" if pcm is not None else "silence"
        if pcm is None:
            pcm = np.zeros(PACKET_SAMPLES, np.int16)
        return Heard(pcm, source, number, 0, (self._cpu_clock() - started) / 1000)

    def _decoded(self, payload: bytes | None) -> Pcm | None:
        if not payload:
            return None
        try:
            pcm: Pcm = self._decoder.decode(payload)
        except (ValueError, RuntimeError):
            return None
        return pcm if len(pcm) == PACKET_SAMPLES else None

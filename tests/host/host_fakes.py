# SPDX-License-Identifier: BSD-2-Clause
"""Small stand-ins with the interfaces of the real parts, for tests of what stands around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dredge_device import rtp
from dredge_host.settings import Settings

PACKET = 320


class PcmEncoder:
    """An "Opus" whose packets are the samples, later by a look-ahead."""

    def __init__(self, lookahead: int = 104, extra: int = 0) -> None:
        self.lookahead = lookahead
        self.extra = extra
        self._late = np.zeros(lookahead, np.int16)

    def encode(self, pcm: np.ndarray) -> bytes:
        joined = np.concatenate([self._late, pcm])
        self._late = joined[PACKET:]
        return joined[:PACKET].tobytes() + bytes(self.extra)

    def reset(self) -> None:
        self._late = np.zeros(self.lookahead, np.int16)


class Constant:
    """Packets of a fixed size."""

    lookahead = 104

    def __init__(self, size: int) -> None:
        self.size = size
        self.heard: list[np.ndarray] = []

    def encode(self, pcm: np.ndarray) -> bytes:
        self.heard.append(pcm.copy())
        return b"\x48" + bytes(self.size - 1)

    def reset(self) -> None:
        self.heard.clear()

    def set_bitrate(self, value: int) -> None:
        self.size = value // 400

    def set_lbrr(self, value: bool) -> None:
        self.lbrr = value

    def set_loss_pct(self, value: int) -> None:
        self.loss_pct = value


class History:
    """Remembers what a DRED encoder was asked."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def push(self, pcm: np.ndarray) -> None:
        self.calls.append("push")

    def payload(self, redundancy_s: float, q0: int = 6, dq: int = 5) -> bytes:
        self.calls.append(f"payload {redundancy_s} {q0} {dq}")
        return b"D\xd1" + bytes(20)

    def flush(self) -> None:
        self.calls.append("flush")


@dataclass
class Heard:
    pcm: np.ndarray
    source: str
    packet: int | None
    delay_us: int = 0
    cpu_us: float = 1.0


class PcmReceiver:
    """Plays PcmEncoder packets after a constant delay; a lost packet is a block of 7s."""

    def __init__(self, settings: Settings, clock: Callable[[], int]) -> None:
        self.delay_us = 1000 * settings.playout_ms
        self.clock = clock
        self.store: dict[int, np.ndarray] = {}
        self.started_us: int | None = None
        self.next = 0
        self.announced: tuple[int, int] | None = None

    def announce(self, ssrc: int, sequence: int) -> None:
        self.announced = (ssrc, sequence)

    def push(self, datagram: bytes, now_us: int) -> None:
        assert now_us == self.clock()
        packet = rtp.parse(datagram)
        self.store[packet.sequence] = np.frombuffer(packet.payload[: 2 * PACKET], np.int16)
        if self.started_us is None:
            self.started_us = now_us - 20_000 * packet.sequence

    def pull(self) -> Heard:
        silence = np.zeros(PACKET, np.int16)
        if self.started_us is None:
            return Heard(silence, "silence", None)
        if self.clock() < self.started_us + self.delay_us + 20_000 * self.next:
            return Heard(silence, "silence", None)
        number, self.next = self.next, self.next + 1
        if number in self.store:
            return Heard(self.store[number], "opus", number, self.delay_us)
        return Heard(np.full(PACKET, 7, np.int16), "plc", number, self.delay_us)

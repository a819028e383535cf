# SPDX-License-Identifier: BSD-2-Clause
"""Opus packets of any length in the jitter buffer, which holds periods of 20 ms."""

from typing import cast

from dredge_device import jitter
from dredge_device.pi.input.payloads import Block
from dredge_device.pi.input.periods import TICKS_PER_SAMPLE, Period, Pieces, cut
from dredge_device.units import PACKET_US, RTP_TICKS_PER_PACKET


class BlockStore:
    """The writer of blocks into ``buffer``, cut into periods."""

    def __init__(self, buffer: jitter.JitterBuffer) -> None:
        self._buffer = buffer
        self.first = 0  # number of the first period of this sender

    def repeat(self, at: int, block: Block, now_us: int) -> None:
        """Store a redundant block, unless the packet that it repeats has arrived."""
        number = at // RTP_TICKS_PER_PACKET
        too_old = number < self.first or (self._buffer.next is not None and number < self._buffer.next)
        if not too_old and self._buffer.get(number) is None:
            self.put(at, block, now_us)

    def put(self, at: int, block: Block, now_us: int) -> bool:
        """Store a block and return whether a part of it was new and in time."""
        number, stored = at // RTP_TICKS_PER_PACKET, False
        if self._has(number, at % RTP_TICKS_PER_PACKET, block.payload):
            self._buffer.duplicate += 1
            return False
        for after, period in cut(block.payload, block.ticks, at % RTP_TICKS_PER_PACKET):
            if self._insert(number + after, period, now_us + after * PACKET_US):
                stored = True
        return stored

    def _has(self, number: int, offset: int, payload: bytes) -> bool:
        """Return whether the pieces of this same packet are already stored."""
        there = self._buffer.get(number)
        at = offset // TICKS_PER_SAMPLE
        return isinstance(there, Pieces) and any(p.at == at and p.packet == payload for p in there.pieces)

    def _insert(self, number: int, period: Period, now_us: int) -> bool:
        there = self._buffer.get(number)
        played = self._buffer.next is not None and number < self._buffer.next
        if isinstance(there, Pieces) and isinstance(period, Pieces) and not played:
            return there.add(period.pieces[0])
        return cast(bool, self._buffer.insert(number, period, now_us) == jitter.STORED)

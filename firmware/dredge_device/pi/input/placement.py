# SPDX-License-Identifier: BSD-2-Clause
"""The place of one sender's packets on the receiver's time line."""

from bisect import bisect_left, insort
from dataclasses import dataclass

from dredge_device import jitter, rtp
from dredge_device.pi.input.payloads import Block
from dredge_device.telemetry import Counters
from dredge_device.units import PACKET_US, RTP_TICKS_PER_PACKET

_MOST_SKIPPED = 64  # numbers of packets without speech that are remembered
_PAUSE_US = 200_000  # a marked packet this much later than its timestamp says ends a pause without timestamps
_MOST_LOST = 5  # most packets lost at the end of such a pause
_GRAIN = 120  # ticks: 2.5 ms, the shortest Opus frame


@dataclass(slots=True)
class Mark:
    """The place of a packet: running sequence number, timestamp, ticks on the receiver's time line, its length."""

    sequence: int
    timestamp: int
    at: int
    ticks: int

    @property
    def last(self) -> int:
        """The number of the last period that it covers."""
        return (self.at + self.ticks - 1) // RTP_TICKS_PER_PACKET


class Placement:
    """The numbering of packets by period: the running sequence number, plus the periods that the sender left out so far
    in pauses of speech (its timestamp advanced, its sequence number did not).

    Packets longer or shorter than a period are numbered by their timestamps. Periods that were left out are noted in
    ``buffer``; timestamps that cannot be right are counted as ``bad_timestamp``.
    """

    def __init__(self, buffer: jitter.JitterBuffer, counters: Counters) -> None:
        self._buffer = buffer
        self._counters = counters
        self.last: Mark | None = None  # of the newest packet
        self._before: Mark | None = None  # the same, before periods were left out
        self._last_us = 0
        self._marked = True  # the newest packet, by the marker bit
        self._resumed_us: int | None = None  # arrival of the packet that ends a pause without timestamps and marker
        self._skipped: list[int] = []  # running sequence numbers of packets without speech

    def restart(self) -> None:
        """Begin with another sender."""
        self.last = self._before = None
        self._skipped = []

    def begin_at(self, mark: Mark) -> None:
        """Place the first packet of a stream that began before it, as the sender announced."""
        self.last = mark

    def skip(self, sequence: int) -> None:
        """Note that the packet with this running sequence number holds no speech, so that no period is missing for it.
        """
        insort(self._skipped, sequence)
        del self._skipped[:-_MOST_SKIPPED]

    def overdue(self, packet: rtp.RtpPacket, block: Block, now_us: int) -> bool:
        """Return whether a packet goes on from the newest one after a pause, and comes too late to be played."""
        last = self.last
        if last is None or self._buffer.next is None or (packet.marker and not self._marked):
            return False
        step = rtp.distance(packet.sequence, last.sequence & 0xFFFF)
        ticks = signed(packet.timestamp - last.timestamp)
        if not 0 < step <= _MOST_LOST or abs(ticks - step * last.ticks) >= RTP_TICKS_PER_PACKET // 2:
            return False
        passed = (last.at + ticks) // RTP_TICKS_PER_PACKET < self._buffer.next
        return bool(passed and self._stood_still(ticks, now_us))

    def resume(self, arrived_us: int) -> None:
        """Note that this arrival ends a pause that the sender's timestamps do not count."""
        self._resumed_us = arrived_us

    def place(self, packet: rtp.RtpPacket, block: Block, sequence: int, now_us: int) -> int:
        """Return the place where this packet begins on the receiver's time line, in ticks."""
        last = self.last
        if last is None:
            at = sequence * RTP_TICKS_PER_PACKET
            self.last, self._last_us, self._marked = (
                Mark(sequence, packet.timestamp, at, block.ticks), now_us, packet.marker
            )  # fmt: skip
            return at
        step, ticks, least = self._since(last, packet, block, sequence)
        sound = _sound(step, ticks, least)
        if not sound:
            self._counters.add("bad_timestamp")
            if self._before is not None and self._exact(self._before, packet, block, sequence):
                last, self._before = self._before, None  # the jump before this one was the error
                step, _, least = self._since(last, packet, block, sequence)
            ticks = least
        elif abs(ticks - least) < RTP_TICKS_PER_PACKET // 2:
            self._before = None  # the jump is confirmed
            marked = step == 1 and packet.marker and not self._marked  # some senders mark every packet
            if marked or self._resumed_us == now_us:
                ticks += self._stood_still(ticks, now_us)
                self._resumed_us = None
        at = _aligned(last.at + ticks, last, block)
        if step > 0:
            if ticks - least >= RTP_TICKS_PER_PACKET // 2 and self._before is None:
                self._before = last
            if step == 1:
                self._buffer.leave_out(last.last + 1, at // RTP_TICKS_PER_PACKET - 1)
            stamp = packet.timestamp if sound else last.timestamp + ticks
            self.last, self._last_us, self._marked = Mark(sequence, stamp, at, block.ticks), now_us, packet.marker
        return at

    def _stood_still(self, ticks: int, now_us: int) -> int:
        """Return the ticks of a pause that the sender's timestamps do not count (push-to-talk)."""
        idle_us = now_us - self._last_us - ticks * 1000 // 48
        return idle_us // PACKET_US * RTP_TICKS_PER_PACKET if idle_us > _PAUSE_US else 0

    def _since(self, mark: Mark, packet: rtp.RtpPacket, block: Block, sequence: int) -> tuple[int, int, int]:
        """Return the packets with speech and the ticks between a mark and this packet, and the ticks that so many
        packets last.
        """
        between = bisect_left(self._skipped, max(mark.sequence, sequence))
        between -= bisect_left(self._skipped, min(mark.sequence, sequence))
        step = sequence - mark.sequence
        step += -between if step > 0 else between
        return step, signed(packet.timestamp - mark.timestamp), step * min(mark.ticks, block.ticks)

    def _exact(self, mark: Mark, packet: rtp.RtpPacket, block: Block, sequence: int) -> bool:
        _, ticks, least = self._since(mark, packet, block, sequence)
        return abs(ticks - least) < RTP_TICKS_PER_PACKET // 2


def _sound(step: int, ticks: int, least: int) -> bool:
    """Return whether the timestamp may be right: packets that follow each other do not overlap."""
    slack = RTP_TICKS_PER_PACKET // 2 if abs(least) >= abs(step) * RTP_TICKS_PER_PACKET else _GRAIN // 2
    more = (ticks - least) * (1 if step > 0 else -1)
    return -slack <= more <= rtp.MAX_DROPOUT * RTP_TICKS_PER_PACKET + slack


def _aligned(at: int, last: Mark, block: Block) -> int:
    """Return the ticks on the grid: packets of whole periods begin with a period, others on the grid of 2.5 ms."""
    if block.ticks % RTP_TICKS_PER_PACKET:
        return (at + _GRAIN // 2) // _GRAIN * _GRAIN
    if last.ticks % RTP_TICKS_PER_PACKET:  # the stream changes to longer packets in the middle of a period
        return -(-at // RTP_TICKS_PER_PACKET) * RTP_TICKS_PER_PACKET
    return rounded(at) * RTP_TICKS_PER_PACKET


def signed(ticks: int) -> int:
    """Return the distance between two timestamps, with wrap-around."""
    return (ticks + 0x80000000 & 0xFFFFFFFF) - 0x80000000


def rounded(ticks: int) -> int:
    """Return a number of ticks rounded to whole periods."""
    return round(ticks / RTP_TICKS_PER_PACKET)

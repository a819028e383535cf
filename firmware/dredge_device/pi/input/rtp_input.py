# SPDX-License-Identifier: BSD-2-Clause
"""Datagrams to numbered Opus packets in the jitter buffer; whatever is wrong is counted."""

from bisect import bisect_left, insort
from collections.abc import Collection
from dataclasses import dataclass
from typing import cast

from dredge_device import jitter, rtp
from dredge_device.pi.input.payloads import Block, Payloads
from dredge_device.pi.input.periods import TICKS_PER_SAMPLE, Period, Pieces, cut
from dredge_device.pi.interfaces import PacketReader
from dredge_device.telemetry import Arrivals, Counters, Jitter
from dredge_device.units import PACKET_US, RTP_TICKS_PER_PACKET

COUNTERS = (
    "received", "bytes", "malformed", "not_opus", "rtcp", "wrong_duration", "on_trial", "restarts",
    "too_large", "bad_timestamp",
)  # fmt: skip
_MOST_SKIPPED = 64  # numbers of packets without speech that are remembered
_LEAP = 100  # packets: what is further ahead is believed when a second packet goes on from it
_PAUSE_US = 200_000  # a marked packet this much later than its timestamp says ends a pause without timestamps
_GRAIN = 120  # ticks: 2.5 ms, the shortest Opus frame


@dataclass(frozen=True)
class _Mark:
    """Where a packet stands: running sequence number, timestamp, ticks on the receiver's time line, its length."""

    sequence: int
    timestamp: int
    at: int
    ticks: int

    @property
    def last(self) -> int:
        """Number of the last period that it is in."""
        return (self.at + self.ticks - 1) // RTP_TICKS_PER_PACKET


@dataclass
class _Held:
    """A packet that waits for another one to confirm it."""

    packet: rtp.RtpPacket
    blocks: list[Block]
    now_us: int


class RtpInput:
    """Follows one sender and fills the buffer.

    Packets are numbered by period: the running sequence number, plus the periods that the sender
    left out so far because nobody spoke (its timestamp went on, its sequence number did not).
    Packets longer or shorter than a period are numbered by their timestamps (dredge_device.pi.input.periods).
    opus, red: agreed payload types (dredge_device.pi.input.payloads).
    """

    def __init__(
        self, buffer: jitter.JitterBuffer, reader: PacketReader, opus: Collection[int] = (), red: Collection[int] = ()
    ) -> None:
        self._buffer = buffer
        self._reader, self._opus, self._red = reader, opus, red
        self._tracker = rtp.StreamTracker()
        self._payloads = Payloads(reader, opus, red)
        self._others = Payloads(reader, opus, red)  # of a sender that may take over
        self._trial: _Held | None = None
        self._leap: _Held | None = None
        self._announced: tuple[int, int, int | None] | None = None
        self._last: _Mark | None = None  # of the newest packet
        self._before: _Mark | None = None  # the same, before periods were left out
        self._last_us = 0
        self._marked = True  # the newest packet, by the marker bit
        self._skipped: list[int] = []  # running sequence numbers of packets without speech
        self._first = 0  # number of the first period of this sender
        self.arrivals = Arrivals()
        self.counters = Counters(COUNTERS)
        self.jitter = Jitter()

    @property
    def ssrc(self) -> int | None:
        """Who is heard, once somebody is."""
        return self._tracker.ssrc

    @property
    def sequence(self) -> int | None:
        """Running sequence number of the newest packet."""
        return self._last.sequence if self._last else None

    @property
    def packet_ms(self) -> float | None:
        """Length of the newest packet."""
        return self._last.ticks / 48 if self._last else None

    @property
    def payload_type(self) -> int | None:
        """The payload type that carries the speech."""
        return self._payloads.payload_type

    def announce(self, ssrc: int, sequence: int, timestamp: int | None = None) -> None:
        """The sender says that its stream begins with this packet."""
        self._announced = (ssrc, sequence & 0xFFFF, timestamp)

    def rekeyed(self) -> None:
        """The next packet begins a stream, even if its numbers go on from the last one's."""
        self._tracker.ssrc = None

    def finish(self, sequence: int, timestamp: int | None = None) -> None:
        """The sender says that this was its last packet."""
        mark = self._last
        if mark is None:
            return
        ahead = rtp.distance(sequence, mark.sequence & 0xFFFF)
        if abs(ahead) > rtp.MAX_DROPOUT:  # of a sender that was never heard: this stream ends with what has arrived
            self._buffer.finish(mark.last)
            return
        self.arrivals.reached(mark.sequence + ahead)
        ticks = ahead * mark.ticks if timestamp is None else _signed(timestamp - mark.timestamp)
        self._buffer.finish(mark.last + _rounded(ticks))

    def push(self, datagram: bytes, now_us: int) -> bool:
        """One datagram; True when a new sender took over, so that old state must go."""
        packet = self._parse(datagram)
        if packet is None:
            return False
        ours = packet.ssrc == self._tracker.ssrc
        blocks = self._speech(packet, self._payloads if ours or self._tracker.ssrc is None else self._others)
        if not blocks:
            if ours and blocks is not None:
                self._skip(packet)
            return False
        if ours and self._leaps(packet, blocks, now_us):
            return False
        return self._admit(packet, blocks, now_us)

    def _leaps(self, packet: rtp.RtpPacket, blocks: list[Block], now_us: int) -> bool:
        """True for a packet so far ahead that another one must confirm it; the other one brings it along."""
        held, self._leap = self._leap, None
        if held is not None and rtp.distance(packet.sequence, held.packet.sequence) == 1:
            self._admit(held.packet, held.blocks, held.now_us)
            return False
        if not _LEAP < rtp.distance(packet.sequence, self._tracker.highest & 0xFFFF) <= rtp.MAX_DROPOUT:
            return False
        self.counters.add("on_trial")
        self._leap = _Held(packet, blocks, now_us)
        return True

    def _admit(self, packet: rtp.RtpPacket, blocks: list[Block], now_us: int) -> bool:
        generation = self._tracker.generation
        sequence = self._tracker.admit(packet.ssrc, packet.sequence)
        if sequence is None:
            self._trial = _Held(packet, blocks, now_us)
            self.counters.add("on_trial")
            return False
        started = self._tracker.generation != generation
        restarted = started and generation > 0
        if restarted:
            self.counters.add("restarts")
            self._buffer.clear()
            self.jitter.reset()
            self.arrivals.restart()
            self._payloads, self._others = self._others, Payloads(self._reader, self._opus, self._red)
        if started:
            self._begin(packet, blocks, sequence)
        self._trial = None
        self._store(packet, blocks, sequence, now_us)
        return restarted

    def _begin(self, packet: rtp.RtpPacket, blocks: list[Block], sequence: int) -> None:
        self._last = self._before = self._leap = None
        self._skipped = []
        self._first = sequence
        if self._announced is not None and self._announced[0] == packet.ssrc:
            self._from_the_start(packet, blocks[0].ticks, sequence, *self._announced[1:])
        if self._trial is not None and self._trial.packet.ssrc == packet.ssrc:
            held = self._trial  # its successor has just vouched for it
            self._first = min(self._first, sequence - 1)
            self._store(held.packet, held.blocks, sequence - 1, held.now_us)

    def _from_the_start(
        self, packet: rtp.RtpPacket, ticks: int, sequence: int, first: int, stamp: int | None
    ) -> None:
        """Counts the packets and periods since the announced first one."""
        missed = packet.sequence - first & 0xFFFF
        number = sequence
        if stamp is not None:
            number = first + _rounded(_signed(packet.timestamp - stamp))
        if missed < rtp.MAX_DROPOUT:  # else it is long ago: we are the ones who came late
            self.arrivals.announce(sequence - missed)
            self._first = first if stamp is not None else sequence - missed
            self._buffer.announce(self._first)
        self._last = _Mark(sequence, packet.timestamp, number * RTP_TICKS_PER_PACKET, ticks)

    def _skip(self, packet: rtp.RtpPacket) -> None:
        """A packet of our sender without speech: it is not lost, and no period is missing for it."""
        if not -_LEAP <= rtp.distance(packet.sequence, self._tracker.highest & 0xFFFF) <= _LEAP:
            return
        sequence = self._tracker.admit(packet.ssrc, packet.sequence)
        if sequence is not None and self.arrivals.add(sequence):
            insort(self._skipped, sequence)
            del self._skipped[:-_MOST_SKIPPED]

    def _store(self, packet: rtp.RtpPacket, blocks: list[Block], sequence: int, now_us: int) -> None:
        speech = blocks[0]
        at = self._place(packet, speech, sequence, now_us)
        if self.arrivals.add(sequence):
            self.jitter.arrival(packet.timestamp, now_us)
        if self._put(at, speech, now_us):
            self.counters.add("received")
            self.counters.add("bytes", len(packet.payload))
        for earlier in blocks[1:]:
            self._repeat(at + _signed(earlier.timestamp - packet.timestamp), earlier, now_us)

    def _repeat(self, at: int, block: Block, now_us: int) -> None:
        """What a redundant block repeats is used where the packet itself has not come."""
        number = at // RTP_TICKS_PER_PACKET
        too_old = number < self._first or (self._buffer.next is not None and number < self._buffer.next)
        if not too_old and self._buffer.get(number) is None:
            self._put(at, block, now_us)

    def _put(self, at: int, block: Block, now_us: int) -> bool:
        """True when something of the block was new and in time."""
        number, stored = at // RTP_TICKS_PER_PACKET, False
        if self._has(number, at % RTP_TICKS_PER_PACKET, block.payload):
            self._buffer.duplicate += 1
            return False
        for after, period in cut(block.payload, block.ticks, at % RTP_TICKS_PER_PACKET):
            if self._insert(number + after, period, now_us + after * PACKET_US):
                stored = True
        return stored

    def _has(self, number: int, offset: int, payload: bytes) -> bool:
        """True when this very packet waits already, in pieces."""
        there = self._buffer.get(number)
        at = offset // TICKS_PER_SAMPLE
        return isinstance(there, Pieces) and any(p.at == at and p.packet == payload for p in there.pieces)

    def _insert(self, number: int, period: Period, now_us: int) -> bool:
        there = self._buffer.get(number)
        played = self._buffer.next is not None and number < self._buffer.next
        if isinstance(there, Pieces) and isinstance(period, Pieces) and not played:
            return there.add(period.pieces[0])
        return cast(bool, self._buffer.insert(number, period, now_us) == jitter.STORED)

    def _place(self, packet: rtp.RtpPacket, block: Block, sequence: int, now_us: int) -> int:
        """Where this packet begins on the receiver's time line, in ticks."""
        last = self._last
        if last is None:
            at = sequence * RTP_TICKS_PER_PACKET
            self._last, self._last_us, self._marked = (
                _Mark(sequence, packet.timestamp, at, block.ticks), now_us, packet.marker
            )  # fmt: skip
            return at
        step, ticks, least = self._since(last, packet, block, sequence)
        sound = _sound(step, ticks, least)
        if not sound:
            self.counters.add("bad_timestamp")
            if self._before is not None and self._exact(self._before, packet, block, sequence):
                last, self._before = self._before, None  # the jump before this one was the error
                step, _, least = self._since(last, packet, block, sequence)
            ticks = least
        elif abs(ticks - least) < RTP_TICKS_PER_PACKET // 2:
            self._before = None  # the jump is confirmed
            if step == 1 and packet.marker and not self._marked:  # some senders mark every packet
                ticks += self._stood_still(ticks, now_us)
        at = _aligned(last.at + ticks, last, block)
        if step > 0:
            if ticks - least >= RTP_TICKS_PER_PACKET // 2 and self._before is None:
                self._before = last
            if step == 1:
                self._buffer.leave_out(last.last + 1, at // RTP_TICKS_PER_PACKET - 1)
            stamp = packet.timestamp if sound else last.timestamp + ticks
            self._last, self._last_us, self._marked = _Mark(sequence, stamp, at, block.ticks), now_us, packet.marker
        return at

    def _stood_still(self, ticks: int, now_us: int) -> int:
        """Ticks of a pause that the sender's timestamps do not count (push-to-talk)."""
        idle_us = now_us - self._last_us - ticks * 1000 // 48
        return idle_us // PACKET_US * RTP_TICKS_PER_PACKET if idle_us > _PAUSE_US else 0

    def _since(self, mark: _Mark, packet: rtp.RtpPacket, block: Block, sequence: int) -> tuple[int, int, int]:
        """Packets with speech and ticks between a mark and this packet, and the ticks that so many packets last."""
        between = bisect_left(self._skipped, max(mark.sequence, sequence))
        between -= bisect_left(self._skipped, min(mark.sequence, sequence))
        step = sequence - mark.sequence
        step += -between if step > 0 else between
        return step, _signed(packet.timestamp - mark.timestamp), step * min(mark.ticks, block.ticks)

    def _exact(self, mark: _Mark, packet: rtp.RtpPacket, block: Block, sequence: int) -> bool:
        _, ticks, least = self._since(mark, packet, block, sequence)
        return abs(ticks - least) < RTP_TICKS_PER_PACKET // 2

    def _parse(self, datagram: bytes) -> rtp.RtpPacket | None:
        if rtp.is_rtcp(datagram):
            self.counters.add("rtcp")
            return None
        try:
            return rtp.parse(datagram)
        except ValueError:
            self.counters.add("malformed")
            return None

    def _speech(self, packet: rtp.RtpPacket, payloads: Payloads) -> list[Block] | None:
        """The packet's blocks; none for what is no speech, None for what is not what it should be."""
        try:
            blocks = payloads.blocks(packet)
        except MemoryError:
            self.counters.add("too_large")
            return None
        except ValueError:
            self.counters.add("not_opus")
            return None
        if not blocks:
            self.counters.add("not_opus")
        return blocks


def _sound(step: int, ticks: int, least: int) -> bool:
    """True when the timestamp may be right: packets that follow each other do not overlap."""
    slack = RTP_TICKS_PER_PACKET // 2 if abs(least) >= abs(step) * RTP_TICKS_PER_PACKET else _GRAIN // 2
    more = (ticks - least) * (1 if step > 0 else -1)
    return -slack <= more <= rtp.MAX_DROPOUT * RTP_TICKS_PER_PACKET + slack


def _aligned(at: int, last: _Mark, block: Block) -> int:
    """Packets of whole periods begin with a period; others on the grid of 2.5 ms."""
    if block.ticks % RTP_TICKS_PER_PACKET:
        return (at + _GRAIN // 2) // _GRAIN * _GRAIN
    if last.ticks % RTP_TICKS_PER_PACKET:  # the stream changes to longer packets in the middle of a period
        return -(-at // RTP_TICKS_PER_PACKET) * RTP_TICKS_PER_PACKET
    return _rounded(at) * RTP_TICKS_PER_PACKET


def _signed(ticks: int) -> int:
    """The distance between two timestamps, with wrap-around."""
    return (ticks + 0x80000000 & 0xFFFFFFFF) - 0x80000000


def _rounded(ticks: int) -> int:
    """Whole periods."""
    return round(ticks / RTP_TICKS_PER_PACKET)

# SPDX-License-Identifier: BSD-2-Clause
"""Datagrams to numbered Opus packets in the jitter buffer; whatever is wrong is counted."""

from dredge_device import jitter, rtp
from dredge_device.pi.interfaces import PacketReader
from dredge_device.pi.packet_periods import LONGEST, PacketPeriods
from dredge_device.telemetry import Arrivals, Counters, Jitter
from dredge_device.units import PACKET_SAMPLES, RTP_TICKS_PER_PACKET

MAX_PAYLOAD = 3000  # 1275 bytes of Opus and 1000 of DRED fit; more would only fill the memory
COUNTERS = (
    "received", "bytes", "malformed", "not_opus", "rtcp", "wrong_duration", "on_trial", "restarts",
    "too_large", "bad_timestamp",
)  # fmt: skip


class RtpInput:
    """Follows one sender and fills the buffer.

    Packets are numbered by period: the running sequence number, plus the periods that the sender
    left out so far because nobody spoke (its timestamp went on, its sequence number did not).
    """

    def __init__(self, buffer: jitter.JitterBuffer, reader: PacketReader) -> None:
        self._buffer = buffer
        self._reader = reader
        self._tracker = rtp.StreamTracker()
        self._periods = PacketPeriods()
        self._trial: tuple[rtp.RtpPacket, int] | None = None
        self._announced: tuple[int, int, int | None] | None = None
        self._last: tuple[int, int, int] | None = None  # sequence, timestamp, number of the newest
        self._before: tuple[int, int, int] | None = None  # the same, before periods were left out
        self.arrivals = Arrivals()
        self.counters = Counters(COUNTERS)
        self.jitter = Jitter()
        self._when_us = 0  # when the newest packet came

    @property
    def ssrc(self) -> int | None:
        """Who is heard, once somebody is."""
        return self._tracker.ssrc

    @property
    def sequence(self) -> int | None:
        """Running sequence number of the newest packet."""
        return self._periods.newest

    def announce(self, ssrc: int, sequence: int, timestamp: int | None = None) -> None:
        """The sender says that its stream begins with this packet."""
        self._announced = (ssrc, sequence & 0xFFFF, timestamp)

    def rekeyed(self) -> None:
        """The next packet begins a stream, even if its numbers go on from the last one's."""
        self._tracker.ssrc = None

    def finish(self, sequence: int, timestamp: int | None = None) -> None:
        """The sender says that this was its last packet."""
        if self._last is None:
            return
        for part, place in self._periods.flush():
            self._store_period(part, place, self._when_us, False)
        newest, stamp, number = self._last
        real = newest if self._periods.newest is None else self._periods.newest
        ahead = rtp.distance(sequence, real & 0xFFFF)
        if abs(ahead) > rtp.MAX_DROPOUT:  # of a sender that was never heard: this stream ends with what has arrived
            self._buffer.finish(number)
            return
        ahead = self._periods.ahead(real + ahead)
        self.arrivals.reached(newest + ahead)
        if timestamp is not None:
            ahead = _periods(timestamp - stamp)
        self._buffer.finish(number + ahead)

    def push(self, datagram: bytes, now_us: int) -> bool:
        """One datagram; True when a new sender took over, so that old state must go."""
        packet = self._parse(datagram)
        if packet is None:
            return False
        generation = self._tracker.generation
        sequence = self._tracker.admit(packet.ssrc, packet.sequence)
        if sequence is None:
            self._trial = (packet, now_us)
            self.counters.add("on_trial")
            return False
        started = self._tracker.generation != generation
        restarted = started and generation > 0
        if restarted:
            self.counters.add("restarts")
            self._buffer.clear()
            self.jitter.reset()
            self.arrivals.restart()
        if started:
            self._begin(packet, sequence)
        self._trial = None
        self._store(packet, sequence, now_us)
        return restarted

    def _begin(self, packet: rtp.RtpPacket, sequence: int) -> None:
        self._last = self._before = None
        self._periods = PacketPeriods()
        if self._announced is not None and self._announced[0] == packet.ssrc:
            self._from_the_start(packet, sequence, *self._announced[1:])
        if self._trial is not None and self._trial[0].ssrc == packet.ssrc:
            held, when = self._trial  # its successor has just vouched for it
            self._store(held, sequence - 1, when)

    def _from_the_start(self, packet: rtp.RtpPacket, sequence: int, first: int, stamp: int | None) -> None:
        """Counts the packets and periods since the announced first one."""
        missed = packet.sequence - first & 0xFFFF
        number = sequence
        if stamp is not None:
            number = first + _periods(packet.timestamp - stamp)
        if missed < rtp.MAX_DROPOUT:  # else it is long ago: we are the ones who came late
            self.arrivals.announce(sequence - missed)
            self._buffer.announce(first if stamp is not None else sequence - missed)
        self._last = (sequence, packet.timestamp, number)

    def _store(self, packet: rtp.RtpPacket, sequence: int, now_us: int) -> None:
        self._when_us = now_us
        first = True
        for period, place in self._periods.split(packet, sequence, self._reader.samples(packet.payload)):
            self._store_period(period, place, now_us, first)
            first = False

    def _store_period(self, packet: rtp.RtpPacket, sequence: int, now_us: int, first: bool) -> None:
        """20 ms; first: they are the beginning of what arrived now."""
        number = self._number(packet, sequence)
        if self.arrivals.add(sequence) and first:
            self.jitter.arrival(packet.timestamp, now_us)
        if self._buffer.insert(number, packet.payload, now_us) == jitter.STORED:
            self.counters.add("received")
            self.counters.add("bytes", len(packet.payload) if first else 0)

    def _number(self, packet: rtp.RtpPacket, sequence: int) -> int:
        if self._last is None:
            self._last = (sequence, packet.timestamp, sequence)
            return sequence
        step, periods = self._since(self._last, packet, sequence)
        sound = 0 <= (periods - step) * (1 if step > 0 else -1) <= rtp.MAX_DROPOUT
        if not sound:
            self.counters.add("bad_timestamp")
            if self._before is not None and len(set(self._since(self._before, packet, sequence))) == 1:
                self._last, self._before = self._before, None  # the jump before this one was the error
                step = sequence - self._last[0]
            periods = step
        elif periods == step:
            self._before = None  # the jump is confirmed
        number = self._last[2]
        stamp = packet.timestamp if sound else self._last[1] + periods * RTP_TICKS_PER_PACKET
        if step > 0:
            if periods > step and self._before is None:
                self._before = self._last
            if step == 1 and periods > 1:
                self._buffer.leave_out(number + 1, number + periods - 1)
            self._last = (sequence, stamp, number + periods)
        return number + periods

    def _since(self, mark: tuple[int, int, int], packet: rtp.RtpPacket, sequence: int) -> tuple[int, int]:
        """Packets and periods between a mark and this packet."""
        return sequence - mark[0], _periods(packet.timestamp - mark[1])

    def _parse(self, datagram: bytes) -> rtp.RtpPacket | None:
        if rtp.is_rtcp(datagram):
            self.counters.add("rtcp")
            return None
        try:
            packet = rtp.parse(datagram)
        except ValueError:
            self.counters.add("malformed")
            return None
        if len(packet.payload) > MAX_PAYLOAD:
            self.counters.add("too_large")
            return None
        if packet.payload_type < 96 or not packet.payload:
            self.counters.add("not_opus")
            return None
        try:
            samples = self._reader.samples(packet.payload)
            short = 0 < samples < PACKET_SAMPLES and PACKET_SAMPLES % samples == 0
            fits = short or (0 < samples <= LONGEST and samples % PACKET_SAMPLES == 0)
        except (ValueError, RuntimeError):
            self.counters.add("not_opus")
            return None
        if not fits:
            self.counters.add("wrong_duration")
            return None
        return packet


def _periods(ticks: int) -> int:
    """Whole packet periods between two timestamps, with wrap-around."""
    ticks = (ticks + 0x80000000 & 0xFFFFFFFF) - 0x80000000
    return round(ticks / RTP_TICKS_PER_PACKET)

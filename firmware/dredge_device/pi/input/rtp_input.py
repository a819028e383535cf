# SPDX-License-Identifier: BSD-2-Clause
"""The RTP input: stores datagrams as numbered Opus packets in the jitter buffer and counts faulty ones."""

from collections.abc import Collection

from dredge_device import jitter, rtp
from dredge_device.pi.input.block_store import BlockStore
from dredge_device.pi.input.payloads import Block
from dredge_device.pi.input.placement import Mark, Placement, rounded, signed
from dredge_device.pi.input.reading import Reading
from dredge_device.pi.input.trials import Held, Trials, within_reach
from dredge_device.pi.interfaces import PacketReader
from dredge_device.telemetry import Arrivals, Counters, Jitter
from dredge_device.units import RTP_TICKS_PER_PACKET

COUNTERS = (
    "received", "bytes", "malformed", "not_opus", "rtcp", "wrong_duration", "on_trial", "restarts",
    "too_large", "bad_timestamp",
)  # fmt: skip
class RtpInput:
    """The input of one sender, which fills the buffer.

    Packets are numbered by period (placement) and cut into periods (block_store). opus, red: agreed types (payloads).
    """

    def __init__(
        self, buffer: jitter.JitterBuffer, reader: PacketReader, opus: Collection[int] = (), red: Collection[int] = ()
    ) -> None:
        self._buffer = buffer
        self._tracker = rtp.StreamTracker()
        self._trial: Held | None = None
        self._announced: tuple[int, int, int | None] | None = None
        self.arrivals = Arrivals()
        self.counters = Counters(COUNTERS)
        self.jitter = Jitter()
        self._reading = Reading(reader, self.counters, opus, red)
        self._placement = Placement(buffer, self.counters)
        self._trials = Trials(self._placement, self.counters)
        self._store = BlockStore(buffer)

    @property
    def ssrc(self) -> int | None:
        """The SSRC of the current sender, None before the first packet."""
        return self._tracker.ssrc

    @property
    def sequence(self) -> int | None:
        """Running sequence number of the newest packet."""
        return self._placement.last.sequence if self._placement.last else None

    @property
    def packet_us(self) -> int | None:
        """The length of the newest packet in microseconds, None before the first."""
        return self._placement.last.ticks * 1000 // 48 if self._placement.last else None

    @property
    def payload_type(self) -> int | None:
        """The payload type that carries the speech."""
        return self._reading.payload_type

    def counts(self) -> dict[str, int]:
        """Return all counters; ``encrypted`` only where packets look like that."""
        encrypted = self._reading.plausibility.encrypted
        return {**self.counters.snapshot(), **({"encrypted": encrypted} if encrypted else {})}

    def announce(self, ssrc: int, sequence: int, timestamp: int | None = None) -> None:
        """Note that the sender's stream begins with this packet."""
        self._announced = (ssrc, sequence & 0xFFFF, timestamp)

    def rekeyed(self) -> None:
        """Begin a new stream with the next packet, even if its numbers go on from the last one's."""
        self._tracker.ssrc = None

    def finish(self, sequence: int, timestamp: int | None = None) -> None:
        """Note that this was the sender's last packet."""
        if (mark := self._placement.last) is None:
            return
        ahead = rtp.distance(sequence, mark.sequence & 0xFFFF)
        if abs(ahead) > rtp.MAX_DROPOUT:  # the number of another stream: this one ends with the newest packet
            self._buffer.finish(mark.last)
            return
        self.arrivals.reached(mark.sequence + ahead)
        ticks = ahead * mark.ticks if timestamp is None else signed(timestamp - mark.timestamp)
        self._buffer.finish(mark.last + rounded(ticks))

    def push(self, datagram: bytes, now_us: int) -> bool:
        """Take in one datagram; return True when a new sender took over, so that the old state must be reset."""
        packet = self._reading.packet(datagram)
        if packet is None:
            return False
        ours = packet.ssrc == self._tracker.ssrc
        blocks = self._reading.speech(packet, others=not ours and self._tracker.ssrc is not None)
        if not blocks:
            if ours and blocks is not None:
                self._skip(packet)
            return False
        arrived = Held(packet, blocks, now_us)
        passed = self._trials.passed(arrived, self._tracker.highest) if ours else [arrived]
        return any([self._admit(held.packet, held.blocks, held.now_us) for held in passed])

    def _admit(self, packet: rtp.RtpPacket, blocks: list[Block], now_us: int) -> bool:
        generation = self._tracker.generation
        sequence = self._tracker.admit(packet.ssrc, packet.sequence)
        if sequence is None:
            self._trial = Held(packet, blocks, now_us)
            self.counters.add("on_trial")
            return False
        started = self._tracker.generation != generation
        restarted = started and generation > 0
        if restarted:
            self.counters.add("restarts")
            self._buffer.clear()
            self.jitter.reset()
            self.arrivals.restart()
            self._reading.take_over()
        if started:
            self._begin(packet, blocks, sequence)
        self._trial = None
        self._keep(packet, blocks, sequence, now_us)
        return restarted

    def _begin(self, packet: rtp.RtpPacket, blocks: list[Block], sequence: int) -> None:
        self._trials.clear()
        self._placement.restart()
        self._store.first = sequence
        if self._announced is not None and self._announced[0] == packet.ssrc:
            self._from_the_start(packet, blocks[0].ticks, sequence, *self._announced[1:])
        if self._trial is not None and self._trial.packet.ssrc == packet.ssrc:
            held = self._trial  # its successor has just confirmed it
            self._store.first = min(self._store.first, sequence - 1)
            self._keep(held.packet, held.blocks, sequence - 1, held.now_us)

    def _from_the_start(
        self, packet: rtp.RtpPacket, ticks: int, sequence: int, first: int, stamp: int | None
    ) -> None:
        """Count the packets and periods since the announced first one."""
        missed = packet.sequence - first & 0xFFFF
        number = sequence
        if stamp is not None:
            number = first + rounded(signed(packet.timestamp - stamp))
        if missed < rtp.MAX_DROPOUT:  # else the stream began long ago and this receiver joined late
            self.arrivals.announce(sequence - missed)
            self._store.first = first if stamp is not None else sequence - missed
            self._buffer.announce(self._store.first)
        self._placement.begin_at(Mark(sequence, packet.timestamp, number * RTP_TICKS_PER_PACKET, ticks))

    def _skip(self, packet: rtp.RtpPacket) -> None:
        """Note a packet of our sender without speech: it is not lost, and no period is missing for it."""
        if not within_reach(packet, self._tracker.highest):
            return
        sequence = self._tracker.admit(packet.ssrc, packet.sequence)
        if sequence is not None and self.arrivals.add(sequence):
            self._placement.skip(sequence)

    def _keep(self, packet: rtp.RtpPacket, blocks: list[Block], sequence: int, now_us: int) -> None:
        speech = blocks[0]
        at = self._placement.place(packet, speech, sequence, now_us)
        if self.arrivals.add(sequence):
            self.jitter.arrival(packet.timestamp, now_us)
        if self._store.put(at, speech, now_us):
            self.counters.add("received")
            self.counters.add("bytes", len(packet.payload))
        for earlier in blocks[1:]:
            self._store.repeat(at + signed(earlier.timestamp - packet.timestamp), earlier, now_us)

# SPDX-License-Identifier: BSD-2-Clause
"""Datagrams to numbered Opus packets in the jitter buffer; whatever is wrong is counted."""

from dredge_device import jitter, rtp
from dredge_device.pi.parts import Carrier
from dredge_device.telemetry import Counters, Jitter

PACKET_SAMPLES = 320
COUNTERS = (
    "received", "bytes", "malformed", "not_opus", "rtcp", "wrong_duration", "on_trial", "restarts",
)  # fmt: skip


class Intake:
    """Follows one sender and fills the buffer."""

    def __init__(self, buffer: jitter.JitterBuffer, carrier: Carrier) -> None:
        self._buffer = buffer
        self._carrier = carrier
        self._tracker = rtp.StreamTracker()
        self._trial: tuple[rtp.RtpPacket, int] | None = None
        self._announced: tuple[int, int] | None = None
        self.counters = Counters(COUNTERS)
        self.jitter = Jitter()

    @property
    def ssrc(self) -> int | None:
        """Who is heard, once somebody is."""
        return self._tracker.ssrc

    def announce(self, ssrc: int, sequence: int) -> None:
        """The sender says that its stream begins with this packet."""
        self._announced = (ssrc, sequence & 0xFFFF)

    def finish(self, sequence: int) -> None:
        """The sender says that this was its last packet."""
        highest = self._buffer.highest
        if highest is not None:
            self._buffer.finish(highest + rtp.distance(sequence, highest & 0xFFFF))

    def push(self, datagram: bytes, now_us: int) -> bool:
        """One datagram; True when a new sender took over, so that old state must go."""
        packet = self._parse(datagram)
        if packet is None:
            return False
        generation = self._tracker.generation
        number = self._tracker.admit(packet.ssrc, packet.sequence)
        if number is None:
            self._trial = (packet, now_us)
            self.counters.add("on_trial")
            return False
        started = self._tracker.generation != generation
        restarted = started and generation > 0
        if restarted:
            self.counters.add("restarts")
            self._buffer.clear()
            self.jitter.reset()
        if started:
            self._begin(packet, number)
        self._trial = None
        self._store(packet, number, now_us)
        return restarted

    def _begin(self, packet: rtp.RtpPacket, number: int) -> None:
        if self._announced is not None and self._announced[0] == packet.ssrc:
            self._buffer.announce(number - (packet.sequence - self._announced[1] & 0xFFFF))
        if self._trial is not None and self._trial[0].ssrc == packet.ssrc:
            held, when = self._trial  # its successor has just vouched for it
            self._store(held, number - 1, when)

    def _store(self, packet: rtp.RtpPacket, number: int, now_us: int) -> None:
        if self._buffer.insert(number, packet.payload, now_us) == jitter.STORED:
            self.counters.add("received")
            self.counters.add("bytes", len(packet.payload))
        self.jitter.arrival(packet.timestamp, now_us)

    def _parse(self, datagram: bytes) -> rtp.RtpPacket | None:
        if rtp.is_rtcp(datagram):
            self.counters.add("rtcp")
            return None
        try:
            packet = rtp.parse(datagram)
        except ValueError:
            self.counters.add("malformed")
            return None
        if packet.payload_type < 96 or not packet.payload:
            self.counters.add("not_opus")
            return None
        try:
            fits = self._carrier.samples(packet.payload) == PACKET_SAMPLES
        except (ValueError, RuntimeError):
            self.counters.add("not_opus")
            return None
        if not fits:
            self.counters.add("wrong_duration")
            return None
        return packet

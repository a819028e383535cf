# SPDX-License-Identifier: BSD-2-Clause
"""Datagrams read as RTP packets of the current sender, or of one that may take over."""

from collections.abc import Collection

from dredge_device import rtp
from dredge_device.pi.input.payloads import DYNAMIC, Block, Payloads
from dredge_device.pi.input.plausibility import Plausibility
from dredge_device.pi.interfaces import PacketReader
from dredge_device.telemetry import Counters


class Reading:
    """The reading of packets and their speech; other datagrams are counted. opus, red: agreed payload types
    (dredge_device.pi.input.payloads).
    """

    def __init__(
        self, reader: PacketReader, counters: Counters, opus: Collection[int] = (), red: Collection[int] = ()
    ) -> None:
        self._reader, self._opus, self._red = reader, opus, red
        self._counters = counters
        self._payloads = self._new()
        self._others = self._new()  # the payloads of a sender that may take over
        self.plausibility = Plausibility()

    def _new(self) -> Payloads:
        return Payloads(self._reader, self._opus, self._red)

    @property
    def payload_type(self) -> int | None:
        """The payload type that carries the speech."""
        return self._payloads.payload_type

    def take_over(self) -> None:
        """Follow the other sender from now on."""
        self._payloads, self._others = self._others, self._new()
        self.plausibility = Plausibility()

    def packet(self, datagram: bytes) -> rtp.RtpPacket | None:
        """Return the RTP packet, None for something else."""
        if rtp.is_rtcp(datagram):
            self._counters.add("rtcp")
            return None
        try:
            return rtp.parse(datagram)
        except ValueError:
            self._counters.add("malformed")
            return None

    def speech(self, packet: rtp.RtpPacket, others: bool) -> list[Block] | None:
        """Return the packet's blocks; an empty list for no speech, None for a malformed payload."""
        if packet.payload and packet.payload_type in DYNAMIC and not others:
            self.plausibility.payload(packet.payload)
        try:
            blocks = (self._others if others else self._payloads).blocks(packet)
        except MemoryError:
            self._counters.add("too_large")
            return None
        except ValueError:
            self._counters.add("not_opus")
            return None
        if not blocks:
            self._counters.add("not_opus")
        return blocks

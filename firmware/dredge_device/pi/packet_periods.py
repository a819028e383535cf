# SPDX-License-Identifier: BSD-2-Clause
"""RTP packets of any duration (2.5 to 120 ms, RFC 7587) as packets of 20 ms, which are what playout counts.

A longer packet becomes several: the first holds it, the others are parts of it. Shorter ones become one that holds
several. Both are bytes, those of the first Opus packet in them, so that a jitter buffer holds them like any other;
PeriodDecoder and PeriodReader know what they are. A stream of 20 ms packets passes as it is.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from dredge_device.pi.interfaces import Decoder, PacketReader, Pcm
from dredge_device.rtp import RtpPacket
from dredge_device.units import PACKET_SAMPLES, RTP_TICKS_PER_PACKET

TICKS_PER_SAMPLE = RTP_TICKS_PER_PACKET // PACKET_SAMPLES
LONGEST = 6 * PACKET_SAMPLES  # 120 ms (RFC 6716)


class Part(bytes):
    """20 ms of a longer Opus packet, from its beginning at ``place`` times 20 ms; all parts hold the whole packet."""

    place: int


class Several(bytes):
    """20 ms of shorter Opus packets: (samples, packet) in order; a packet of None was lost."""

    pieces: list[tuple[int, bytes | None]]


class PacketPeriods:
    """Numbers 20 ms packets: ``split`` takes the packets of one stream with their running sequence numbers."""

    def __init__(self) -> None:
        self._base = (0, 0)  # running sequence number, and the number of the period that begins with it
        self._newest: tuple[int, int, int] | None = None  # sequence, timestamp, ticks of the newest packet
        self._samples = PACKET_SAMPLES
        self._open: tuple[int, RtpPacket, dict[int, bytes]] | None = None  # number, packet, pieces by their place

    def split(self, packet: RtpPacket, sequence: int, samples: int) -> Iterator[tuple[RtpPacket, int]]:
        """Packets of 20 ms with their numbers; samples: what the packet lasts at 16 kHz."""
        if self._newest is None:
            self._base = (sequence, sequence)
        elif samples != self._samples or self._jumped(packet, sequence):
            yield from self.flush()
            last, _, _ = self._newest
            self._base = (sequence, self._number(sequence) if sequence > last else self._number(last) + 1)
        self._samples = samples
        if self._newest is None or sequence > self._newest[0]:
            self._newest = (sequence, packet.timestamp, samples * TICKS_PER_SAMPLE)
        if samples < PACKET_SAMPLES:
            yield from self._collect(packet, sequence)
            return
        number = self._number(sequence)
        yield _with(packet, packet.payload if samples == PACKET_SAMPLES else _part(packet.payload, 0), 0), number
        for index in range(1, -(-samples // PACKET_SAMPLES)):
            yield _with(packet, _part(packet.payload, index), index), number + index

    def flush(self) -> Iterator[tuple[RtpPacket, int]]:
        """A period whose other packets will not come."""
        if self._open is not None:
            number, packet, pieces = self._open
            self._open = None
            places = PACKET_SAMPLES // self._samples
            several = Several(next(iter(pieces.values())))
            several.pieces = [(self._samples, pieces.get(place)) for place in range(places)]
            yield _with(packet, several, 0), number

    @property
    def newest(self) -> int | None:
        """Running sequence number of the newest packet."""
        return None if self._newest is None else self._newest[0]

    def ahead(self, sequence: int) -> int:
        """How many periods after that of the newest packet another one ends, if they last equally long."""
        return 0 if self._newest is None else self._end(sequence) - self._end(self._newest[0])

    def _end(self, sequence: int) -> int:
        """The last period that a packet is in."""
        return self._number(sequence + 1) - 1 if self._samples >= PACKET_SAMPLES else self._number(sequence)

    def _number(self, sequence: int) -> int:
        first, number = self._base
        if self._samples >= PACKET_SAMPLES:
            return number + (sequence - first) * -(-self._samples // PACKET_SAMPLES)
        return number + (sequence - first) * self._samples // PACKET_SAMPLES

    def _jumped(self, packet: RtpPacket, sequence: int) -> bool:
        """The sender paused: shorter packets before and after that do not share a period."""
        if self._samples >= PACKET_SAMPLES or self._newest is None:
            return False
        last, stamp, ticks = self._newest
        return sequence == last + 1 and (packet.timestamp - stamp) & 0xFFFFFFFF != ticks

    def _collect(self, packet: RtpPacket, sequence: int) -> Iterator[tuple[RtpPacket, int]]:
        number = self._number(sequence)
        place = (sequence - self._base[0]) * self._samples % PACKET_SAMPLES // self._samples
        if self._open is not None and self._open[0] != number:
            yield from self.flush()
        if self._open is None:
            start = (packet.timestamp - place * self._samples * TICKS_PER_SAMPLE) & 0xFFFFFFFF
            whole = RtpPacket(packet.payload_type, packet.sequence, start, packet.ssrc, b"", packet.marker)
            self._open = (number, whole, {})
        self._open[2][place] = packet.payload
        if len(self._open[2]) == PACKET_SAMPLES // self._samples:
            yield from self.flush()


def _part(payload: bytes, index: int) -> Part:
    part = Part(payload)
    part.place = index
    return part


def _with(packet: RtpPacket, payload: bytes, index: int) -> RtpPacket:
    stamp = (packet.timestamp + index * RTP_TICKS_PER_PACKET) & 0xFFFFFFFF
    return RtpPacket(packet.payload_type, packet.sequence, stamp, packet.ssrc, payload, packet.marker)


class PeriodDecoder:
    """Decodes what PacketPeriods made, 20 ms each; an ordinary packet as the decoder within does."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._whole: tuple[bytes, int, Pcm] | None = None  # a long packet, its next part, its samples
        self.decode_fec, self.conceal = decoder.decode_fec, decoder.conceal

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoder, name)

    def decode(self, packet: bytes) -> Pcm:
        """int16[320]. Raises RuntimeError or ValueError for a damaged packet."""
        if isinstance(packet, Part):
            return self._part(packet)
        if isinstance(packet, Several):
            pieces = [
                self._decoder.conceal(size) if piece is None else self._decoder.decode(piece)
                for size, piece in packet.pieces
            ]
            return np.concatenate(pieces)[:PACKET_SAMPLES]
        return self._decoder.decode(packet)

    def _part(self, packet: Part) -> Pcm:
        whole, self._whole = self._whole, None
        if packet.place == 0 or whole is None or whole[:2] != (packet, packet.place):
            pcm = self._decoder.decode(bytes(packet))
            if len(pcm) % PACKET_SAMPLES:
                pcm = np.concatenate([pcm, np.zeros(-len(pcm) % PACKET_SAMPLES, np.int16)])
        else:
            pcm = whole[2]
        start = packet.place * PACKET_SAMPLES
        if start + PACKET_SAMPLES < len(pcm):
            self._whole = (packet, packet.place + 1, pcm)
        return np.ascontiguousarray(pcm[start : start + PACKET_SAMPLES])

    def reset(self) -> None:
        """Forgets the stream."""
        self._whole = None
        self._decoder.reset()


class PeriodReader:
    """Reads what PacketPeriods made. Low-rate copies are used of 20 ms packets only: those of others last longer."""

    def __init__(self, reader: PacketReader) -> None:
        self._reader = reader
        self.samples, self.is_dtx = reader.samples, reader.is_dtx

    def has_lbrr(self, packet: bytes) -> bool:
        """True when the packet repeats the 20 ms before it."""
        return not isinstance(packet, Part | Several) and self._reader.has_lbrr(packet)

    def dred(self, packet: bytes) -> bytes | None:
        """Redundancy of a packet that begins with this period."""
        return None if isinstance(packet, Part) and packet.place else self._reader.dred(packet)

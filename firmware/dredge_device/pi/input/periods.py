# SPDX-License-Identifier: BSD-2-Clause
"""Opus packets of any length as periods of 20 ms, and back to samples.

A packet of 20 ms is a period as it is. Longer ones are played over several periods, shorter ones share one; the pieces
of a period are kept beside the packets, and the decoder decodes every packet once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dredge_device.pi.interfaces import Decoder, PacketReader, Pcm
from dredge_device.units import PACKET_SAMPLES, RTP_TICKS_PER_PACKET

TICKS_PER_SAMPLE = RTP_TICKS_PER_PACKET // PACKET_SAMPLES


class Piece:
    """Samples start … stop of a packet, played from sample ``at`` of the period on."""

    __slots__ = ("at", "packet", "start", "stop")

    def __init__(self, packet: bytes, start: int, stop: int, at: int) -> None:
        self.packet, self.start, self.stop, self.at = packet, start, stop, at


class Pieces:
    """A period that is not one packet of 20 ms: its pieces in order of time."""

    def __init__(self, piece: Piece) -> None:
        self.pieces = [piece]

    def add(self, piece: Piece) -> bool:
        """Add a piece; return False when its place is already taken."""
        end = piece.at + piece.stop - piece.start
        if any(piece.at < p.at + p.stop - p.start and p.at < end for p in self.pieces):
            return False
        self.pieces.append(piece)
        self.pieces.sort(key=lambda p: p.at)
        return True

    @property
    def head(self) -> bytes | None:
        """The packet that begins at the start of the period, from which the times of its redundancy count."""
        first = self.pieces[0]
        return first.packet if first.at == 0 and first.start == 0 else None

    def __getitem__(self, index: int) -> int:
        """Return a byte of the first packet, whose first one says how it is coded."""
        return self.pieces[0].packet[index]

    def __len__(self) -> int:
        """Return the number of bytes of the packets that begin in this period."""
        return sum(len(p.packet) for p in self.pieces if p.start == 0) or 1


Period = bytes | Pieces


def is_whole(period: Period) -> bool:
    """Return whether nothing of these 20 ms is missing."""
    return not isinstance(period, Pieces) or sum(p.stop - p.start for p in period.pieces) == PACKET_SAMPLES


def cut(payload: bytes, ticks: int, offset: int) -> Iterator[tuple[int, Period]]:
    """Yield (periods after the first, the piece in it) of a packet that begins ``offset`` ticks into a period."""
    if offset == 0 and ticks == RTP_TICKS_PER_PACKET:
        yield 0, payload
        return
    at, samples, done, period = offset // TICKS_PER_SAMPLE, ticks // TICKS_PER_SAMPLE, 0, 0
    while done < samples:
        stop = min(samples, done + PACKET_SAMPLES - at)
        yield period, Pieces(Piece(payload, done, stop, at))
        done, at, period = stop, 0, period + 1


class PeriodReader:
    """A reader of the contents of a period (dredge_device.pi.interfaces.PacketReader, of packets and of pieces)."""

    def __init__(self, reader: PacketReader) -> None:
        self._reader = reader

    def samples(self, packet: bytes) -> int:
        """Return the duration of a packet in samples at 16 kHz."""
        return self._reader.samples(packet)

    def has_lbrr(self, packet: Period) -> bool:
        """Return whether it repeats exactly the period before it, which only packets of 20 ms do."""
        return not isinstance(packet, Pieces) and self._reader.has_lbrr(packet)

    def is_dtx(self, packet: Period) -> bool:
        """Return whether it announces a pause of speech."""
        if isinstance(packet, Pieces):
            return all(self._reader.is_dtx(piece.packet) for piece in packet.pieces)
        return self._reader.is_dtx(packet)

    def dred(self, packet: Period) -> bytes | None:
        """Return the DRED data, whose times count from the period's beginning."""
        if isinstance(packet, Pieces):
            return None if packet.head is None else self._reader.dred(packet.head)
        return self._reader.dred(packet)


class PeriodDecoder:
    """A decoder of periods (dredge_device.pi.interfaces.Decoder, of packets and of pieces): int16[320 * scale] each.

    The decoder conceals the missing parts of a period. scale: its sample rate over 16 kHz.
    """

    def __init__(self, decoder: Decoder, scale: int = 1) -> None:
        self._decoder, self._scale = decoder, scale
        self._packet: bytes | None = None  # the last decoded packet, while some of its samples have not been returned
        self._pcm: Pcm = np.zeros(0, np.int16)

    def decode(self, packet: Period) -> Pcm:
        """Return the period's samples."""
        if not isinstance(packet, Pieces):
            self._packet = None
            return self._decoder.decode(packet)
        out: list[Pcm] = []
        filled = 0
        for piece in packet.pieces:
            if piece.at > filled:
                out.append(self._decoder.conceal((piece.at - filled) * self._scale))
            out.append(self._whole(piece.packet)[piece.start * self._scale : piece.stop * self._scale])
            filled = piece.at + piece.stop - piece.start
        if filled < PACKET_SAMPLES:
            out.append(self._decoder.conceal((PACKET_SAMPLES - filled) * self._scale))
        return out[0] if len(out) == 1 else np.concatenate(out)

    def decode_fec(self, packet: Period, samples: int = PACKET_SAMPLES) -> Pcm:
        """Return the period before this packet, from its low-rate copy."""
        self._packet = None
        assert not isinstance(packet, Pieces)  # has_lbrr says that there is none
        return self._decoder.decode_fec(packet, samples)

    def conceal(self, samples: int = PACKET_SAMPLES) -> Pcm:
        """Return the decoder's own concealment."""
        self._packet = None
        return self._decoder.conceal(samples)

    def reset(self) -> None:
        """Forget everything, as before the first packet."""
        self._packet = None
        self._decoder.reset()

    def _whole(self, packet: bytes) -> Pcm:
        if packet is not self._packet:
            self._pcm = self._decoder.decode(packet)
            self._packet = packet
        return self._pcm

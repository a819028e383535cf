# SPDX-License-Identifier: BSD-2-Clause
"""The payload of RTP packets: Opus, Opus in redundant blocks (RFC 2198), or a payload without speech.

The payload types of Opus are agreed by SDP; without an agreement the first type that carries Opus is taken.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from dredge_device import rtp
from dredge_device.pi.interfaces import PacketReader
from dredge_device.units import RTP_CLOCK_HZ, RTP_TICKS_PER_PACKET, SAMPLE_RATE

DYNAMIC = range(96, 128)
MAX_PAYLOAD = 3000  # 1275 bytes of Opus and 1000 of DRED fit; longer payloads are refused to bound the memory
TICKS_PER_SAMPLE = RTP_CLOCK_HZ // SAMPLE_RATE
LONGEST_TICKS = 6 * RTP_TICKS_PER_PACKET  # 120 ms, the longest Opus packet
_ASSIGNED = 35  # payload types below are other codecs (RFC 3551 table 4)
_CHANGED = 3  # packets of another payload type in a row: the stream has changed to it


class PayloadTypes(NamedTuple):
    """The payload types agreed by SDP: of Opus, and of redundant blocks of Opus (RFC 2198)."""

    opus: frozenset[int] = frozenset()
    red: frozenset[int] = frozenset()


NOT_AGREED = PayloadTypes()


@dataclass(slots=True)
class Block:
    """One Opus packet; ticks: its length on the 48 kHz clock."""

    timestamp: int
    payload: bytes
    ticks: int


class Payloads:
    """The reading of one sender's payloads.

    opus, red: payload types that were agreed on; with none, the type is learnt from the packets, and changes when three
    packets in a row have another one that carries Opus.
    """

    def __init__(self, reader: PacketReader, opus: Collection[int] = (), red: Collection[int] = ()) -> None:
        self._reader = reader
        self._opus, self._red = frozenset(opus), frozenset(red)
        self._learnt: int | None = None
        self._other: tuple[int, int] = (0, 0)  # payload type, how many in a row

    @property
    def payload_type(self) -> int | None:
        """The payload type of Opus, None until it is known."""
        return self._learnt

    def forget(self) -> None:
        """Forget the sender, since another one begins."""
        self._learnt, self._other = None, (0, 0)

    def blocks(self, packet: rtp.RtpPacket) -> list[Block]:
        """Return the packet's speech, the newest first, then what it repeats of earlier packets.

        The list is empty for a packet without speech (padding only, telephone events, comfort noise, another codec).
        Raises ValueError for malformed Opus, MemoryError for a payload larger than any Opus packet.
        """
        if not packet.payload:
            return []
        if len(packet.payload) > MAX_PAYLOAD:
            raise MemoryError
        kind = packet.payload_type
        if kind in self._red or (kind not in self._known() and self._looks_redundant(packet)):
            return self._redundant(packet)
        if kind not in self._known() and not self._learn(packet):
            return []
        block = self._block(packet.timestamp, packet.payload)
        self._other = (0, 0)
        self._learnt = kind
        return [block]

    def _known(self) -> Collection[int]:
        if self._opus:
            return self._opus
        return () if self._learnt is None else (self._learnt,)

    def _learn(self, packet: rtp.RtpPacket) -> bool:
        """Learn the payload type from a packet; return whether its type is Opus from now on."""
        kind = packet.payload_type
        if self._opus or kind not in DYNAMIC:
            return False
        if self._learnt is None:
            return True
        try:
            self._block(packet.timestamp, packet.payload)
        except ValueError:
            return False
        self._other = (kind, self._other[1] + 1 if self._other[0] == kind else 1)
        return self._other[1] >= _CHANGED

    def _block(self, timestamp: int, payload: bytes) -> Block:
        try:
            ticks = self._reader.samples(payload) * TICKS_PER_SAMPLE
        except RuntimeError as error:
            raise ValueError(str(error)) from None
        if not 0 < ticks <= LONGEST_TICKS:
            raise ValueError(f"packet of {ticks} ticks")
        return Block(timestamp & 0xFFFFFFFF, payload, ticks)

    def _looks_redundant(self, packet: rtp.RtpPacket) -> bool:
        """Return whether these are block headers of RFC 2198 in front of a type known as Opus, where nothing was
        agreed.
        """
        if self._red or packet.payload_type < _ASSIGNED:
            return False
        headers = _headers(packet.payload)
        known = self._known()
        if not headers or headers[-1][2] == 0:
            return False
        if packet.payload_type in DYNAMIC and not known:  # Opus, unless there are several blocks of one kind
            return len(headers) > 1 and _alike(headers)
        return all(kind in (known or DYNAMIC) for kind, _, _ in headers)

    def _redundant(self, packet: rtp.RtpPacket) -> list[Block]:
        headers = _headers(packet.payload)
        if not headers or headers[-1][2] == 0:
            raise ValueError("redundant blocks (RFC 2198) do not fit the packet")
        blocks: list[Block] = []
        at = 4 * (len(headers) - 1) + 1
        for kind, back, size in headers:
            data, at = packet.payload[at : at + size], at + size
            primary = at == len(packet.payload)
            try:
                if data and (kind in self._opus or not self._opus):
                    blocks.insert(0, self._block(packet.timestamp - back, data))
            except ValueError:
                if primary:
                    raise
        self._learnt = headers[-1][0]
        return blocks if not blocks or blocks[0].timestamp == packet.timestamp else []


def _headers(payload: bytes) -> list[tuple[int, int, int]]:
    """Return (payload type, ticks back, bytes) of every block, the primary one last; empty when they do not fit."""
    headers: list[tuple[int, int, int]] = []
    at, used = 0, 0
    while at < len(payload):
        kind = payload[at] & 0x7F
        if not payload[at] & 0x80:
            left = len(payload) - at - 1 - used
            return [*headers, (kind, 0, left)] if left >= 0 else []
        if at + 4 > len(payload) or len(headers) == 8:
            return []
        word = int.from_bytes(payload[at + 1 : at + 4], "big")
        headers.append((kind, word >> 10, word & 0x3FF))
        used += word & 0x3FF
        at += 4
    return []


def _alike(headers: list[tuple[int, int, int]]) -> bool:
    """Return whether all blocks have one dynamic type and go back in order by plausible steps."""
    kinds = {kind for kind, _, _ in headers}
    back = [ticks for _, ticks, _ in headers]
    return len(kinds) == 1 and kinds <= set(DYNAMIC) and back == sorted(back, reverse=True) and headers[-1][2] > 0

# SPDX-License-Identifier: BSD-2-Clause
"""RFC 2198 redundancy: every packet repeats the Opus packets before it, byte for byte."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from dredge_device import rtp
from dredge_device.units import RTP_TICKS_PER_PACKET
from dredge_host.offline.player import PacketReceiver, PacketSender
from dredge_host.sending.sender import Packet

RED_PAYLOAD_TYPE = 112  # dynamic, as Opus' own is; RFC 2198 leaves the choice to signalling
MAX_OFFSET = (1 << 14) - 1  # RFC 2198 section 3: 14 bits of timestamp offset, 10 bits of length
MAX_BYTES = (1 << 10) - 1
COPIES = 2


class Block(NamedTuple):
    """One block of a RED payload; offset: how much older than the packet, in RTP clock ticks (48 kHz)."""

    payload_type: int
    offset: int
    data: bytes


def build_red(blocks: Sequence[Block]) -> bytes:
    """Return the payload of a RED packet (RFC 2198 section 3); the last block is the primary one, its offset is not
    sent.

    Raises ValueError for no blocks, a payload type above 127, or an offset or length that its field cannot hold.
    """
    if not blocks:
        raise ValueError("a RED payload has at least its primary block")
    head = bytearray()
    for block in blocks[:-1]:
        if not 0 <= block.offset <= MAX_OFFSET or len(block.data) > MAX_BYTES:
            raise ValueError(
                f"a redundant block holds up to {MAX_BYTES} bytes at an offset of up to {MAX_OFFSET}, "
                f"got {len(block.data)} bytes at {block.offset}"
            )
        first = 0x80 | _payload_type(block)
        head += struct.pack(">I", first << 24 | block.offset << 10 | len(block.data))
    head.append(_payload_type(blocks[-1]))
    return bytes(head) + b"".join(block.data for block in blocks)


def parse_red(payload: bytes) -> list[Block]:
    """Return the blocks of a RED payload, the primary one last. Raises ValueError for bytes that are none."""
    sizes: list[tuple[int, int, int]] = []
    at = 0
    while at < len(payload) and payload[at] & 0x80:
        if at + 4 > len(payload):
            raise ValueError(f"RED payload of {len(payload)} bytes ends inside a block header")
        (field,) = struct.unpack_from(">I", payload, at)
        sizes.append((field >> 24 & 0x7F, field >> 10 & MAX_OFFSET, field & MAX_BYTES))
        at += 4
    if at >= len(payload):
        raise ValueError(f"RED payload of {len(payload)} bytes has no primary block")
    primary = payload[at]
    at += 1
    blocks = []
    for payload_type, offset, size in sizes:
        if at + size > len(payload):
            raise ValueError(f"RED block of {size} bytes is longer than the {len(payload) - at} bytes that are left")
        blocks.append(Block(payload_type, offset, payload[at : at + size]))
        at += size
    return [*blocks, Block(primary, 0, payload[at:])]


class RedSender:
    """A sender whose packets carry the `copies` payloads before their own."""

    def __init__(self, sender: PacketSender, copies: int = COPIES) -> None:
        self._sender = sender
        self._before: deque[tuple[int, bytes]] = deque(maxlen=copies)
        self.lookahead, self.ssrc, self.first_sequence = sender.lookahead, sender.ssrc, sender.first_sequence

    def push(self, pcm: Any) -> Packet:
        """Send int16[320] as one RED packet and return it; errors are those of the wrapped sender."""
        packet = self._sender.push(pcm)
        if not packet.data:
            return packet
        plain = rtp.parse(packet.data)
        own = Block(plain.payload_type, 0, plain.payload)
        copies = [
            Block(plain.payload_type, (plain.timestamp - timestamp) & 0xFFFFFFFF, data)
            for timestamp, data in self._before
            if len(data) <= MAX_BYTES
        ]
        self._before.append((plain.timestamp, plain.payload))
        data = rtp.build(
            plain.sequence, plain.timestamp, plain.ssrc, build_red([*copies, own]), RED_PAYLOAD_TYPE, plain.marker
        )
        return Packet(data, packet.split, packet.index)


class RedReceiver:
    """Takes RED packets apart and gives an ordinary receiver every packet in them, the oldest first.

    The receiver drops packets that it already has as duplicates. malformed: RED packets that could not be parsed.
    """

    def __init__(self, receiver: PacketReceiver) -> None:
        self._receiver = receiver
        self.malformed = 0

    def push(self, datagram: bytes, now_us: int) -> None:
        """Take in a datagram that arrived at this time. Raises nothing, whatever it holds."""
        try:
            packet = rtp.parse(datagram)
        except ValueError:
            packet = None
        if packet is None or packet.payload_type != RED_PAYLOAD_TYPE:
            self._receiver.push(datagram, now_us)
            return
        try:
            plain = plain_packets(packet)
        except ValueError:
            self.malformed += 1
            return
        for one in plain:
            self._receiver.push(one, now_us)

    def pull(self) -> Any:
        """Return the next 20 ms of the ordinary receiver."""
        return self._receiver.pull()

    def announce(self, ssrc: int, sequence: int) -> None:
        """Note the number of the sender's first packet."""
        self._receiver.announce(ssrc, sequence)


def plain_packets(packet: Any) -> list[bytes]:
    """Return the RTP datagrams of every block in a parsed RED packet, oldest first. Raises ValueError for a malformed
    one.

    The sequence number of a copy follows from its age in whole packet periods; copies of another age, empty ones and
    those with the age of the packet itself are left out.
    """
    *copies, primary = parse_red(packet.payload)
    found = []
    for block in sorted(copies, key=lambda b: -b.offset):
        age, rest = divmod(block.offset, RTP_TICKS_PER_PACKET)
        if age and not rest and block.data:
            timestamp = packet.timestamp - block.offset
            found.append(rtp.build(packet.sequence - age, timestamp, packet.ssrc, block.data, block.payload_type))
    own = rtp.build(
        packet.sequence, packet.timestamp, packet.ssrc, primary.data, primary.payload_type, marker=packet.marker
    )
    return [*found, own]


def _payload_type(block: Block) -> int:
    if not 0 <= block.payload_type <= 127:
        raise ValueError(f"RTP payload type {block.payload_type} is not in 0..127")
    return block.payload_type

# SPDX-License-Identifier: BSD-2-Clause
"""The smallest writer of Ogg Opus files (RFC 3533, RFC 7845): one packet per page."""

from __future__ import annotations

import struct

from dredge_kernels.framing import parse_packet


def _crc(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
    return value


def _page(packet: bytes, number: int, granule: int, flags: int) -> bytes:
    lacing = bytes([255] * (len(packet) // 255) + [len(packet) % 255])
    head = struct.pack("<4sBBqIII", b"OggS", 0, flags, granule, 0x44524544, number, 0)
    page = head + bytes([len(lacing)]) + lacing + packet
    return page[:22] + struct.pack("<I", _crc(page)) + page[26:]


def ogg_opus(packets: list[bytes], pre_skip_48k: int = 312) -> bytes:
    """An Ogg Opus file of mono packets."""
    head = struct.pack("<8sBBHIHB", b"OpusHead", 1, 1, pre_skip_48k, 16000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 6) + b"dredge" + struct.pack("<I", 0)
    pages = [_page(head, 0, 0, 2), _page(tags, 1, 0, 0)]
    granule = 0
    for index, packet in enumerate(packets):
        granule += parse_packet(packet).samples_48k
        last = 4 if index == len(packets) - 1 else 0
        pages.append(_page(packet, index + 2, granule, last))
    return b"".join(pages)

# SPDX-License-Identifier: BSD-2-Clause
"""Packets of Ogg Opus files (RFC 3533, RFC 7845) as they are, where audio libraries only give samples."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from dredge_host.capture.packets import Capture, Captured

MAGIC = b"OggS"
_PAGE = struct.Struct("<4sBBqIIIB")
_CONTINUED = 1
_HEAD, _TAGS = b"OpusHead", b"OpusTags"


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
        table.append(value)
    return table


_TABLE = _crc_table()


def crc(data: bytes) -> int:
    """CRC-32 of Ogg: polynomial 04C11DB7, not reflected, nothing inverted (so not zlib's)."""
    value = 0
    for byte in data:
        value = (value << 8 ^ _TABLE[value >> 24 ^ byte]) & 0xFFFFFFFF
    return value


@dataclass(frozen=True)
class Page:
    """A page: its segments joined to pieces of packets; open: the last piece goes on in the next page."""

    serial: int
    continued: bool
    pieces: list[bytes]
    open: bool


def read(data: bytes, ssrc: int | None = None) -> Capture:
    """Packets of the first Opus stream; ValueError for damaged pages, or a file without Opus."""
    if ssrc is not None:
        raise ValueError("an Ogg file has no SSRC")
    capture = Capture("Ogg Opus")
    serial: int | None = None
    rest: bytes | None = None       # a packet that goes on in the next page
    packets: list[bytes] = []
    for page in _pages(data, capture):
        if serial is None and page.pieces and page.pieces[0].startswith(_HEAD):
            serial = page.serial
        if page.serial != serial:
            continue
        pieces = list(page.pieces)
        if page.continued and pieces:
            first = pieces.pop(0)
            if rest is not None:
                pieces.insert(0, rest + first)
        rest = pieces.pop() if page.open and pieces else None
        packets += pieces
    if serial is None:
        raise ValueError("an Ogg file without an Opus stream")
    if rest is not None:
        capture.notes.append("the file ends inside a packet")
    capture.packets = [Captured(p) for p in packets if not p.startswith((_HEAD, _TAGS))]
    return capture


def _pages(data: bytes, capture: Capture) -> Iterator[Page]:
    at = 0
    while at < len(data):
        page, size = _page(data, at)
        if page is None:
            capture.notes.append(f"the file ends inside the page at byte {at}")
            return
        yield page
        at += size


def _page(data: bytes, at: int) -> tuple[Page | None, int]:
    """The page at a position and its size; None where the file ends inside it."""
    if data[at : at + 4] != MAGIC[: len(data) - at]:
        raise ValueError(f"expected an Ogg page at byte {at}, got {data[at : at + 4].hex(' ')}")
    if len(data) - at < _PAGE.size:
        return None, 0
    _, version, flags, _, serial, _, checksum, count = _PAGE.unpack_from(data, at)
    if version != 0:
        raise ValueError(f"Ogg page at byte {at}: expected version 0, got {version}")
    lacing = data[at + _PAGE.size : at + _PAGE.size + count]
    size = _PAGE.size + count + sum(lacing)
    if len(lacing) < count or at + size > len(data):
        return None, 0
    raw = data[at : at + size]
    if crc(raw[:22] + bytes(4) + raw[26:]) != checksum:
        raise ValueError(f"Ogg page at byte {at}: its checksum is wrong, the page is damaged")
    return Page(serial, bool(flags & _CONTINUED), *_pieces(raw[_PAGE.size + count :], lacing)), size


def _pieces(body: bytes, lacing: bytes) -> tuple[list[bytes], bool]:
    """A segment of 255 bytes goes on in the next one."""
    pieces, start, end = [], 0, 0
    for value in lacing:
        end += value
        if value < 255:
            pieces.append(body[start:end])
            start = end
    unfinished = bool(lacing) and lacing[-1] == 255
    if unfinished:
        pieces.append(body[start:end])
    return pieces, unfinished

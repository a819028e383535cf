# SPDX-License-Identifier: BSD-2-Clause
"""Packets of Ogg Opus files (RFC 3533, RFC 7845), undecoded.

Damaged or missing pages cost only their own packets; the links of chained files are read one
after the other.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from dredge_device.units import RTP_CLOCK_HZ
from dredge_host.capture.packets import ANY, Capture, Captured, Choice
from dredge_host.capture.rtp_stream import duration

MAGIC = b"OggS"
_PAGE = struct.Struct("<4sBBqIIIB")
_CONTINUED, _FIRST, _LAST = 1, 2, 4
_HEAD, _TAGS = b"OpusHead", b"OpusTags"
_NO_POSITION = -1
_MOST_LOST = RTP_CLOCK_HZ * 60      # ticks of one gap; a larger gap in the positions is taken for an error


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
    """Return the CRC-32 of Ogg: polynomial 04C11DB7, not reflected and not inverted, unlike zlib's."""
    value = 0
    for byte in data:
        value = (value << 8 ^ _TABLE[value >> 24 ^ byte]) & 0xFFFFFFFF
    return value


@dataclass(frozen=True)
class Page:
    """One page: its segments joined to pieces of packets; open: the last piece goes on in the next page."""

    serial: int
    flags: int
    number: int
    position: int                   # 48 kHz ticks up to the last packet that ends here, with the pre-skip
    pieces: list[bytes]
    open: bool


@dataclass
class _Link:
    """The state of reading one logical Opus stream."""

    serial: int
    headers: int = 0                # packets of the head that have passed: OpusHead, OpusTags
    rest: bytes | None = None       # a packet that goes on in the next page
    number: int | None = None       # number of the page before
    hole: bool = False              # pages are missing since the last packet
    end: int | None = None          # position of the last packet's end
    packets: list[tuple[bytes, int]] = field(default_factory=list)  # with the ticks that are missing before each


def read(data: bytes, choice: Choice = ANY) -> Capture:
    """Return the packets of all Opus links of a file as one stream. Raises ValueError for a file without Opus."""
    choice.refuse("an Ogg file")
    capture = Capture("Ogg Opus")
    links: list[_Link] = []
    other: set[int] = set()
    for page in _pages(data, capture):
        head = page.pieces[0] if page.pieces else b""
        if head.startswith(_HEAD) and (page.flags & _FIRST or not links):
            check_head(head)
            if links and links[-1].end is None and not links[-1].packets and links[-1].serial != page.serial:
                other.add(page.serial)      # two streams side by side: the first one is read
                continue
            _ended(capture, links)
            links.append(_Link(page.serial))
        if links and page.serial == links[-1].serial:
            _take(links[-1], page)
        else:
            other.add(page.serial)
    if not links:
        raise ValueError("an Ogg file without an Opus stream")
    _ended(capture, links)
    if len(links) > 1:
        capture.notes.append(f"{len(links)} links follow each other in this file; they are read as one stream")
    if other - {link.serial for link in links}:
        capture.notes.append(f"left out: {len(other)} other streams of the file")
    _fill(capture, links)
    return capture


def check_head(head: bytes) -> None:
    """Raise ValueError for channel mappings in which a packet of the file holds several Opus packets."""
    if len(head) >= 21 and head[18] != 0 and head[19] > 1:
        raise ValueError(
            f"Opus multistream, {head[9]} channels in {head[19]} streams (mapping family {head[18]}); "
            "expected mono or stereo (ffmpeg -ac 1)"
        )


def _ended(capture: Capture, links: list[_Link]) -> None:
    if links and links[-1].rest is not None:
        capture.notes.append("the file ends inside a packet" if not links[-1].end else "a link ends inside a packet")
        links[-1].rest = None


def _take(link: _Link, page: Page) -> None:
    pieces = list(page.pieces)
    if link.number is not None and page.number not in (link.number, link.number + 1):
        link.hole, link.rest = True, None
    link.number = page.number
    if page.flags & _CONTINUED and pieces:
        first = pieces.pop(0)
        if link.rest is not None:
            pieces.insert(0, link.rest + first)
    link.rest = pieces.pop() if page.open and pieces else None
    while pieces and link.headers < 2:
        if link.headers == 1 and not pieces[0].startswith(_TAGS):
            link.headers = 2        # the page of the tags is missing
            break
        link.headers += 1
        pieces.pop(0)
    if pieces:
        _place(link, page, [piece for piece in pieces if piece])


def _place(link: _Link, page: Page, pieces: list[bytes]) -> None:
    """Append the packets of a page; its position says how much is missing before them."""
    ticks = sum(duration(piece) for piece in pieces)
    missing = 0
    if page.position != _NO_POSITION and not page.flags & _LAST:
        if link.hole and link.end is not None:
            missing = max(0, page.position - ticks - link.end)
        link.end = page.position
    elif link.end is not None:
        link.end += ticks
    if missing > _MOST_LOST:
        missing = 0
    link.hole = link.hole and link.end is None
    link.packets += [(piece, missing if not number else 0) for number, piece in enumerate(pieces)]


def _fill(capture: Capture, links: list[_Link]) -> None:
    """Append the packets of all links with running numbers and timestamps; missing ones leave a gap in both."""
    stamp = number = 0
    for link in links:
        for data, missing in link.packets:
            ticks = duration(data)
            if missing and ticks:
                lost = round(missing / ticks)
                capture.lost += lost
                number += lost
                stamp += lost * ticks
            capture.packets.append(Captured(data, None, number, stamp))
            number += 1
            stamp += ticks


def _pages(data: bytes, capture: Capture) -> Iterator[Page]:
    """Yield the whole pages with the right checksum; the bytes between them are counted."""
    at = damaged = skipped = 0
    while at < len(data):
        page, size, sound = _page(data, at)
        if page is not None and sound:
            yield page
            at += size
            continue
        damaged += page is not None
        following = data.find(MAGIC, at + 1)
        if following < 0:
            if page is None and data.startswith(MAGIC[: len(data) - at], at):
                capture.notes.append(f"the file ends inside the page at byte {at}")
            elif page is None:
                skipped += len(data) - at
            break
        skipped += 0 if page is not None else following - at
        at = following
    if damaged:
        capture.notes.append(f"left out: {damaged} damaged pages (wrong checksum)")
    if skipped:
        capture.notes.append(f"left out: {skipped} bytes that belong to no page")


def _page(data: bytes, at: int) -> tuple[Page | None, int, bool]:
    """Return the page at a position, its size, whether its checksum is right; size 0 where there is no whole page."""
    if data[at : at + 4] != MAGIC or len(data) - at < _PAGE.size:
        return None, 0, False
    _, version, flags, position, serial, number, checksum, count = _PAGE.unpack_from(data, at)
    lacing = data[at + _PAGE.size : at + _PAGE.size + count]
    size = _PAGE.size + count + sum(lacing)
    if version != 0 or len(lacing) < count or at + size > len(data):
        return None, 0, False
    raw = data[at : at + size]
    sound = crc(raw[:22] + bytes(4) + raw[26:]) == checksum
    return Page(serial, flags, number, position, *_pieces(raw[_PAGE.size + count :], lacing)), size, sound


def _pieces(body: bytes, lacing: bytes) -> tuple[list[bytes], bool]:
    """Return the pieces of packets in a page, and whether the last goes on in the next page (a last segment of 255
    bytes).
    """
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

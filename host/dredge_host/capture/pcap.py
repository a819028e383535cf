# SPDX-License-Identifier: BSD-2-Clause
"""pcap and pcapng files of tcpdump, Wireshark and Dredge: every interface, every usual link type."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from dredge_host.capture.datagrams import Datagrams
from dredge_host.capture.packets import ANY, Capture, Choice
from dredge_host.capture.rtp_stream import RtpStreams

_MICRO = {bytes.fromhex("d4c3b2a1"): "<", bytes.fromhex("a1b2c3d4"): ">"}
_NANO = {bytes.fromhex("4d3cb2a1"): "<", bytes.fromhex("a1b23c4d"): ">"}
_PCAPNG = bytes.fromhex("0a0d0d0a")
MAGICS = (*_MICRO, *_NANO, _PCAPNG)
_ORDERS = {bytes.fromhex("4d3c2b1a"): "<", bytes.fromhex("1a2b3c4d"): ">"}
_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _PACKET = 0x0A0D0D0A, 1, 2, 3, 6
_RESOLUTION, _END = 9, 0  # options of an interface
_CUT = "the file ends inside a record, or is damaged there"


class Record(NamedTuple):
    """A captured frame.

    time_s: when it was captured, link: its link type (LINKTYPE numbers of libpcap), data: its bytes, size: how many it
    had on the wire.
    """

    time_s: float
    link: int
    frame: bytes
    size: int


def is_pcap(head: bytes) -> bool:
    """Return whether a file begins like a pcap or pcapng file."""
    return head[:4] in MAGICS


def read(data: bytes, choice: Choice = ANY) -> Capture:
    """Return the packets of the chosen stream. Raises ValueError for a file that cannot be read at all."""
    name = "pcapng" if data[:4] == _PCAPNG else "pcap"
    streams, notes = RtpStreams(), list[str]()
    datagrams = Datagrams(streams.left_out)
    for record in (_pcapng if name == "pcapng" else _pcap)(data, notes):
        for flow, payload in datagrams.of(record.link, record.frame, record.size):
            streams.add(payload, record.time_s, flow)
    datagrams.close()
    capture = streams.choose(name, choice)
    capture.notes += notes
    return capture


def _pcap(data: bytes, notes: list[str]) -> Iterator[Record]:
    if not is_pcap(data):
        raise ValueError("not a readable pcap file (it begins with another number)")
    nano = data[:4] in _NANO
    order = (_NANO if nano else _MICRO)[data[:4]]
    if len(data) < 24:
        raise ValueError("not a readable pcap file (its head is cut short)")
    link = struct.unpack_from(f"{order}I", data, 20)[0] & 0x0FFFFFFF  # above: the length of checksums
    head = struct.Struct(f"{order}IIII")
    at = 24
    while at < len(data):
        if len(data) - at < head.size:
            notes.append(_CUT)
            return
        seconds, fraction, kept, size = head.unpack_from(data, at)
        at += head.size
        if kept > len(data) - at:
            notes.append(_CUT)
            return
        yield Record(seconds + fraction / (1e9 if nano else 1e6), link, data[at : at + kept], size)
        at += kept


def _pcapng(data: bytes, notes: list[str]) -> Iterator[Record]:
    at, order = 0, ""
    links: list[tuple[int, float]] = []  # link type and seconds per tick of every interface of the section
    while at < len(data):
        if data[at : at + 4] == _PCAPNG:
            order = _ORDERS.get(data[at + 8 : at + 12], "")
            links = []
        if not order:
            raise ValueError("not a readable pcapng file (no section begins at its start)")
        kind, size = struct.unpack_from(f"{order}II", data, at) if len(data) - at >= 12 else (0, 0)
        body = data[at + 8 : at + size - 4]
        if size < 12 or size % 4 or at + size > len(data):
            notes.append(_CUT)
            return
        at += size
        try:
            if kind == _INTERFACE:
                links.append(_interface(order, body))
            elif kind in (_PACKET, _OLD_PACKET, _SIMPLE_PACKET):
                yield _record(order, kind, body, links)
        except (struct.error, IndexError):
            notes.append("a block that is damaged")
            return


def _interface(order: str, body: bytes) -> tuple[int, float]:
    link = struct.unpack_from(f"{order}H", body)[0]
    at, tick = 8, 1e-6
    while at + 4 <= len(body):
        code, size = struct.unpack_from(f"{order}HH", body, at)
        if code == _END:
            break
        if code == _RESOLUTION and size:
            value = body[at + 4]
            tick = 2.0 ** -(value & 0x7F) if value & 0x80 else 10.0**-value
        at += 4 + size + -size % 4
    return link, tick


def _record(order: str, kind: int, body: bytes, links: list[tuple[int, float]]) -> Record:
    if kind == _SIMPLE_PACKET:
        size = struct.unpack_from(f"{order}I", body)[0]
        return Record(0.0, links[0][0], body[4 : 4 + size], size)
    if kind == _PACKET:
        number, high, low, kept, size = struct.unpack_from(f"{order}IIIII", body)
    else:
        number, _, high, low, kept, size = struct.unpack_from(f"{order}HHIIII", body)
    link, tick = links[number]
    if kept > len(body) - 20:
        raise IndexError("the packet is longer than its block")
    return Record(((high << 32) | low) * tick, link, body[20 : 20 + kept], size)

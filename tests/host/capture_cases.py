# SPDX-License-Identifier: BSD-2-Clause
"""Writes captures of every format from Opus packets."""

from __future__ import annotations

import struct

from ogg_opus import ogg_opus

from dredge_device import rtp
from dredge_host.capture.opus_demo import write as bit_file

SSRC = 0x44524447
ETHERNET, COOKED, COOKED2, NULL, RAW = 1, 113, 276, 0, 101


def datagrams(packets: list[bytes], ssrc: int = SSRC, first: int = 65534) -> list[bytes]:
    """RTP datagrams whose numbers wrap around."""
    return [rtp.build(first + i, 960 * i, ssrc, packet) for i, packet in enumerate(packets)]


def udp4(payload: bytes, protocol: int = 17, fragment: int = 0) -> bytes:
    udp = struct.pack(">HHHH", 5004, 5006, 8 + len(payload), 0) + payload
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, fragment, 64, protocol, 0, bytes(4), bytes(4))
    return head + udp


def udp6(payload: bytes) -> bytes:
    udp = struct.pack(">HHHH", 5004, 5006, 8 + len(payload), 0) + payload
    return struct.pack(">IHBB16s16s", 6 << 28, len(udp), 17, 64, bytes(16), bytes(16)) + udp


def frame(link: int, packet: bytes, vlan: bool = False) -> bytes:
    """An IP packet in a frame of a link type."""
    kind = 0x86DD if packet[0] >> 4 == 6 else 0x0800
    if link == ETHERNET:
        tag = struct.pack(">HH", 0x8100, 7) if vlan else b""
        return bytes(12) + tag + struct.pack(">H", kind) + packet
    if link == COOKED:
        return struct.pack(">HHH8sH", 0, 1, 6, bytes(8), kind) + packet
    if link == COOKED2:
        return struct.pack(">HHIHBB8s", kind, 0, 1, 1, 0, 6, bytes(8)) + packet
    if link == NULL:
        return struct.pack("<I", 2 if kind == 0x0800 else 30) + packet
    return packet


def pcap(frames: list[bytes], link: int = ETHERNET, order: str = "<", nano: bool = False) -> bytes:
    """A classic pcap file, one frame every 20 ms."""
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    unit = 10**9 if nano else 10**6
    out = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    for i, data in enumerate(frames):
        out += struct.pack(f"{order}IIII", 100 + i // 50, i % 50 * unit // 50, len(data), len(data)) + data
    return out


def pcapng(frames: list[bytes], link: int = ETHERNET) -> bytes:
    """A pcapng file of one section, one interface, enhanced packet blocks."""
    out = _block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    out += _block(1, struct.pack("<HHI", link, 0, 65535))
    for i, data in enumerate(frames):
        time = 100_000_000 + 20_000 * i
        body = struct.pack("<IIIII", 0, time >> 32, time & 0xFFFFFFFF, len(data), len(data))
        out += _block(6, body + data + bytes(-len(data) % 4))
    return out


def _block(kind: int, body: bytes) -> bytes:
    size = 12 + len(body)
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def rtpdump(packets: list[bytes], rtcp_every: int = 0) -> bytes:
    """An rtpdump file, optionally with RTCP between."""
    out = b"#!rtpplay1.0 127.0.0.1/5004\n" + struct.pack(">IIIHH", 100, 0, 0x7F000001, 5004, 0)
    for i, data in enumerate(packets):
        out += struct.pack(">HHI", 8 + len(data), len(data), 20 * i) + data
        if rtcp_every and i % rtcp_every == 0:
            out += struct.pack(">HHI", 8 + 8, 0, 20 * i) + b"\x80\xc9\0\1" + bytes(4)
    return out


def every_format(packets: list[bytes]) -> dict[str, bytes]:
    """The same packets in every format (and link type) that is read."""
    sent = datagrams(packets)
    files = {
        "bit": bit_file([(packet, 0) for packet in packets]),
        "ogg": ogg_opus(packets),
        "rtpdump": rtpdump(sent, rtcp_every=7),
        "pcap big endian": pcap([frame(ETHERNET, udp4(d)) for d in sent], order=">"),
        "pcap nanoseconds": pcap([frame(ETHERNET, udp4(d)) for d in sent], nano=True),
        "pcap vlan": pcap([frame(ETHERNET, udp4(d), vlan=True) for d in sent]),
        "pcapng": pcapng([frame(ETHERNET, udp4(d)) for d in sent]),
    }
    for link in (ETHERNET, COOKED, COOKED2, NULL, RAW):
        files[f"pcap link {link}"] = pcap([frame(link, udp4(d)) for d in sent], link)
        files[f"pcap link {link} IPv6"] = pcap([frame(link, udp6(d)) for d in sent], link)
    return files

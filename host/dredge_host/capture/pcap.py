# SPDX-License-Identifier: BSD-2-Clause
"""pcap and pcapng files, as tcpdump, Wireshark and Dredge write them: UDP datagrams of all usual link types."""

from __future__ import annotations

import io
import struct
from typing import Any

from dredge_host.capture.packets import Capture
from dredge_host.capture.rtp_stream import RtpStreams

MAGICS = tuple(bytes.fromhex(text) for text in ("d4c3b2a1", "a1b2c3d4", "4d3cb2a1", "a1b23c4d", "0a0d0d0a"))
_PCAPNG = MAGICS[-1]
_RAW_IP = (12, 14, 101, 228, 229)      # the various numbers of raw IP
_LINKS = (0, 1, 108, 113, 276, *_RAW_IP)

# What dpkt raises on damaged input, beyond its own errors.
_DAMAGED = (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, MemoryError, struct.error)


def is_pcap(head: bytes) -> bool:
    """Whether a file begins like a pcap or pcapng file."""
    return head[:4] in MAGICS


def read(data: bytes, ssrc: int | None = None) -> Capture:
    """Packets of the chosen stream; ValueError for a file that cannot be read at all."""
    import dpkt

    name = "pcapng" if data[:4] == _PCAPNG else "pcap"
    streams, notes, damaged = RtpStreams(), [], 0
    try:
        reader = dpkt.pcap.UniversalReader(io.BytesIO(data))
        link: int = reader.datalink()
    except (dpkt.Error, *_DAMAGED) as error:
        raise ValueError(f"not a readable {name} file ({error or type(error).__name__})") from None
    if link not in _LINKS:
        raise ValueError(f"{name} link type {link}: expected Ethernet, Linux cooked, loopback or raw IP")
    records = iter(reader)
    while True:
        try:
            time_s, frame = next(records)
        except StopIteration:
            break
        except (dpkt.Error, *_DAMAGED):
            notes.append("the file ends inside a record, or is damaged there")
            break
        try:
            payload = _udp_payload(bytes(frame), link)
        except (dpkt.Error, *_DAMAGED):
            damaged += 1
            continue
        if payload:
            streams.add(payload, float(time_s))
    capture = streams.choose(name, ssrc)
    if damaged:
        notes.append(f"left out: {damaged} frames that are damaged or not complete")
    capture.notes += notes
    return capture


def _udp_payload(frame: bytes, link: int) -> bytes | None:
    """The payload of an unfragmented UDP datagram; None for anything else."""
    import dpkt

    packet: Any = _network(frame, link)
    if isinstance(packet, dpkt.ip.IP) and (packet.mf or packet.offset):
        return None
    if not isinstance(packet, dpkt.ip.IP | dpkt.ip6.IP6) or not isinstance(packet.data, dpkt.udp.UDP):
        return None
    payload = bytes(packet.data.data)
    if packet.data.ulen > 8 + len(payload):
        raise ValueError("the capture holds only the beginning of the datagram")
    return payload


def _network(frame: bytes, link: int) -> Any:
    """The IP packet in a frame of this link type (LINKTYPE numbers of libpcap)."""
    import dpkt

    if link == dpkt.pcap.DLT_EN10MB:
        return dpkt.ethernet.Ethernet(frame).data
    if link == dpkt.pcap.DLT_LINUX_SLL:
        return dpkt.sll.SLL(frame).data
    if link == dpkt.pcap.DLT_LINUX_SLL2:
        return dpkt.sll2.SLL2(frame).data
    if link in _RAW_IP:
        return dpkt.ip6.IP6(frame) if frame[:1] and frame[0] >> 4 == 6 else dpkt.ip.IP(frame)
    return dpkt.loopback.Loopback(frame).data

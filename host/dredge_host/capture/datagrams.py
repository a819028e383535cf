# SPDX-License-Identifier: BSD-2-Clause
"""UDP datagrams from captured frames: link layers, tunnels, fragments, TURN; frames without one are counted."""

from __future__ import annotations

import socket
import struct
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

_RAW_IP = (12, 14, 101, 228, 229)  # the various numbers of raw IP
_ETHERNET, _PPP, _WIFI, _RADIOTAP, _SLL, _SLL2, _LOOPBACK = 1, 9, 105, 127, 113, 276, (0, 108)
_UDP, _FRAGMENT_HEADER = 17, 44
_DEEP = 12  # most nested layers
_MOST_PIECES = 1000  # most datagrams with missing fragments
_MOST_BYTES = 1 << 16
_COOKIE = b"\x21\x12\xa4\x42"
_SEND, _DATA_INDICATION, _DATA = 0x0016, 0x0017, 0x0013

# What dpkt raises on damaged input, beyond its own errors.
_DAMAGED = (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, MemoryError, struct.error)

CUT_OFF = "frames cut off by the capture (tcpdump needs -s 0)"
DAMAGED = "frames that are damaged"
NO_UDP = "frames without UDP"
IN_PIECES = "IP fragments without their other parts"
WIFI_KEYS = "encrypted Wi-Fi frames"


class Flow(NamedTuple):
    """Addresses and ports of a datagram, as text."""

    source: str
    target: str


class _Fragment(NamedTuple):
    key: tuple[Any, ...]
    start: int
    more: bool
    data: bytes


class Datagrams:
    """The conversion of frames to datagrams; `left_out` counts the reasons why frames gave none."""

    def __init__(self, left_out: Counter[str]) -> None:
        self._left_out = left_out
        self._waiting: dict[tuple[Any, ...], dict[int, _Fragment]] = {}

    def of(self, link: int, frame: bytes, size: int) -> Iterator[tuple[Flow, bytes]]:
        """Yield the datagram that a frame brings or completes; size: bytes of the whole frame, of which only a part may
        have been captured.
        """
        import dpkt

        try:
            found = self._find(link, frame)
        except (dpkt.Error, *_DAMAGED):
            self._left_out[CUT_OFF if size > len(frame) else DAMAGED] += 1
            return
        if found is None:
            return
        flow, datagram = found
        whole = struct.unpack_from(">H", datagram, 4)[0] if len(datagram) >= 8 else 8
        if whole > len(datagram) or len(datagram) < 8:
            self._left_out[CUT_OFF if size > len(frame) else DAMAGED] += 1
            return
        yield flow, _out_of_turn(datagram[8 : whole or None])

    def close(self) -> None:
        """Count the incomplete datagrams."""
        self._left_out[IN_PIECES] += sum(len(pieces) for pieces in self._waiting.values())
        self._left_out += Counter()  # drops zeros

    def _find(self, link: int, frame: bytes) -> tuple[Flow, bytes] | None:
        """Return the flow and the UDP datagram with its header, None where the frame holds none."""
        import dpkt

        packet: Any = self._network(link, frame)
        inner: tuple[Flow, bytes] | None = None
        for _ in range(_DEEP):
            if packet is None:
                return None
            if isinstance(packet, dpkt.ip.IP | dpkt.ip6.IP6):
                inner, packet = self._ip(packet)
                if inner:
                    return inner
            elif isinstance(packet, dpkt.Packet):
                packet = packet.data
            else:
                break
        self._left_out[NO_UDP] += 1
        return None

    def _ip(self, packet: Any) -> tuple[tuple[Flow, bytes] | None, Any]:
        """Return the UDP datagram in an IP packet, or another content; (None, None) while fragments are missing.
        """
        fragment = _fragment(packet)
        protocol = packet.p
        body = packet.data
        if fragment is not None:
            whole = self._reassembled(fragment)
            if whole is None:
                return None, None
            protocol, body = fragment.key[-1], whole
        if protocol == _UDP:
            raw = bytes(body)
            return (_flow(packet, raw), raw), None
        return None, body

    def _reassembled(self, fragment: _Fragment) -> bytes | None:
        pieces = self._waiting.setdefault(fragment.key, {})
        pieces[fragment.start] = fragment
        if len(self._waiting) > _MOST_PIECES:
            oldest = next(iter(self._waiting))
            self._left_out[IN_PIECES] += len(self._waiting.pop(oldest))
        whole = b""
        for start in sorted(pieces):
            if start > len(whole) or len(whole) > _MOST_BYTES:
                return None
            whole = whole[:start] + pieces[start].data
            if not pieces[start].more:
                self._waiting.pop(fragment.key, None)
                return whole
        return None

    def _network(self, link: int, frame: bytes) -> Any:
        """Return the network packet in a frame of this link type (LINKTYPE numbers of libpcap), None if the reason is
        counted.
        """
        import dpkt

        if link == _ETHERNET:
            return dpkt.ethernet.Ethernet(frame)
        if link == _SLL:
            return dpkt.sll.SLL(frame)
        if link == _SLL2:
            return dpkt.sll2.SLL2(frame)
        if link == _PPP:
            return dpkt.ppp.PPP(frame[2:] if frame[:2] == b"\xff\x03" else frame)
        if link in _RAW_IP:
            return _internet(frame)
        if link in _LOOPBACK:
            return dpkt.loopback.Loopback(frame)
        if link in (_WIFI, _RADIOTAP):
            return self._wifi(frame[_radiotap_bytes(frame) :] if link == _RADIOTAP else frame)
        self._left_out[f"frames of link type {link}, which is not read"] += 1
        return None

    def _wifi(self, frame: bytes) -> Any:
        """Return the packet in an unencrypted IEEE 802.11 data frame, behind its header and LLC and SNAP (8 bytes)."""
        control, flags = frame[0], frame[1]
        if control >> 2 & 3 != 2:
            self._left_out[NO_UDP] += 1
            return None
        if flags & 0x40:
            self._left_out[WIFI_KEYS] += 1
            return None
        at = 24 + (6 if flags & 3 == 3 else 0) + (2 if control & 0x80 else 0) + (4 if flags & 0x80 else 0)
        if frame[at : at + 3] != b"\xaa\xaa\x03":
            self._left_out[NO_UDP] += 1
            return None
        return _internet(frame[at + 8 :])


def _internet(data: bytes) -> Any:
    import dpkt

    return dpkt.ip6.IP6(data) if data[0] >> 4 == 6 else dpkt.ip.IP(data)


def _radiotap_bytes(frame: bytes) -> int:
    size: int = struct.unpack_from("<H", frame, 2)[0]
    if not 8 <= size < len(frame):
        raise ValueError("radiotap header of impossible size")
    return size


def _fragment(packet: Any) -> _Fragment | None:
    """Return the part that a fragment of an IP packet holds; None for a whole packet."""
    import dpkt

    if isinstance(packet, dpkt.ip.IP):
        if not (packet.mf or packet.offset):
            return None
        raw = bytes(packet)
        start = 8 * (struct.unpack_from(">H", raw, 6)[0] & 0x1FFF)
        key = (packet.src, packet.dst, packet.id, packet.p)
        return _Fragment(key, start, bool(packet.mf), raw[4 * packet.hl :])
    header = packet.extension_hdrs.get(_FRAGMENT_HEADER) if hasattr(packet, "extension_hdrs") else None
    if header is None:
        return None
    key = (packet.src, packet.dst, header.id, header.nxt)
    return _Fragment(key, 8 * header.frag_off, bool(header.m_flag), bytes(packet.data))


def _flow(packet: Any, datagram: bytes) -> Flow:
    family = socket.AF_INET if len(packet.src) == 4 else socket.AF_INET6
    ports = struct.unpack_from(">HH", datagram)
    names = [socket.inet_ntop(family, address) for address in (packet.src, packet.dst)]
    shown = [f"[{name}]" if ":" in name else name for name in names]
    return Flow(f"{shown[0]}:{ports[0]}", f"{shown[1]}:{ports[1]}")


def _out_of_turn(payload: bytes) -> bytes:
    """Return the payload that a relay carries (RFC 8656: channel data, a Send or Data indication), anything else
    unchanged.
    """
    if len(payload) >= 4 and 0x40 <= payload[0] <= 0x4F:
        size = struct.unpack_from(">H", payload, 2)[0]
        return payload[4 : 4 + size] if size <= len(payload) - 4 < size + 4 else payload
    if len(payload) >= 20 and payload[4:8] == _COOKIE:
        kind = struct.unpack_from(">H", payload)[0]
        at = 20
        while kind in (_SEND, _DATA_INDICATION) and at + 4 <= len(payload):
            name, size = struct.unpack_from(">HH", payload, at)
            if name == _DATA:
                return payload[at + 4 : at + 4 + size]
            at += 4 + size + -size % 4
    return payload

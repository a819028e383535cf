# SPDX-License-Identifier: BSD-2-Clause
"""`--capture`: what went over the link as a pcap file, with the .sdp that players need beside it."""

from __future__ import annotations

import ipaddress
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from dredge_device import rtp
from dredge_host.links.link import Link
from dredge_host.sending.audio import check_target

_MAGIC = 0xA1B2C3D4  # classic pcap, microseconds
_RAW_IP = 101  # LINKTYPE_RAW: packets begin with the IP header
_SNAP = 65535
HOST = ("127.0.0.1", 40000)


class Capture:
    """Writes UDP datagrams with made-up IPv4 headers; a context manager.

    far: address and port of the device. The file appears under its name when it is closed, and so
    does the .sdp; until then it is `.NAME.part`. Raises InputError when the folder cannot be written.
    """

    def __init__(
        self, path: str | Path, far: tuple[str, int], payload_type: int = rtp.PAYLOAD_TYPE,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self.path = check_target(path)
        self._far = (_ipv4(far[0]), far[1])
        self._payload_type = payload_type
        self._clock = clock
        self._part = self.path.with_name(f".{self.path.name}.part")
        self._file = self._part.open("wb")
        self._file.write(struct.pack("<IHHiIII", _MAGIC, 2, 4, 0, 0, _SNAP, _RAW_IP))
        self.datagrams = 0

    @property
    def sdp_path(self) -> Path:
        return self.path.with_suffix(".sdp")

    def sent(self, datagram: bytes) -> None:
        """A datagram from host to device."""
        self._write(datagram, HOST, self._far)

    def received(self, datagram: bytes) -> None:
        """A datagram from device to host."""
        self._write(datagram, self._far, HOST)

    def close(self) -> None:
        """Completes both files."""
        if self._file.closed:
            return
        self._file.close()
        os.replace(self._part, self.path)
        self.sdp_path.write_text(sdp(*self._far, self._payload_type), encoding="ascii")

    def __enter__(self) -> Capture:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, datagram: bytes, source: tuple[str, int], target: tuple[str, int]) -> None:
        packet = ipv4_udp(datagram, source, target, self.datagrams)
        now = self._clock()
        seconds = int(now)
        head = struct.pack("<IIII", seconds, int((now - seconds) * 1e6), len(packet), len(packet))
        self._file.write(head + packet)
        self.datagrams += 1


class TappedLink:
    """A link whose datagrams are also captured, both ways."""

    def __init__(self, link: Link, capture: Capture) -> None:
        self.url = link.url
        self._link, self._capture = link, capture
        self.renew = getattr(link, "renew", lambda: None)
        self.close = link.close

    def send(self, datagram: bytes) -> None:
        self._link.send(datagram)
        self._capture.sent(datagram)

    def recv(self, timeout: float = 0.0) -> bytes | None:
        datagram = self._link.recv(timeout)
        if datagram is not None:
            self._capture.received(datagram)
        return datagram


def ipv4_udp(datagram: bytes, source: tuple[str, int], target: tuple[str, int], number: int = 0) -> bytes:
    """IPv4 and UDP headers (RFC 791, RFC 768) around a datagram, checksums included."""
    length = 8 + len(datagram)
    addresses = ipaddress.IPv4Address(source[0]).packed + ipaddress.IPv4Address(target[0]).packed
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, number & 0xFFFF, 0x4000, 64, 17, 0) + addresses
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    ports = struct.pack(">HHH", source[1], target[1], length)
    total = checksum(addresses + struct.pack(">BBH", 0, 17, length) + ports + b"\0\0" + datagram) or 0xFFFF
    return head + ports + struct.pack(">H", total) + datagram


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def sdp(address: str, port: int, payload_type: int = rtp.PAYLOAD_TYPE) -> str:
    """Session description (RFC 8866) of the stream, as RFC 7587 section 7 wants Opus described."""
    lines = [
        "v=0",
        f"o=- 0 0 IN IP4 {address}",
        "s=dredge",
        f"c=IN IP4 {address}",
        "t=0 0",
        f"m=audio {port} RTP/AVP {payload_type}",
        f"a=rtpmap:{payload_type} opus/48000/2",
        f"a=fmtp:{payload_type} stereo=0; sprop-stereo=0; maxplaybackrate=16000; sprop-maxcapturerate=16000",
        "a=ptime:20",
        "a=rtcp-mux",
    ]
    return "".join(line + "\r\n" for line in lines)


def _ipv4(host: str) -> str:
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError:
        return "127.0.0.1"  # a name, IPv6 or a serial line: the file needs some address

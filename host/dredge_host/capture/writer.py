# SPDX-License-Identifier: BSD-2-Clause
"""`--capture`: the traffic of the link as a pcap file, with an .sdp beside it for players."""

from __future__ import annotations

import ipaddress
import struct
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from dredge_device import rtp
from dredge_device.pi.input import sdp
from dredge_device.pi.output.files import PRIVATE, OutputFile
from dredge_device.pi.transport.errors import refusal
from dredge_host.console import note
from dredge_host.errors import UsageError
from dredge_host.links.link import Link

_MAGIC = 0xA1B2C3D4  # classic pcap, microseconds
_RAW_IP = 101  # LINKTYPE_RAW: packets begin with the IP header
_SNAP = 65535
_SUFFIXES = (".pcap", ".cap", "")
HOST = ("127.0.0.1", 40000)


class Capture:
    """A pcap file of UDP datagrams with made-up IPv4 headers; a context manager.

    far: address and port of the device. The file appears under its name when it is closed, and so does the .sdp; only
    their owner may read both. Where a file of that name exists already, the next free name is taken, unless
    `overwrite`. history_ms: of redundancy in extension 32, for the .sdp. When the disk is full, the file keeps the
    datagrams written so far, a note is printed, and later ones are not written. Raises OutputError when the file cannot
    be written at all, UsageError for a name with the ending of another format.
    """

    def __init__(
        self, path: str | Path, far: tuple[str, int], payload_type: int = rtp.PAYLOAD_TYPE,
        clock: Callable[[], float] = time.time, overwrite: bool = False, history_ms: int = 0,
    ) -> None:  # fmt: skip
        self.path = Path(path)
        if self.path.suffix.lower() not in _SUFFIXES:
            raise UsageError(f"{path}: a capture is written as pcap, expected a name ending in .pcap")
        self._far = (_ipv4(far[0]), far[1])
        self._payload_type = payload_type
        self._clock = clock
        self._overwrite = overwrite
        self._history_ms = history_ms
        self._file = OutputFile(path, keep=not overwrite, mode=PRIVATE)
        try:
            self._file.write(struct.pack("<IHHiIII", _MAGIC, 2, 4, 0, 0, _SNAP, _RAW_IP))
        except OSError:  # a full disk: the caller has no object yet that it could close
            self._file.discard()
            raise
        self._whole = self._file.size        # bytes up to the end of the last datagram that fitted
        self._open, self._full = True, False
        self.datagrams = 0

    def sent(self, datagram: bytes) -> None:
        """Write a datagram from host to device."""
        self._write(datagram, HOST, self._far)

    def received(self, datagram: bytes) -> None:
        """Write a datagram from device to host."""
        self._write(datagram, self._far, HOST)

    def close(self) -> None:
        """Complete both files; a stream (FIFO, device) gets no .sdp."""
        if not self._open:
            return
        self._open = False
        asked, self.path = self.path, self._file.finish()
        if self.path != asked:
            note(f"{asked} is there already; the capture is {self.path}")
        if not self._file.is_stream:
            self._describe()

    def _describe(self) -> None:
        """Write the .sdp; a failure is only noted, so that it does not cost the result of the stream."""
        try:
            with OutputFile(self.path.with_suffix(".sdp"), keep=not self._overwrite, mode=PRIVATE) as file:
                address, port = self._far
                text = sdp.build(
                    address, port, self._payload_type, mux=True, origin=address, history_ms=self._history_ms
                )
                file.write(text.encode("ascii"))
        except OSError as error:
            note(f"{refusal(error)}; the capture has no description beside it")

    def __enter__(self) -> Capture:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, datagram: bytes, source: tuple[str, int], target: tuple[str, int]) -> None:
        if self._full:
            return
        packet = ipv4_udp(datagram, source, target, self.datagrams)
        now = self._clock()
        seconds = int(now)
        head = struct.pack("<IIII", seconds, int((now - seconds) * 1e6), len(packet), len(packet))
        try:
            self._file.write(head + packet)
        except OSError as error:
            self._fail(error)
            return
        self._whole = self._file.size
        self.datagrams += 1

    def _fail(self, error: OSError) -> None:
        self._full = True
        if not self._file.is_stream:
            self._file.shorten(self._whole)
        note(f"{refusal(error)}; the capture ends after {self.datagrams} datagrams, the stream goes on")


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
    """Return a datagram with IPv4 and UDP headers (RFC 791, RFC 768), checksums included."""
    import dpkt

    udp = dpkt.udp.UDP(sport=source[1], dport=target[1], ulen=8 + len(datagram), data=datagram)
    ip = dpkt.ip.IP(
        src=ipaddress.IPv4Address(source[0]).packed, dst=ipaddress.IPv4Address(target[0]).packed,
        p=dpkt.ip.IP_PROTO_UDP, id=number & 0xFFFF, df=1, ttl=64, data=udp,
    )  # fmt: skip
    return bytes(ip)


def _ipv4(host: str) -> str:
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError:
        return "127.0.0.1"  # a name, IPv6 or a serial line: the file needs some address

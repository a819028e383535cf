# SPDX-License-Identifier: BSD-2-Clause
"""Plain samples of a MicroPython board: RTP packets of 20 ms of L16 at 16 kHz, mono (RFC 3551 section 4.5.11).

They travel over UDP, or in the frames of dredge_device.framing over a serial line. A board that has a microphone and a
loudspeaker has one line for both, so source and output of a process share it.
"""

import secrets
import socket
import threading
import time
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from dredge_device import rtp
from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.schema.report import PathReport
from dredge_device.pi.transport.addresses import Host
from dredge_device.pi.transport.schemes import PCM_LINE, PCM_UDP, scheme_of
from dredge_device.pi.transport.serial_port import LineError, SerialLine
from dredge_device.pi.transport.udp import UdpEndpoint
from dredge_device.units import PACKET_SAMPLES

PAYLOAD_TYPE = 96  # dynamic: L16 at 16 kHz has no static one
_GONE_S = 3.0  # a sender silent for this long may be replaced by another one


class Writer:
    """A writer of numbered packets. ``packet(pcm)``: int16[320] to a datagram of 652 bytes."""

    def __init__(self) -> None:
        self._ssrc = secrets.randbits(32)
        self._number = 0

    def packet(self, pcm: Pcm) -> bytes:
        number, self._number = self._number, self._number + 1
        return rtp.build(number, PACKET_SAMPLES * number, self._ssrc, pcm.astype(">i2").tobytes(), PAYLOAD_TYPE)


def parse(datagram: bytes) -> tuple[int, int, Pcm]:
    """Return (SSRC, sequence number, int16[320]) of a datagram. Raises ValueError for anything else than 20 ms of
    samples.
    """
    packet = rtp.parse(datagram)
    if len(packet.payload) != 2 * PACKET_SAMPLES:
        raise ValueError(f"packet of samples has {len(packet.payload)} bytes, expected {2 * PACKET_SAMPLES}")
    return packet.ssrc, packet.sequence, np.frombuffer(packet.payload, ">i2").astype(np.int16)


class Reader(Protocol):
    """A reader of datagrams with their arrival in µs of the monotonic clock; None after ``timeout`` seconds without
    one.
    """

    def recv(self, timeout: float) -> tuple[bytes, int] | None: ...
    def report(self) -> PathReport: ...
    def close(self) -> None: ...


class UdpReader:
    """A UDP port of this machine that accepts one sender: the first one, until 3 s of silence.

    only: name or address of the only board accepted. Raises OSError when there is no such port or name.
    """

    def __init__(self, host: str, port: int, only: str | None = None) -> None:
        self._only = Host(only) if only else None
        self._endpoint = UdpEndpoint(host or "0.0.0.0", port)
        self.address = self._endpoint.address
        self._peer: Any = None
        self._heard_s = 0.0
        self.strangers = 0

    def recv(self, timeout: float) -> tuple[bytes, int] | None:
        """Return the next datagram of the accepted sender."""
        arrived = self._endpoint.recv(timeout)
        if arrived is None:
            return None
        datagram, peer, at_us = arrived
        now = time.monotonic()
        free = self._peer is None or now - self._heard_s > _GONE_S
        if (self._only is not None and peer not in self._only) or (peer != self._peer and not free):
            self.strangers += 1
            return None
        self._peer, self._heard_s = peer, now
        return datagram, at_us

    def report(self) -> PathReport:
        """Return the number of datagrams from others."""
        return {"strangers": self.strangers}

    def close(self) -> None:
        """Close the line; its last user closes the port."""
        self._endpoint.close()


_lines: dict[str, tuple[SerialLine, int]] = {}  # by URL: the line and its number of users
_lock = threading.Lock()


def _opened(url: str) -> SerialLine:
    """Return the line of a serial:// URL; errors name the board:// URL that was given."""
    try:
        return SerialLine(url)
    except (LineError, ValueError) as error:
        raise type(error)(str(error).replace("serial://", "board://")) from None


class LineEnd:
    """One user of a board's serial line, which is opened by the first and closed by the last of them.

    Raises LineError when it cannot be opened, ValueError for a malformed URL.
    """

    def __init__(self, url: str) -> None:
        self._url = "serial" + url.removeprefix("board")
        with _lock:
            line, users = _lines.get(self._url) or (_opened(self._url), 0)
            _lines[self._url] = line, users + 1
        self._line = line

    def recv(self, timeout: float) -> tuple[bytes, int] | None:
        """Return the next whole frame."""
        return self._line.recv_timed(timeout)

    def send(self, datagram: bytes) -> bool:
        """Send a datagram; return False when the network or the board does not take it, since a board may be switched
        on later.
        """
        self._line.send(datagram)
        return self._line.up

    def report(self) -> PathReport:
        """Return the line's counters."""
        return {"line": self._line.counters()}

    def close(self) -> None:
        """Close the line; its last user closes the port."""
        with _lock:
            line, users = _lines.pop(self._url)
            if users > 1:
                _lines[self._url] = line, users - 1
                return
        line.close()


class UdpSender:
    """Sends to a board on the network. Raises OSError for a name that is not known."""

    def __init__(self, host: str, port: int) -> None:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.connect(address)

    def send(self, datagram: bytes) -> bool:
        """Send a datagram; return False when the network or the board does not take it, since a board may be switched
        on later.
        """
        try:
            self._socket.send(datagram)
        except OSError:
            return False
        return True

    def report(self) -> PathReport:
        """Return no counts beside those of the output."""
        return {}

    def close(self) -> None:
        """Close the line; its last user closes the port."""
        self._socket.close()


def open_reader(url: str) -> Reader:
    """Return the reader of a board's microphone. Raises ValueError for another URL, OSError and LineError as above."""
    if scheme_of(url) is PCM_LINE:
        return LineEnd(url)
    host, port, options = _parts(url)
    return UdpReader(host, port, options.get("from"))


def open_sender(url: str) -> LineEnd | UdpSender:
    """Return the sender to a board's loudspeaker; errors as of `open_reader`."""
    if scheme_of(url) is PCM_LINE:
        return LineEnd(url)
    host, port, options = _parts(url)
    if not host or options:
        raise ValueError(f"'{url}': expected the board's address, for example udp-pcm://192.168.1.40:5004")
    return UdpSender(host, port)


def _parts(url: str) -> tuple[str, int, dict[str, str]]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        port = None
    if port is None or parts.path not in ("", "/"):
        raise ValueError(f"'{url}': expected {PCM_UDP.usage} with a port from 0 to 65535, for example udp-pcm://:5006")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if set(options) - {"from"}:
        raise ValueError(f"'{url}': the only option is from=ADDRESS, the board that may send")
    return parts.hostname or "", port, options

# SPDX-License-Identifier: BSD-2-Clause
"""Links carry datagrams: anything with send, recv and close."""

from __future__ import annotations

import queue
import select
import socket
from typing import Protocol
from urllib.parse import urlsplit

from dredge_device.pi.serialline import LineError, SerialLine
from dredge_device.pi.serialurl import is_serial
from dredge_host.errors import UnreachableError, UsageError

MAX_DATAGRAM = 65507
DEFAULT_PORT = 5004


class Link(Protocol):
    """One end of a datagram path. `recv` waits at most `timeout` seconds; 0 only looks."""

    url: str

    def send(self, datagram: bytes) -> None: ...

    def recv(self, timeout: float = 0.0) -> bytes | None: ...

    def close(self) -> None: ...


class UdpLink:
    """A connected UDP socket, so that a closed port at the other end is noticed."""

    def __init__(self, host: str, port: int) -> None:
        self.url = f"udp://{host}:{port}"
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except socket.gaierror:
            raise UnreachableError(f"{self.url}: the host name '{host}' is not known") from None
        family, _, _, _, address = found[0]
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.connect(address)
        except OSError as error:
            self._socket.close()
            raise UnreachableError(f"{self.url}: {error.strerror}") from None

    def send(self, datagram: bytes) -> None:
        try:
            self._socket.send(datagram)
        except ConnectionRefusedError:
            raise self._refused() from None
        except OSError as error:
            raise UnreachableError(f"{self.url}: {error.strerror}") from None

    def recv(self, timeout: float = 0.0) -> bytes | None:
        try:
            ready, _, _ = select.select([self._socket], [], [], max(0.0, timeout))
            return self._socket.recv(MAX_DATAGRAM) if ready else None
        except ConnectionRefusedError:
            raise self._refused() from None
        except OSError as error:  # a router says that there is no way, or the interface is down
            raise UnreachableError(f"{self.url}: {error.strerror}") from None

    def close(self) -> None:
        self._socket.close()

    def _refused(self) -> UnreachableError:
        return UnreachableError(f"{self.url}: nobody listens there; start one with `dredge agent --listen {self.url}`")


class SerialLink:
    """The host's end of a serial line. Raises UnreachableError when it cannot be opened."""

    def __init__(self, url: str) -> None:
        try:
            self.line = SerialLine(url)
        except LineError as error:
            raise UnreachableError(str(error)) from None
        except ValueError as error:
            raise UsageError(str(error)) from None
        self.url = url
        self.send = self.line.send
        self.recv = self.line.recv
        self.close = self.line.close


class LoopLink:
    """One end of an in-process pair; nothing is lost, nothing is late."""

    url = "loop://"

    def __init__(self, outbox: queue.Queue[bytes], inbox: queue.Queue[bytes]) -> None:
        self._outbox, self._inbox = outbox, inbox
        self._closed = False

    def send(self, datagram: bytes) -> None:
        if self._closed:
            raise UnreachableError("loop://: this end of the link is closed")
        self._outbox.put(bytes(datagram))

    def recv(self, timeout: float = 0.0) -> bytes | None:
        try:
            return self._inbox.get(timeout=timeout) if timeout > 0 else self._inbox.get_nowait()
        except queue.Empty:
            return None

    def close(self) -> None:
        self._closed = True


def loop_pair() -> tuple[LoopLink, LoopLink]:
    """Two ends that hear each other."""
    there: queue.Queue[bytes] = queue.Queue()
    back: queue.Queue[bytes] = queue.Queue()
    return LoopLink(there, back), LoopLink(back, there)


def parse_udp(url: str) -> tuple[str, int]:
    """`udp://host:port` or `udp://[v6]:port` to (host, port). Raises UsageError."""
    try:
        parts = urlsplit(url)
        port = DEFAULT_PORT if parts.port is None else parts.port
    except ValueError:
        raise UsageError(f"'{url}': the port must be a number from 0 to 65535") from None
    if parts.scheme != "udp" or not parts.hostname or parts.path not in ("", "/"):
        raise UsageError(f"'{url}': expected udp://host:port, for example udp://127.0.0.1:5004")
    return parts.hostname, port


def open_link(url: str) -> Link:
    """Open the sending end of a link by URL.

    Raises UsageError (malformed), UnreachableError (no such host, no such port).
    """
    scheme = url.split("://", 1)[0] if "://" in url else ""
    if scheme == "udp":
        host, port = parse_udp(url)
        if port == 0:
            raise UsageError(f"'{url}': port 0 cannot be sent to")
        return UdpLink(host, port)
    if scheme == "loop":
        raise UsageError("'loop://' has no far end on its own; use links.loop_pair()")
    if is_serial(url):
        return SerialLink(url)
    raise UsageError(f"'{url}': unknown link; use udp://host:port, serial://DEVICE?baud=N or loop://")


def open_secured(url: str, key_file: str | None) -> Link:
    """`open_link`, with the key of a file if there is one. Raises UsageError for a bad key file."""
    link = open_link(url)
    if key_file is None:
        return link
    from dredge_device.pi.sealing import KeyFileError, read_key
    from dredge_host.securelink import SecureLink

    try:
        return SecureLink(link, read_key(key_file))
    except KeyFileError as error:
        link.close()
        raise UsageError(str(error)) from None
    except BaseException:
        link.close()
        raise

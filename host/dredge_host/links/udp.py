# SPDX-License-Identifier: BSD-2-Clause
"""The sending end of a UDP link."""

from __future__ import annotations

import select
import socket
from typing import Any

from dredge_host.errors import UnreachableError
from dredge_host.links.link import MAX_DATAGRAM


class UdpLink:
    """A connected UDP socket, so that a closed port at the other end is noticed."""

    def __init__(self, host: str, port: int) -> None:
        self.url = f"udp://{host}:{port}"
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except (socket.gaierror, UnicodeError):  # the latter: a part of the name is empty or too long
            raise UnreachableError(f"{self.url}: the host name '{host}' is not known") from None
        self._socket = self._connected(found)

    def _connected(self, found: list[Any]) -> socket.socket:
        """A socket to the first of the name's addresses that can be reached from here."""
        why = "no address"
        for family, _, _, _, address in found:
            try:
                connected = socket.socket(family, socket.SOCK_DGRAM)
            except OSError as error:  # a machine without IPv6
                why = error.strerror or str(error)
                continue
            try:
                connected.connect(address)
                return connected
            except OSError as error:
                connected.close()
                why = error.strerror or str(error)
        raise UnreachableError(f"{self.url}: {why}")

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

# SPDX-License-Identifier: BSD-2-Clause
"""The sending end of a UDP link."""

from __future__ import annotations

import select
import socket

from dredge_device.pi.transport.errors import refusal
from dredge_host.errors import UnreachableError
from dredge_host.links.link import MAX_DATAGRAM

_TRIES = 3  # unanswered datagrams to one address before the next address of the name is tried


class UdpLink:
    """A connected UDP socket, so that a closed port at the other end is noticed.

    Of a name with several addresses (localhost, NAME.local) each is tried until one answers; that one stays.
    """

    def __init__(self, host: str, port: int) -> None:
        self.url = f"udp://[{host}]:{port}" if ":" in host else f"udp://{host}:{port}"
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except (socket.gaierror, UnicodeError):
            hint = "; names in .local need mDNS (package libnss-mdns)" if host.endswith(".local") else ""
            raise UnreachableError(f"{self.url}: the host name '{host}' is not known{hint}") from None
        self._addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
        self._left = len(self._addresses) - 1  # not tried yet
        self._heard = False
        self._unanswered = 0
        self._socket: socket.socket | None = None
        self._turn = -1
        self._next()

    def send(self, datagram: bytes) -> None:
        if not self._heard and len(self._addresses) > 1:
            self._unanswered += 1
            if self._unanswered > _TRIES:
                self._next()
        try:
            self._open.send(datagram)
        except ConnectionRefusedError:
            self._refuse()
            self.send(datagram)
        except OSError as error:
            raise UnreachableError(refusal(error, self.url)) from None

    def recv(self, timeout: float = 0.0) -> bytes | None:
        try:
            ready, _, _ = select.select([self._open], [], [], max(0.0, timeout))
            if not ready:
                return None
            datagram = self._open.recv(MAX_DATAGRAM)
        except ConnectionRefusedError:
            self._refuse()
            return None
        except OSError as error:  # for example no route to the host, or an interface that is down
            raise UnreachableError(refusal(error, self.url)) from None
        self._heard = True
        return datagram

    def close(self) -> None:
        self._open.close()

    @property
    def _open(self) -> socket.socket:
        assert self._socket is not None
        return self._socket

    def _refuse(self) -> None:
        """Change to the next untried address when this one's port is closed."""
        if self._heard or not self._left:
            self._left = 0 if self._heard else len(self._addresses) - 1
            raise UnreachableError(
                f"{self.url}: nobody listens there; start one with `dredge agent --listen {self.url}`"
            )
        self._left -= 1
        self._next()

    def _next(self) -> None:
        """Connect to the next address; UnreachableError when none of them is reachable."""
        why = ""
        for _ in self._addresses:
            self._turn = (self._turn + 1) % len(self._addresses)
            family, address = self._addresses[self._turn]
            try:
                fresh = socket.socket(family, socket.SOCK_DGRAM)
            except OSError as error:  # for example without IPv6
                why = refusal(error)
                continue
            try:
                fresh.connect(address)
            except OSError as error:
                fresh.close()
                why = refusal(error)
                continue
            if self._socket is not None:
                self._socket.close()
            self._socket, self._unanswered = fresh, 0
            return
        raise UnreachableError(f"{self.url}: {why}")

# SPDX-License-Identifier: BSD-2-Clause
"""UDP ports by name, IPv4 and IPv6."""

import selectors
import socket
import time
from collections.abc import Collection
from typing import Any

from dredge_device.pi.clock import monotonic_us
from dredge_device.pi.schema.report import Link
from dredge_device.pi.transport.addresses import name_of
from dredge_device.pi.transport.peer_sockets import PeerSockets

MAX_DATAGRAM = 4096  # Opus, DRED and headers need less than 2500 bytes
_RETRY_S = 0.02  # between attempts to receive while the network is broken
_RECEIVE_BUFFER = 1 << 20  # holds about two seconds of 64 streams while the process is busy
_FAIR = 16  # most consecutive datagrams from one of several sockets
_WINDOW_S, _OTHERS = 0.02, 160  # while sessions run, most datagrams of other peers per window
_MOST = 8  # most addresses of one name


class UdpEndpoint:
    """A bound UDP port, on every address of ``host``: localhost is 127.0.0.1 and ::1, ``::`` is everything.

    Raises OSError when none can be bound, or the name is not known.
    """

    def __init__(self, host: str, port: int) -> None:
        self.unsent = self.unheard = self.too_long = 0
        self._ready: socket.socket | None = None  # the socket that had the last datagram
        self._row = 0
        self._sockets: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        error: OSError = OSError(f"{host}: no address")
        for family, address in _addresses(host, port):
            if family in self._sockets and host in ("", "::"):
                continue
            try:
                bound = _bound(family, (address[0], port, *address[2:]), dual=host == "::")
            except OSError as failure:
                error = failure
                continue
            self._sockets.setdefault(family, bound)
            self._selector.register(bound, selectors.EVENT_READ)
            port = bound.getsockname()[1]
        if not self._sockets:
            self._selector.close()
            raise error
        self._own = PeerSockets(self._sockets, self._selector, _RECEIVE_BUFFER)
        self._others = 0  # datagrams of others in the present window
        self._window_s = 0.0  # when that began
        self.address = f"udp://{name_of(next(iter(self._sockets.values())).getsockname())}"

    def recv(self, timeout: float) -> tuple[bytes, Any, int] | None:
        """Return the next datagram; errors of earlier answers are ignored.

        A failure of the network (interface down, no buffers) is counted, and receiving is tried again later.
        """
        try:
            if self._ready is None:  # else read the last socket again, without a select
                self._ready = self._next(timeout)
            if self._ready is not None:
                datagram, peer = self._ready.recvfrom(MAX_DATAGRAM + 1)
                if len(datagram) > MAX_DATAGRAM:  # not truncated, because the rest would count as a damaged one
                    self.too_long += 1
                    return None
                self._row = (self._row + 1) % _FAIR
                if self._row == 0 and len(self._selector.get_map()) > 1:
                    self._ready = None
                return datagram, peer, monotonic_us()
        except BlockingIOError:
            self._ready = None
            return self.recv(timeout)
        except (TimeoutError, ConnectionError):
            return None
        except OSError:
            self.unheard += 1
            time.sleep(min(timeout, _RETRY_S))
        return None

    def serve(self, peers: Collection[Any]) -> None:
        """Receive from these peers before others; call it in the receiving thread."""
        if self._ready in self._own.serve(peers):
            self._ready = None

    def _next(self, timeout: float) -> socket.socket | None:
        """Return a socket with a datagram: a served peer's before others', of which only a limited number per window is
        taken.
        """
        now_s = time.monotonic()
        if now_s - self._window_s >= _WINDOW_S:
            self._window_s, self._others = now_s, 0
        left_s = self._window_s + _WINDOW_S - now_s
        spent = self._others >= _OTHERS and len(self._own) > 0
        ready = self._own.selector.select(min(timeout, left_s)) if spent else self._selector.select(timeout)
        ready.sort(key=lambda found: found[0].data is None)
        if not ready:
            return None
        self._others += _FAIR if ready[0][0].data is None else 0
        self._row = 0
        return ready[0][0].fileobj  # type: ignore[return-value]

    def send(self, datagram: bytes, peer: Any) -> None:
        """Try to send; a failure is only counted, because reports are repeated."""
        family = socket.AF_INET6 if len(peer) == 4 else socket.AF_INET
        try:
            self._sockets[family].sendto(datagram, peer)
        except (OSError, KeyError):
            self.unsent += 1

    def peer(self, host: str, port: int) -> Any:
        """Return the peer that ``recv`` would report for this port. Raises OSError when there is no way from here to
        it.
        """
        mapped = socket.AF_INET not in self._sockets  # one socket for both, in which IPv4 looks like ::ffff:1.2.3.4
        family, flags = (socket.AF_INET6, socket.AI_V4MAPPED | socket.AI_ALL) if mapped else (socket.AF_UNSPEC, 0)
        try:
            found = socket.getaddrinfo(host, port, family, socket.SOCK_DGRAM, flags=flags)
        except (socket.gaierror, UnicodeError):
            raise OSError(f"the host name '{host}' is not known") from None
        ways = [(kind, address) for kind, _, _, _, address in found if kind in self._sockets]
        if not ways:
            raise OSError(f"{self.address} has no way to {host}: listen on an address of the same kind, IPv4 or IPv6")
        return min(ways, key=lambda way: way[0] != socket.AF_INET)[1]

    def report(self) -> Link:
        """Return the counts of datagrams that could not be sent, of failed attempts to receive, and of datagrams too
        long to be ours.
        """
        return {"kind": "udp", "unsent": self.unsent, "unheard": self.unheard, "too_long": self.too_long}

    def close(self) -> None:
        """Free the port."""
        self._own.close()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()


def _addresses(host: str, port: int) -> list[tuple[int, Any]]:
    """Return (family, address) of a name, IPv4 first, since every host can use a printed IPv4 address."""
    pairs: list[tuple[int, Any]] = []
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
        pairs = [(int(family), address) for family, _, _, _, address in found]
    except (socket.gaierror, UnicodeError):
        if host != "localhost":
            raise OSError(
                f"the host name '{host}' is not known; listen on an address or a name of this machine"
            ) from None
    if host == "localhost":  # defined even without a resolver (RFC 6761 section 6.3)
        pairs += [(int(socket.AF_INET), ("127.0.0.1", port)), (int(socket.AF_INET6), ("::1", port, 0, 0))]
    unique = list(dict.fromkeys(pairs))[:_MOST]
    return sorted(unique, key=lambda pair: pair[0] != socket.AF_INET)


def _bound(family: int, address: Any, dual: bool) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
        bound.setblocking(False)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise OSError(error.errno, error.strerror, f"udp://{name_of(address)}") from None
    return bound

# SPDX-License-Identifier: BSD-2-Clause
"""A separate socket for every served peer, so that others' datagrams cannot fill its buffer."""

import selectors
import socket
from collections.abc import Collection, Mapping
from typing import Any

MOST = 64  # most peers with a separate socket, the most streams of one process


class PeerSockets:
    """Sockets on the port of ``bound`` (one per address family), each connected to one peer.

    The system delivers a datagram to the socket that matches it best: those of a served peer to its socket, all others
    to the bound one. Without such a socket, the bound one receives a peer's datagrams.
    """

    def __init__(self, bound: Mapping[int, socket.socket], selector: selectors.BaseSelector, buffer: int) -> None:
        self._bound = bound
        self._all = selector
        self._buffer = buffer
        self._sockets: dict[Any, socket.socket] = {}
        self.selector = selectors.DefaultSelector()  # of these alone

    def __len__(self) -> int:
        return len(self._sockets)

    def serve(self, peers: Collection[Any]) -> list[socket.socket]:
        """Open and close sockets, so that these peers have one; return those that were closed."""
        closed = [self._sockets.pop(peer) for peer in [known for known in self._sockets if known not in peers]]
        for own in closed:
            self._all.unregister(own)
            self.selector.unregister(own)
            own.close()
        for peer in peers:
            if peer not in self._sockets and len(self._sockets) < MOST and isinstance(peer, tuple):
                self._open(peer)
        return closed

    def _open(self, peer: Any) -> None:
        family = socket.AF_INET6 if len(peer) == 4 else socket.AF_INET
        bound = self._bound.get(family)
        if bound is None:
            return
        own = socket.socket(family, socket.SOCK_DGRAM)
        try:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer)
            own.setblocking(False)
            if family == socket.AF_INET6:
                only = bound.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
                own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
            self._beside(bound, own)
            own.connect(peer)
        except OSError:
            own.close()
            return
        self._sockets[peer] = own
        self._all.register(own, selectors.EVENT_READ, self)
        self.selector.register(own, selectors.EVENT_READ, self)

    @staticmethod
    def _beside(bound: socket.socket, own: socket.socket) -> None:
        """Bind to the same port, which is shared only for that moment, so that no other process can take it."""
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            own.bind(bound.getsockname())
        finally:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)

    def close(self) -> None:
        """Free all of them."""
        self.serve(())
        self.selector.close()

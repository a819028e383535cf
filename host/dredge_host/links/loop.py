# SPDX-License-Identifier: BSD-2-Clause
"""A pair of links within one process."""

from __future__ import annotations

import queue
from collections.abc import Callable

from dredge_host.errors import UnreachableError


class LoopLink:
    """One end of an in-process pair, without loss and delay."""

    url = "loop://"

    def __init__(self, outbox: queue.Queue[bytes], inbox: queue.Queue[bytes]) -> None:
        self._outbox, self._inbox = outbox, inbox
        self._closed = False
        self.on_close: Callable[[], None] | None = None  # called once

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
        then, self.on_close = self.on_close, None
        if then is not None:
            then()


def loop_pair() -> tuple[LoopLink, LoopLink]:
    """Return two links, each of which receives what the other sends."""
    there: queue.Queue[bytes] = queue.Queue()
    back: queue.Queue[bytes] = queue.Queue()
    return LoopLink(there, back), LoopLink(back, there)

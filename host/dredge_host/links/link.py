# SPDX-License-Identifier: BSD-2-Clause
"""What a link offers: anything that sends and receives datagrams."""

from __future__ import annotations

from typing import Protocol

MAX_DATAGRAM = 65507
DEFAULT_PORT = 5004


class Link(Protocol):
    """One end of a datagram path. `recv` waits at most `timeout` seconds; 0 only looks."""

    url: str

    def send(self, datagram: bytes) -> None: ...

    def recv(self, timeout: float = 0.0) -> bytes | None: ...

    def close(self) -> None: ...

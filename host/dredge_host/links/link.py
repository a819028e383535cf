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


def trouble_of(link: Link) -> str:
    """Return the link's own knowledge of a fault as a sentence, empty when it knows of none."""
    return str(getattr(link, "trouble", ""))


def damaged_of(link: Link) -> int:
    """Return how many frames came damaged over the link's own wire; 0 for links without one."""
    return int(getattr(link, "damaged", 0))

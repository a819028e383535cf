# SPDX-License-Identifier: BSD-2-Clause
"""The interface of a link, which sends and receives datagrams."""

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
    """Return the link's fault as a sentence, empty without one."""
    return str(getattr(link, "trouble", ""))


def damaged_of(link: Link) -> int:
    """Return the number of damaged frames on the link's serial line; 0 for links without one."""
    return int(getattr(link, "damaged", 0))

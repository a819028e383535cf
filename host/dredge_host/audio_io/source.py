# SPDX-License-Identifier: BSD-2-Clause
"""The interface of a source of live speech."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from dredge_device.pi.interfaces import Pcm


class Source(Protocol):
    """A source of 20 ms at a time, each when it is due: by a card's clock, by that of a program at the other end of a
    pipe, or by this machine's.

    ``backlog_us``: microseconds for which what ``read`` returned last had waited here, beyond its own 20 ms.
    """

    @property
    def backlog_us(self) -> int: ...

    def read(self) -> Pcm | None:
        """Return int16[320], 16 kHz mono, when it is due; None at the end."""
        ...

    def flush(self) -> None:
        """Leave out what has been waiting, because it is old."""
        ...

    def report(self) -> dict[str, Any]:
        """Return the source's kind and its faults so far."""
        ...

    def close(self) -> None: ...


def pieces(source: Source, count: int | None = None) -> Iterator[Pcm]:
    """Yield int16[320] as they come, `count` or to the end."""
    taken = 0
    while count is None or taken < count:
        piece = source.read()
        if piece is None:
            return
        taken += 1
        yield piece

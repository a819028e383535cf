# SPDX-License-Identifier: BSD-2-Clause
"""What a source of live speech offers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from dredge_device.pi.interfaces import Pcm


class Source(Protocol):
    """20 ms at a time, each when it is due: by a card's clock, by that of a program at the other end of a pipe,
    or by this machine's.

    ``backlog_us``: microseconds for which what ``read`` returned last had waited here, beyond its own 20 ms.
    """

    @property
    def backlog_us(self) -> int: ...

    def read(self) -> Pcm | None:
        """int16[320], 16 kHz mono, when it is due; None at the end."""
        ...

    def flush(self) -> None:
        """What has been waiting is old: go on with what comes now."""
        ...

    def report(self) -> dict[str, Any]:
        """What it is, and what went wrong so far."""
        ...

    def close(self) -> None: ...


def pieces(source: Source, count: int | None = None) -> Iterator[Pcm]:
    """int16[320] as they come, so many or to the end."""
    taken = 0
    while count is None or taken < count:
        piece = source.read()
        if piece is None:
            return
        taken += 1
        yield piece

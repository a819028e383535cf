# SPDX-License-Identifier: BSD-2-Clause
"""The interface of a source of live speech."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.schema.report import PathReport


class SourceReport(PathReport, total=False):
    """The kind of a source and its faults so far. skipped_ms: speech that was too old; silent_ms: silence in place of
    missing speech; vanished: how often a card disappeared; late: missed deadlines; the others: of a board's packets.
    """

    kind: str
    rate: int
    advice: str
    clock: str
    late: int
    overflows: int
    vanished: int
    skipped_ms: int
    silent_ms: int
    received: int
    missing: int
    repeated: int
    garbage: int
    restarts: int
    delay_ms: float
    clock_ppm: float | None


class Source(Protocol):
    """A source of 20 ms at a time, each when it is due: by a card's clock, by that of a program at the other end of a
    pipe, or by this machine's.

    ``backlog_us``: time in microseconds for which the last result of ``read`` had waited, beyond its own 20 ms.
    """

    @property
    def backlog_us(self) -> int: ...

    def read(self) -> Pcm | None:
        """Return int16[320], 16 kHz mono, when it is due; None at the end."""
        ...

    def flush(self) -> None:
        """Drop the buffered speech, because it is old."""
        ...

    def report(self) -> SourceReport:
        """Return the source's kind and its faults so far."""
        ...

    def close(self) -> None: ...


def pieces(source: Source, count: int | None = None) -> Iterator[Pcm]:
    """Yield int16[320] as they arrive, `count` of them or to the end."""
    taken = 0
    while count is None or taken < count:
        piece = source.read()
        if piece is None:
            return
        taken += 1
        yield piece

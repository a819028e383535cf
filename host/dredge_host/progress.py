# SPDX-License-Identifier: BSD-2-Clause
"""Progress of long work on standard error: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

EVERY_S = 5.0


class Bar:
    """Counts `unit`s done out of `total`, with their rate and the time that is left.

    found: number of units found in a cache; they do not count for the rate. A context manager.
    """

    def __init__(
        self,
        what: str,
        total: int,
        unit: str,
        found: int = 0,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._found = self._done = found
        self._stream = stream or sys.stderr
        self._clock = clock
        self._started = self._shown = clock()
        self._remark = ""
        self._rich: Any = None
        self._row: Any = None
        if self._stream.isatty():
            self._rich, self._row = self._panel()

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._rich is not None:
            self._rich.stop()
        elif self._done > self._found:
            self._line()

    def step(self, count: int = 1) -> None:
        """Count `count` further units as done."""
        self.reach(self._done + count)

    def reach(self, done: int, total: int | None = None, *_: Any) -> None:
        """Set the number of units done; total: if it becomes known only now. Further arguments of a hook are
        ignored.
        """
        self._done, self._total = done, self._total if total is None else total
        if self._rich is not None:
            self._rich.update(self._row, completed=done, total=self._total, text=self.text())
        elif self._clock() - self._shown >= EVERY_S and done < self._total:
            self._line()

    def remark(self, words: str) -> None:
        """Show a remark behind the counts, from the next step on."""
        self._remark = f", {words}" if words else ""

    def text(self) -> str:
        """Return counts, rate and time left as text, and the remark."""
        return self._counts() + self._remark

    def _counts(self) -> str:
        elapsed = max(1e-9, self._clock() - self._started)
        rate = (self._done - self._found) / elapsed
        text = f"{self._done} of {self._total} {self._unit}"
        if rate <= 0:
            return text
        speed = f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each"
        if self._done >= self._total:
            return f"{text}, {speed}, took {_span(elapsed)}"
        return f"{text}, {speed}, about {_span((self._total - self._done) / rate)} left"

    def _line(self) -> None:
        self._shown = self._clock()
        print(f"{self._what}: {self.text()}", file=self._stream, flush=True)

    def _panel(self) -> tuple[Any, Any]:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (TextColumn(self._what), BarColumn(), TextColumn("{task.fields[text]}"))
        panel = Progress(*columns, console=Console(file=self._stream), transient=True)
        panel.start()
        return panel, panel.add_task(self._what, total=self._total, completed=self._done, text=self.text())


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

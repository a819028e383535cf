# SPDX-License-Identifier: BSD-2-Clause
"""Runs cells on the virtual board, several at a time if wanted, and says how far it is."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from types import TracebackType
from typing import Any

from virtual_pi import board
from virtual_pi.figures import Cell, replayed, talked
from virtual_pi.stream import Speech
from virtual_pi.supplies import Supplies


class Runner:
    """Makes the packets of a cell, boots a board with them, and reads the agent's report."""

    def __init__(self, supplies: Supplies) -> None:
        self._supplies = supplies
        self._speech = Speech()
        self._lock = threading.Lock()

    def run(self, cell: Cell) -> dict[str, Any]:
        """The figures of one cell. Raises BoardError, and UsageError for a bad loss or playout."""
        if cell.job == "talk":
            return talked(cell, self._boot(cell, {}))
        with self._lock:
            stream = self._speech.stream(cell.seconds, cell.loss, cell.seed)
        return replayed(cell, stream, self._boot(cell, {"stream.pkl": stream.pickled()}))

    def _boot(self, cell: Cell, files: dict[str, bytes]) -> dict[str, Any]:
        """What the job on the board said."""
        files = {**files, "settings.json": json.dumps(asdict(cell)).encode()}
        with self._supplies.image(files) as image:
            return board.run(self._supplies.kernel, image, cell.mips, cell.cpu)

    def all(self, cells: list[Cell], jobs: int) -> Iterator[dict[str, Any]]:
        """The figures of the cells in their order."""
        with Progress(len(cells)) as progress, ThreadPoolExecutor(jobs) as pool:
            for future in [pool.submit(self.run, cell) for cell in cells]:
                result = future.result()
                progress.step()
                yield result


class Progress:
    """Says on standard error how many runs are done, how long it took, and about how long the rest will take.

    A terminal shows it every second, a log whenever a run is done.
    """

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0
        self._begun = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> Progress:
        if self._terminal:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._terminal:
            self._thread.join()
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def step(self) -> None:
        """One more run is done."""
        self._done += 1
        if not self._terminal:
            print(self._line(), file=sys.stderr, flush=True)

    def _tick(self) -> None:
        while not self._over.wait(1.0):
            print(f"\r{self._line()}\033[K", end="", file=sys.stderr, flush=True)

    def _line(self) -> str:
        spent = time.monotonic() - self._begun
        line = f"virtual board: {self._done} of {self._total} runs, {spent:.0f} s"
        if 0 < self._done < self._total:
            line += f", about {spent / self._done * (self._total - self._done):.0f} s left"
        return line

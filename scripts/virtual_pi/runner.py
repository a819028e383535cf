# SPDX-License-Identifier: BSD-2-Clause
"""Runs cells on the virtual board, several at a time if wanted, and says how far it is."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from dredge_host.progress import Bar
from virtual_pi import board
from virtual_pi.boot_image.prepare import BootImage
from virtual_pi.figures import Cell, replayed, talked
from virtual_pi.row_file import RowFile
from virtual_pi.stream import Speech


class Runner:
    """Makes the packets of a cell, boots a board with them, and reads the agent's report."""

    def __init__(self, boot: BootImage, rows: RowFile, anew: bool = False) -> None:
        self._boot_image = boot
        self._rows = rows
        self._anew = anew
        self._speech = Speech()
        self._lock = threading.Lock()

    def run(self, cell: Cell) -> dict[str, Any]:
        """Return the figures of one cell: of an earlier run of the same code, or of this one, which are kept at once.

        Raises BoardError, and UsageError for a bad loss or playout.
        """
        known = None if self._anew else self._rows.find(cell)
        return known or self._rows.add(self._measured(cell))

    def _measured(self, cell: Cell) -> dict[str, Any]:
        if cell.job == "talk":
            return talked(cell, self._boot(cell, {}))
        with self._lock:
            stream = self._speech.stream(cell.seconds, cell.loss, cell.seed)
        return replayed(cell, stream, self._boot(cell, {"stream.pkl": stream.pickled()}))

    def _boot(self, cell: Cell, files: dict[str, bytes]) -> dict[str, Any]:
        """Return the result of the job on the board."""
        files = {**files, "settings.json": json.dumps(asdict(cell)).encode()}
        with self._boot_image.image(files) as image:
            return board.run(self._boot_image.kernel, image, cell.mips, cell.cpu)

    def all(self, cells: list[Cell], jobs: int) -> Iterator[dict[str, Any]]:
        """Yield the figures of the cells in their order; the bar is gone before the last ones are given."""
        with ThreadPoolExecutor(jobs) as pool:
            *others, last = [pool.submit(self.run, cell) for cell in cells]
            with Bar("virtual board", len(cells), "runs") as bar:
                for future in others:
                    result = future.result()
                    bar.step()
                    yield result
                result = last.result()
                bar.step()
            yield result

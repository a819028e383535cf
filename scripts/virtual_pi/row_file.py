# SPDX-License-Identifier: BSD-2-Clause
"""Rows of earlier runs: a table that was interrupted goes on where it stopped, as long as the code is the same."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from virtual_pi.figures import Cell


class RowFile:
    """One line of JSON per run in a file that only grows; code: digest of what the board runs."""

    def __init__(self, path: Path, code: str) -> None:
        self._path = path
        self._code = code

    def find(self, cell: Cell) -> dict[str, Any] | None:
        """Return the newest row of this cell with this code."""
        wanted = {**asdict(cell), "code": self._code}
        return next((row for row in reversed(read(self._path)) if wanted.items() <= row.items()), None)

    def add(self, row: dict[str, Any]) -> dict[str, Any]:
        """Keep a row at once, and return it with the code's digest."""
        row = {**row, "code": self._code}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        return row


def read(path: Path) -> list[dict[str, Any]]:
    """Return all rows, the oldest first; a line that was not finished is left out."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows

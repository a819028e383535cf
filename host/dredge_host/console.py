# SPDX-License-Identifier: BSD-2-Clause
"""Printing: results go to stdout, everything else to stderr."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from dredge_device.pi.output.files import is_stdout


def note(text: str) -> None:
    """Write a remark to standard error; it is never part of a result."""
    click.echo(f"note: {text}", err=True)


def to_json(result: Mapping[str, object]) -> str:
    """Return indented JSON; NumPy scalars become numbers, paths become text, numbers that are not finite become null.
    """
    try:
        return json.dumps(result, indent=2, default=_plain, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(result), indent=2, allow_nan=False)


def emit(result: Mapping[str, object], lines: Sequence[str], as_json: bool, beside: Path | None = None) -> None:
    """Print the result once, as JSON or as lines of text; on stderr if stdout holds the output file `beside`."""
    taken = beside is not None and is_stdout(beside)
    click.echo(to_json(result) if as_json else "\n".join(lines), err=taken)


def table(rows: Sequence[Sequence[str]], head: Sequence[str]) -> list[str]:
    """Return the rows as aligned columns: text to the left, figures to the right."""
    grid = [list(head), *[list(row) for row in rows]]
    widths = [max(len(row[i]) for row in grid) for i in range(len(head))]
    lines = []
    for row in grid:
        cells = [
            cell.rjust(width) if index and _is_figure(cell) else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _is_figure(cell: str) -> bool:
    return cell[:1].isdigit() or cell[:1] in "-+." or cell == "–"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else _finite(_plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"cannot write {type(value).__name__} as JSON")

# SPDX-License-Identifier: BSD-2-Clause
"""Which cells a table has, and how a person reads it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from virtual_pi.figures import Cell

# Speeds and what they stand for; instructions per cycle are in docs/notes/performance.md ("Predicted for the boards").
SPEEDS = {
    350: "Zero 2 W, pessimistic",
    500: "Zero 2 W",
    700: "3B+",
    1000: "4 at 1.5 GHz, pessimistic",
    1500: "4 at 1.5 GHz",
    2000: "4 at 1.5 GHz, optimistic",
}
MODELS = ("standard", "small")
TALK_SPEED = 1500
BURSTS, GAPS, HEAVY = "gilbert:rate=20%,burst=5", "burst:ms=1000,every=1.02s", "70%"
LOSSES = {BURSTS: "20 % in bursts", GAPS: "1 s gaps back to back", HEAVY: "70 %"}
AUTO = "auto"  # the board's choice


def every_cell(**others: Any) -> list[Cell]:
    """Return the cells of the whole table: both models, the board's choice, and that with adaptive playout."""
    cells = [Cell(mips, model, loss, **others) for loss in LOSSES for mips in SPEEDS for model in (*MODELS, AUTO)]
    return cells + [Cell(mips, AUTO, BURSTS, **{**others, "playout": "adaptive"}) for mips in SPEEDS]


def talk_cells(mips: Iterable[float], models: Iterable[str], losses: Iterable[str], **others: Any) -> list[Cell]:
    """Return two duplex streams, with the delay that a talk has."""
    others = {"playout": "adaptive", **others, "job": "talk"}
    return [Cell(speed, model, loss, **others) for loss in losses for speed in mips for model in models]


def short_cells(**others: Any) -> list[Cell]:
    """Return the cells that continuous integration runs: a slow board and a fast one, and gaps of the longest kind."""
    chosen = [(500, "small", BURSTS), (1000, "standard", BURSTS), (500, "small", GAPS)]
    return [Cell(mips, model, loss, **{"seconds": 12.0, **others}) for mips, model, loss in chosen]


def model_name(row: dict[str, Any]) -> str:
    """Return the model that was asked for, and what it came to if that was the board's choice."""
    chosen = row.get("vocoder", row["model"])
    return row["model"] if chosen == row["model"] else f"{row['model']}: {chosen}"


COLUMNS = {
    "Minstr/s": lambda row: f"{row['mips']:g}",
    "model": lambda row: model_name(row),
    "streams": lambda row: "2 duplex" if row["job"] == "talk" else "1",
    "loss": lambda row: LOSSES.get(row["loss"], row["loss"]),
    "playout": lambda row: row["playout"],
    "lost": lambda row: str(row["lost"]),
    "coverable": lambda row: str(row["coverable"]),
    "dred": lambda row: str(row["dred"]),
    "share %": lambda row: f"{row['share']:.1f}",
    "classic": lambda row: str(row["classic"]),
    "late": lambda row: str(row["late_periods"]),
    "underruns": lambda row: str(row["underruns"]),
    "wake ms": lambda row: f"{row['wake_max_ms']:.1f}" if "wake_max_ms" in row else "–",
    "mean ms": lambda row: f"{row['period_mean_ms']:.1f}",
    "p99 ms": lambda row: f"{row['period_p99_ms']:.1f}",
    "max ms": lambda row: f"{row['period_max_ms']:.1f}",
    "delay ms": lambda row: f"{row['delay_ms']:.0f}",
    "CPU %": lambda row: f"{row['cpu_pct']:.1f}",
    "ready s": lambda row: f"{row['ready_s']:.2f}",
    "PSS MB": lambda row: f"{row['pss_kb'] / 1024:.1f}",
}


_WIDTHS = {"model": 14, "loss": 21, "playout": 10}


def head() -> list[str]:
    """Return the first two lines of the table, in Markdown."""
    return [_line(list(COLUMNS)), _line(["-" * _width(name) for name in COLUMNS])]


def line(row: dict[str, Any]) -> str:
    """Return the figures of one cell as a line of the table."""
    return _line([column(row) for column in COLUMNS.values()])


def _line(cells: list[str]) -> str:
    padded = [cell.ljust(_width(name)) for name, cell in zip(COLUMNS, cells, strict=True)]
    return f"| {' | '.join(padded)} |"


def _width(name: str) -> int:
    return max(len(name), _WIDTHS.get(name, 4))

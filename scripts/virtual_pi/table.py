# SPDX-License-Identifier: BSD-2-Clause
"""Which cells a table has, and how a person reads it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dredge_host import console
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



def every_cell(**others: Any) -> list[Cell]:
    """Return the cells of the whole table."""
    return [Cell(mips, model, loss, **others) for loss in LOSSES for mips in SPEEDS for model in MODELS]


def talk_cells(mips: Iterable[float], models: Iterable[str], losses: Iterable[str], **others: Any) -> list[Cell]:
    """Return two duplex streams, with the delay that a talk has."""
    others = {"playout": "adaptive", **others, "job": "talk"}
    return [Cell(speed, model, loss, **others) for loss in losses for speed in mips for model in models]


def short_cells(**others: Any) -> list[Cell]:
    """Return the cells that continuous integration runs: a slow board and a fast one, and gaps of the longest kind."""
    chosen = [(500, "small", BURSTS), (1000, "standard", BURSTS), (500, "small", GAPS)]
    return [Cell(mips, model, loss, **{"seconds": 12.0, **others}) for mips, model, loss in chosen]


COLUMNS = {
    "Minstr/s": lambda row: f"{row['mips']:g}",
    "model": lambda row: row["model"],
    "streams": lambda row: "2 duplex" if row["job"] == "talk" else "1",
    "loss": lambda row: LOSSES.get(row["loss"], row["loss"]),
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


def lines(rows: list[dict[str, Any]]) -> list[str]:
    """Return the figures of many cells, one line each below a line of titles."""
    return console.table([[column(row) for column in COLUMNS.values()] for row in rows], list(COLUMNS))

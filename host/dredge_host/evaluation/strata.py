# SPDX-License-Identifier: BSD-2-Clause
"""The result of an evaluation by longest burst: short, medium and long gaps have different remedies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dredge_host.evaluation.table import Records, cell, summarise
from dredge_host.evaluation.traces import STRATA

Rows = list[dict[str, Any]]


def by_stratum(records: Records, conditions: Sequence[str], seed: int = 1) -> dict[str, Rows]:
    """For every stratum that has clips: one row per condition as in `summarise`, its own clips resampled."""
    return {
        stratum.name: summarise(chosen, conditions, seed)
        for stratum in STRATA
        if (chosen := [r for r in records if r.get("stratum") == stratum.name])
    }


def head(conditions: Sequence[str]) -> tuple[str, ...]:
    """Titles of `table_rows`."""
    return ("longest burst", "clips", "", *conditions)


def table_rows(strata: Mapping[str, Rows]) -> list[list[str]]:
    """Two lines for each stratum: PLCMOS, and the share of the gap won back."""
    lines = []
    for stratum in STRATA:
        rows = strata.get(stratum.name, [])
        if not rows or "plcmos" not in rows[0]:
            continue
        span = f"{stratum.shortest_ms} to {stratum.longest_ms} ms"
        lines.append([span, str(rows[0]["clips"]), "PLCMOS", *[cell(r["plcmos"], 1.0, ".2f", "") for r in rows]])
        lines.append(["", "", "won back", *[cell(r.get("gap_won_back"), 100.0, ".0f", " %") for r in rows]])
    return lines

# SPDX-License-Identifier: BSD-2-Clause
"""The result of an evaluation by longest burst and by loss rate, because different methods help in each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dredge_host.evaluation.judging.registry import METRICS, Measurement
from dredge_host.evaluation.material.traces import STRATA
from dredge_host.evaluation.results.table import Records, cell, summarise

Rows = list[Measurement]
RATES_PCT = ((0, 10), (10, 20), (20, 30), (30, 100))


def by_stratum(records: Records, methods: Sequence[str], seed: int = 1) -> dict[str, Rows]:
    """Return, for every stratum that has cells, one row per method as in `summarise`, its own recordings resampled."""
    return {
        stratum.name: summarise(chosen, methods, seed)
        for stratum in STRATA
        if (chosen := [r for r in records if r["stratum"] == stratum.name])
    }


def by_loss_rate(records: Records, methods: Sequence[str], seed: int = 1) -> dict[str, Rows]:
    """Return the same by the measured loss rate of the trace: from `low` (included, as is 100 %) to `high`."""
    return {
        f"{low} to {high} %": summarise(chosen, methods, seed)
        for low, high in RATES_PCT
        if (chosen := [r for r in records if low <= min(r["trace_loss_pct"], 99.9) < high])
    }


def span(stratum: str) -> str:
    """Return the name of a stratum for display; the name of a loss rate is unchanged."""
    named = {s.name: f"{s.shortest_ms} to {s.longest_ms} ms" for s in STRATA}
    return named.get(stratum, stratum)


def head(title: str, methods: Sequence[str]) -> tuple[str, ...]:
    """Return the titles of `table_rows`."""
    return (title, "cells", "", *methods)


def table_rows(groups: Mapping[str, Rows]) -> list[list[str]]:
    """Return two lines for each group: PLCMOS, and the share of the gap won back; none without PLCMOS."""
    lines = []
    for name, rows in groups.items():
        if not rows or "plcmos" not in rows[0]:
            continue
        scores = [cell(r.get("plcmos"), METRICS["plcmos"]) for r in rows]
        lines.append([span(name), str(rows[0]["cells"]), "PLCMOS", *scores])
        lines.append(["", "", "won back", *[cell(r.get("gap_won_back"), METRICS["gap_won_back"]) for r in rows]])
    return lines

# SPDX-License-Identifier: BSD-2-Clause
"""The result of an evaluation as one row per condition, with 95 % intervals over clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dredge_host.evaluation.checks import peak_ms
from dredge_host.evaluation.stats import (
    Interval,
    mean_interval,
    ratio_interval,
    resamples,
    share_interval,
)

Records = Sequence[Mapping[str, Any]]
HEAD = ("condition", "PLCMOS", "gap won back", "word errors", "kb/s", "DRED kb/s", "loss", "clips")


def summarise(records: Records, conditions: Sequence[str], seed: int = 1) -> list[dict[str, Any]]:
    """One row per condition; metrics that were not measured are absent."""
    by_condition = {c: [r for r in records if r["condition"] == c] for c in conditions}
    return [_row(name, by_condition, seed) for name in conditions if by_condition[name]]


def _row(name: str, all_records: Mapping[str, Records], seed: int) -> dict[str, Any]:
    records = all_records[name]
    draws = resamples(len(records), seed)
    row: dict[str, Any] = {
        "condition": name,
        "clips": len(records),
        "loss_pct": _mean(records, "loss_pct"),
        "bitrate_total_bps": _mean(records, "bitrate_total_bps"),
        "bitrate_bps": {
            part: round(float(np.mean([r["bitrate_bps"][part] for r in records])), 1)
            for part in records[0]["bitrate_bps"]
        },
        "clicks": sum(r["seams"]["clicks"] for r in records),
        "seams": sum(r["seams"]["seams"] for r in records),
    }
    row |= _lags(records)
    if all("plcmos" in r for r in records):
        row["plcmos"] = as_dict(mean_interval(_column(records, "plcmos"), draws))
        row |= _share(name, all_records, draws)
    spoken = [r for r in records if "word_errors" in r]
    if spoken:
        row["wer"] = as_dict(
            ratio_interval(
                _column(spoken, "word_errors"),
                _column(spoken, "words"),
                resamples(len(spoken), seed),
            )
        )
        row["words"] = int(sum(r["words"] for r in spoken))
    return row


def _lags(records: Records) -> dict[str, float]:
    """Lags of whole files, and one lag of all recovered speech together."""
    lags = [abs(r["lag_ms"]) for r in records if "lag_ms" in r]
    scores = [r["lag_recovered_scores"] for r in records if "lag_recovered_scores" in r]
    row = {}
    if lags:
        row["lag_ms_median"] = round(float(np.median(lags)), 3)
        row["lag_ms_worst"] = round(max(lags), 3)
    if scores:
        row["lag_recovered_ms"] = round(peak_ms(np.sum(scores, axis=0)), 3)
    return row


def _share(name: str, all_records: Mapping[str, Records], draws: NDArray[np.int64]) -> dict[str, Any]:
    """The share of the gap from classic concealment to no loss, where both were measured."""
    worst, best = all_records.get("opus"), all_records.get("clean")
    if not worst or not best or name in ("opus", "clean"):
        return {}
    own, low, high = (_column(part, "plcmos") for part in (all_records[name], worst, best))
    return {"gap_won_back": as_dict(share_interval(own, low, high, draws))}


def _column(records: Records, key: str) -> list[float]:
    return [float(r[key]) for r in records]


def _mean(records: Records, key: str) -> float:
    return round(float(np.mean(_column(records, key))), 2)


def as_dict(value: Interval) -> dict[str, float]:
    """An interval as JSON values."""
    return {k: round(v, 4) for k, v in value._asdict().items()}


def table_rows(summary: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """The summary as text cells under HEAD."""
    return [
        [
            row["condition"],
            cell(row.get("plcmos"), 1.0, ".2f", ""),
            cell(row.get("gap_won_back"), 100.0, ".0f", " %"),
            cell(row.get("wer"), 100.0, ".1f", " %"),
            f"{row['bitrate_total_bps'] / 1000:.1f}",
            f"{row['bitrate_bps'].get('dred', 0.0) / 1000:.1f}",
            f"{row['loss_pct']:.1f} %",
            str(row["clips"]),
        ]
        for row in summary
    ]


def cell(value: Mapping[str, float] | None, scale: float, form: str, unit: str) -> str:
    """Mean and half the interval's width, scaled, as text; a dash for nothing."""
    if value is None or not np.isfinite(value["mean"]):
        return "–"
    half = (value["high"] - value["low"]) / 2.0
    return f"{format(scale * value['mean'], form)} ± {format(scale * half, form)}{unit}"


def markdown(summary: Sequence[Mapping[str, Any]]) -> str:
    """The summary as a Markdown table, ready for docs/results.md."""
    lines = [f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD)]
    lines += [f"| {' | '.join(cells)} |" for cells in table_rows(summary)]
    return "\n".join(lines)

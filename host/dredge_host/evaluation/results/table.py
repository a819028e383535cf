# SPDX-License-Identifier: BSD-2-Clause
"""The result of an evaluation as one row per method, with 95 % intervals over recordings.

The bootstrap resamples recordings: all cells and all pieces of one move together, and every method gets the
same draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dredge_host.evaluation.judging.checks import peak_ms
from dredge_host.evaluation.judging.registry import METRICS, SCORES, Measurement, Metric
from dredge_host.evaluation.methods.methods import METHODS
from dredge_host.evaluation.results.stats import Interval, ratio_interval, resamples, share_interval

Record = Mapping[str, Any]
Records = Sequence[Record]
Draws = NDArray[np.int64]
WEIGHTS = {key: metric.weight for key, metric in METRICS.items() if metric.weight}


def summarise(records: Records, methods: Sequence[str], seed: int = 1) -> list[Measurement]:
    """Return one row per method; metrics that were not measured are absent."""
    by_method = {name: [r for r in records if r["method"] == name] for name in methods}
    units = sorted({recording(r) for r in records})
    draws = resamples(max(1, len(units)), seed)
    return [_row(name, by_method, units, draws) for name in methods if by_method[name]]


def recording(record: Record) -> str:
    """Return the file that a clip is from, since pieces of one recording are not independent."""
    return str(record["clip"]).split("@")[0]


def _row(name: str, by_method: Mapping[str, Records], units: Sequence[str], draws: Draws) -> Measurement:
    records = by_method[name]
    row: Measurement = {
        "method": name,
        "text": METHODS[name].text,
        "clips": len({r["clip"] for r in records}),
        "cells": len(records),
        "loss_pct": _mean(records, lambda r: r["loss_pct"]),
    }
    for key in SCORES:
        row |= _interval(key, records, units, draws, lambda _: 1.0)
    row |= _share(name, by_method, units, draws)
    for key, weight in WEIGHTS.items():
        row |= _interval(key, records, units, draws, itemgetter(weight))
    row |= _words(records, units, draws)
    return row | _plain_means(records) | _lags(records)


def _interval(
    key: str, records: Records, units: Sequence[str], draws: Draws, weight: Callable[[Record], float]
) -> Measurement:
    """Return the weighted mean over the records that have this metric; nothing where none has."""
    chosen = [r for r in records if key in r]
    if not chosen:
        return {}
    parts = _sums(chosen, units, lambda r: r[key] * weight(r))
    return {key: as_dict(ratio_interval(parts, _sums(chosen, units, weight), draws))}


def _share(name: str, by_method: Mapping[str, Records], units: Sequence[str], draws: Draws) -> Measurement:
    """Return the share of the gap from classic concealment to no loss, where both were measured."""
    trio = [by_method.get(key, ()) for key in (name, "opus", "clean")]
    if name in ("opus", "clean") or not all(rows and all("plcmos" in r for r in rows) for rows in trio):
        return {}
    own, worst, best = (_sums(rows, units, lambda r: r["plcmos"]) for rows in trio)
    return {"gap_won_back": as_dict(share_interval(own, worst, best, draws))}


def _words(records: Records, units: Sequence[str], draws: Draws) -> Measurement:
    spoken = [r for r in records if "word_errors" in r]
    words = _sums(spoken, units, lambda r: r["words"])
    if not sum(words):
        return {}
    errors = _sums(spoken, units, lambda r: r["word_errors"])
    return {"wer": as_dict(ratio_interval(errors, words, draws)), "words": round(sum(words))}


def _sums(records: Records, units: Sequence[str], value: Callable[[Record], float]) -> list[float]:
    """Return the sum of a value over the cells of every recording, in the order of the recordings."""
    totals = dict.fromkeys(units, 0.0)
    for record in records:
        totals[recording(record)] += value(record)
    return list(totals.values())


def _plain_means(records: Records) -> Measurement:
    """Return the figures without an interval: rates, CPU, seams."""
    row: Measurement = {"bitrate_total_bps": _mean(records, lambda r: r["bitrate_total_bps"])}
    for key in ("bitrate_bps", "cpu_us_per_packet"):
        row[key] = {
            part: round(float(np.mean([r[key][part] for r in records])), 1) for part in records[0].get(key, ())
        }
    for key in ("clicks", "seams"):
        row[key] = sum(r["seams"][key] for r in records)
    return row


def _lags(records: Records) -> dict[str, float]:
    """Return the lags of whole files, and one lag of all recovered speech together."""
    lags = [abs(r["lag_ms"]) for r in records if "lag_ms" in r]
    scores = [r["lag_recovered_scores"] for r in records if "lag_recovered_scores" in r]
    row = {}
    if lags:
        row["lag_ms_median"] = round(float(np.median(lags)), 3)
        row["lag_ms_worst"] = round(max(lags), 3)
    if scores:
        row["lag_recovered_ms"] = round(peak_ms(np.sum(scores, axis=0)), 3)
    return row


def _mean(records: Records, value: Callable[[Record], float]) -> float:
    return round(float(np.mean([value(r) for r in records])), 2)


def as_dict(value: Interval) -> dict[str, float]:
    """Return an interval as JSON values."""
    return {k: round(v, 4) for k, v in value._asdict().items()}


def cell(value: Mapping[str, float] | None, metric: Metric) -> str:
    """Return the mean and half the interval's width as the metric shows them; a dash for nothing."""
    if value is None or not np.isfinite(value["mean"]):
        return "–"
    return metric.text(value["mean"], (value["high"] - value["low"]) / 2.0)


def shown(summary: Sequence[Mapping[str, Any]]) -> dict[str, Metric]:
    """Return the metrics that were measured in at least one row."""
    return {key: metric for key, metric in METRICS.items() if any(key in row for row in summary)}


def head(summary: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the titles of `table_rows`."""
    titles = [metric.title for metric in shown(summary).values()]
    return ["method", *titles, "kb/s", "CPU µs send", "receive", "loss", "cells"]


def table_rows(summary: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return the summary as text cells under `head`."""
    metrics = shown(summary)
    return [
        [
            row["method"],
            *[cell(row.get(key), metric) for key, metric in metrics.items()],
            f"{row['bitrate_total_bps'] / 1000:.1f}",
            *[f"{row['cpu_us_per_packet'].get(side, 0.0):.0f}" for side in ("send", "receive")],
            f"{row['loss_pct']:.1f} %",
            str(row["cells"]),
        ]
        for row in summary
    ]


def markdown(summary: Sequence[Mapping[str, Any]]) -> str:
    """Return the summary as a Markdown table."""
    titles = head(summary)
    lines = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    lines += [f"| {' | '.join(cells)} |" for cells in table_rows(summary)]
    return "\n".join(lines)

# SPDX-License-Identifier: BSD-2-Clause
"""Distributions: histograms with labelled percentiles, and ranges from p50 to the maximum on one scale."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from dredge_host.report.charts import svg
from dredge_host.timing import percentiles

BINS = 60
LEAST_MS = 0.001  # a logarithmic axis has no zero
NAMES = ("p50", "p95", "p99")


class Histogram(NamedTuple):
    """Bars (left, right, count) and percentiles by name, all in ms; log: logarithmic axis."""

    bars: list[tuple[float, float, float]]
    marks: dict[str, float]
    log: bool = False


def of_values(values_ms: Sequence[float], least_span_ms: float = 20.0) -> Histogram:
    """Return the histogram of measured values; values alike are shown in a range of least_span_ms around them."""
    low, high = min(values_ms), max(values_ms)
    if high - low < least_span_ms:
        middle = (low + high) / 2
        low, high = max(0.0, middle - least_span_ms / 2), middle + least_span_ms / 2
    counts, edges = np.histogram(values_ms, bins=BINS, range=(low, high))
    return Histogram(_bars(edges, counts), _marks(percentiles(values_ms)))


def of_times(values_ms: Sequence[float]) -> Histogram:
    """Return the histogram of times on a logarithmic axis, which has room for fast packets and rare slow ones."""
    low = max(min(values_ms), LEAST_MS)
    edges = np.geomspace(low * 0.95, max(*values_ms, low) * 1.05, BINS + 1)
    counts, _ = np.histogram(np.maximum(values_ms, low), bins=edges)
    return Histogram(_bars(edges, counts), _marks(percentiles(values_ms)), True)


def of_bins(edges_us: Sequence[float], counts: Sequence[float], marks_ms: Mapping[str, float]) -> Histogram:
    """Return the histogram of a device: edges_us are the upper edges of the bins that are not empty, after a first 0.

    A bin is a sixteenth of an octave wide (dredge_device.budget), independent of the distance to the bin before. Raises
    ValueError unless there is one edge more than counts.
    """
    if len(edges_us) != len(counts) + 1 or not counts:
        raise ValueError(f"histogram: {len(counts)} counts need {len(counts) + 1} edges, got {len(edges_us)}")
    bars = [
        (max(before, edge - edge / 16 - 1, 0.0) / 1000.0, edge / 1000.0, count)
        for before, edge, count in zip(edges_us, edges_us[1:], counts, strict=False)
    ]
    return Histogram(bars, _marks(marks_ms), True)


def _bars(edges: Iterable[float], counts: Iterable[float]) -> list[tuple[float, float, float]]:
    return [(float(a), float(b), float(n)) for (a, b), n in zip(pairwise(edges), counts, strict=True)]


def _marks(values: Mapping[str, float]) -> dict[str, float]:
    return {name: values[name] for name in NAMES if name in values}


def figure(histogram: Histogram, label: str, limit: tuple[str, float] | None = None) -> str:
    """Return the drawn histogram with its marks; each label has a separate line, so that none overlap.

    Heights grow with the square root of the count, which keeps the rare slow packets visible. limit: name and value of
    a strong line.
    """
    every = {**histogram.marks, **(dict([limit]) if limit else {})}
    place = Place([v for bar in histogram.bars for v in bar[:2]] + list(every.values()), histogram.log)
    tallest = max([1.0, *(count for _, _, count in histogram.bars)]) ** 0.5
    body = "".join(
        f'<rect class="bar" x="{place(a):.1f}" y="{100 - h:.2f}" width="{max(place(b) - place(a), 1.5):.1f}" '
        f'height="{h:.2f}"/>'
        for a, b, h in ((a, b, 100 * max(count, 0) ** 0.5 / tallest) for a, b, count in histogram.bars)
        if h > 0
    )
    kinds = {name: "limit" if limit and name == limit[0] else "mark" for name in every}
    body += "".join(f'<path class="{kinds[n]}" d="M{place(v):.1f} 0V100"/>' for n, v in every.items())
    flags = "".join(_flag(n, v, place(v) / 10, kinds[n]) for n, v in every.items())
    spoken = f"Histogram. {label}: " + ", ".join(f"{n} {ms(v)}" for n, v in every.items())
    return (
        f'<figure class="distribution"><figcaption>{escape(label)}</figcaption><div class="flags" aria-hidden="true">'
        f"{flags}</div>{svg(1000, 100, spoken, body, 'histogram')}"
        f'<div class="ends" aria-hidden="true"><span>{ms(place.low)}</span><span>{ms(place.high)}</span></div></figure>'
    )


class Place:
    """The position of a value on an axis of 0 to 1000 that spans all the given values."""

    def __init__(self, values: Sequence[float], log: bool) -> None:
        self._map = math.log10 if log else float
        least = min((v for v in values if v > 0), default=LEAST_MS) if log else min(values)
        self.low, self.high = least, max(max(values), least)
        self._span = (self._map(self.high) - self._map(self.low)) or 1.0

    def __call__(self, value: float) -> float:
        return 1000.0 * (self._map(max(value, self.low)) - self._map(self.low)) / self._span


def _flag(name: str, value: float, left: float, kind: str) -> str:
    side = "right" if left > 60 else "left"  # the label stands on the side where there is room
    at = 100 - left if side == "right" else left
    return f'<div><span class="{kind} {side}" style="{side}:{at:.2f}%">{escape(name)} {ms(value)}</span></div>'


def ranges(rows: Mapping[str, Mapping[str, float]], limit: tuple[str, float] | None, label: str) -> str:
    """Return one bar per row from p50 to the largest value with a tick at p95 and p99, on one logarithmic scale.

    rows: name to {"p50", "p95", "p99", "max"} in ms; a row without p50 and max is left out.
    """
    kept = {n: v for n, v in rows.items() if v.get("p50") is not None and v.get("max") is not None}
    if not kept:
        return ""
    values = [max(v[k], LEAST_MS) for v in kept.values() for k in (*NAMES, "max") if v.get(k) is not None]
    place = Place([min(values) * 0.8, max(values) * 1.25, *([limit[1]] if limit else [])], True)
    lines = "".join(
        f"<tr><th scope=row>{escape(name)}</th><td>{_range(row, place, limit)}</td>"
        + "".join(f"<td>{ms(row[k]) if row.get(k) is not None else ''}</td>" for k in (*NAMES, "max"))
        + "</tr>"
        for name, row in kept.items()
    )
    head = "".join(f"<th scope=col>{escape(h)}</th>" for h in ("", label, *NAMES, "worst"))
    table = f'<table class="ranges"><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>'
    return f'<div class="scroll">{table}</div>'


def _range(row: Mapping[str, float], place: Place, limit: tuple[str, float] | None) -> str:
    left, right = place(row["p50"]), place(row["max"])
    body = f'<path class="whisker" d="M{left:.1f} 50H{right:.1f}"/>'
    if row.get("p95") is not None:
        body += f'<rect class="box" x="{left:.1f}" y="25" width="{max(place(row["p95"]) - left, 4):.1f}" height="50"/>'
    if row.get("p99") is not None:
        body += f'<path class="mark" d="M{place(row["p99"]):.1f} 15V85"/>'
    if limit:
        body += f'<path class="limit" d="M{place(limit[1]):.1f} 0V100"/>'
    return svg(1000, 100, "", body, "range")


def ms(value: float) -> str:
    """Return milliseconds as text with three digits."""
    if value < 0.0995:
        return f"{1000 * value:.0f} µs"
    return f"{value:.2f} ms" if value < 9.995 else f"{value:.1f} ms" if value < 99.95 else f"{value:.0f} ms"

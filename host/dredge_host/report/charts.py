# SPDX-License-Identifier: BSD-2-Clause
"""Drawings on the common time axis as inline SVG strings; colours come from the style sheet.

Every drawing is `packets` wide and is stretched to the width of the axis; lines keep their thickness.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

from dredge_host.legend import WHOLE
from dredge_host.report.timeline import Row, Run, gaps, runs

MAX_POINTS = 1500
Point = tuple[float, float]


class Scale(NamedTuple):
    """A vertical axis: the position of a value, from 0 at the top to 100 at the bottom, and labelled values."""

    at: Callable[[float], float]
    ticks: list[float]


def svg(width: float, height: float, label: str, body: str, kind: str) -> str:
    """Return an SVG element that is stretched to its place; an empty label makes it decoration."""
    name = f'role="img" aria-label="{escape(label, quote=True)}"' if label else 'aria-hidden="true"'
    return f'<svg class="{kind}" viewBox="0 0 {width:g} {height:g}" preserveAspectRatio="none" {name}>{body}</svg>'


def source_strip(rows: Sequence[Row], packets: int) -> str:
    """Return a band in the colour of each packet's source."""
    return svg(packets, 1, "Which source filled each packet", _bands(runs(rows)), "strip")


def _bands(parts: Sequence[Run]) -> str:
    """Return one path per source, so that thousands of packets need only a few elements."""
    paths: dict[str, list[str]] = {}
    for part in parts:
        paths.setdefault(part.source, []).append(f"M{part.start} 0h{part.end - part.start}v1H{part.start}z")
    return "".join(f'<path class="s-{escape(s, quote=True)}" d="{"".join(d)}"/>' for s, d in paths.items())


def gap_marks(rows: Sequence[Row], packets: int, fill: str | None) -> str:
    """Return the brackets around the gaps for a spectrogram: bars above and below, with thin edges, so that the picture
    stays visible.

    fill: the source that filled all gaps of this signal; "" where it has none (neutral marks); None: as in the rows.
    """
    parts = [run for run in runs(rows) if run.source not in WHOLE] if fill is None else gaps(rows)
    bars: dict[str, list[str]] = {}
    for part in parts:
        name = part.source if fill is None else fill or "none"
        bars.setdefault(name, []).append(f"M{part.start} 0H{part.end}M{part.start} 100H{part.end}")
    edges = "".join(f"M{gap.start} 0V100M{gap.end} 0V100" for gap in gaps(rows))
    body = f'<path class="edge" d="{edges}"/>' + "".join(
        f'<path class="bar b-{escape(name, quote=True)}" d="{"".join(d)}"/>' for name, d in bars.items()
    )
    return svg(packets, 100, "", body, "marks") if parts else ""


def thin(points: Sequence[Point]) -> list[Point]:
    """Return about MAX_POINTS points at most: the highest of each bucket, so that peaks stay visible."""
    if len(points) <= MAX_POINTS:
        return list(points)
    step = -(-len(points) // MAX_POINTS)
    buckets = (points[i : i + step] for i in range(0, len(points), step))
    return [max(bucket, key=lambda p: p[1]) for bucket in buckets]


def linear_scale(top: float) -> Scale:
    """Return the scale from 0 to a round value above `top`, with two to five labelled values."""
    top = top if top > 0 else 1.0
    step = _round_step(top / 3.0)
    count = max(1, math.ceil(top / step - 1e-9))
    return Scale(lambda v: 100.0 * (1.0 - min(max(v, 0.0), count * step) / (count * step)),
                 [k * step for k in range(count + 1)])  # fmt: skip


def log_scale(low: float, high: float) -> Scale:
    """Return the logarithmic scale from `low` to `high` with the powers of ten labelled.

    Raises ValueError unless 0 < low < high.
    """
    if not 0 < low < high:
        raise ValueError(f"scale: expected 0 < low < high, got {low:g} and {high:g}")
    span = math.log10(high / low)
    powers = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    return Scale(lambda v: 100.0 * (1.0 - math.log10(min(max(v, low), high) / low) / span), [10.0**k for k in powers])


def _round_step(value: float) -> float:
    """Return 1, 2 or 5 times a power of ten, at least `value`."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= value * (1 - 1e-9))


def line_chart(points: Sequence[Point], packets: int, scale: Scale, label: str, limit: float | None = None) -> str:
    """Return a line over the common time axis: points are (packet, value)."""
    body = "".join(f'<path class="grid" d="M0 {scale.at(t):.2f}H{packets}"/>' for t in scale.ticks)
    path = " ".join(f"{'L' if i else 'M'}{x:g} {scale.at(y):.2f}" for i, (x, y) in enumerate(thin(points)))
    if path:
        body += f'<path class="line" d="{path}"/>'
    if limit is not None:
        body += f'<path class="limit" d="M0 {scale.at(limit):.2f}H{packets}"/>'
    return svg(packets, 100, label, body, "chart")


def split_bar(parts: Sequence[tuple[str, float]]) -> str:
    """Return one bar split in proportion to the values; order and names are the legend's."""
    total = sum(value for _, value in parts) or 1.0
    body, x = "", 0.0
    for index, (name, value) in enumerate(parts):
        width = 1000.0 * value / total
        body += (
            f'<rect class="part-{index}" x="{x:.2f}" y="0" width="{width:.2f}" height="1">'
            f"<title>{escape(name)}</title></rect>"
        )
        x += width
    return svg(1000, 1, "Bit rate split", body, "split")

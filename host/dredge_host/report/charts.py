# SPDX-License-Identifier: BSD-2-Clause
"""The report's drawings as inline SVG strings; colours come from the style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

SOURCES = ("opus", "lbrr", "dred", "plc", "conceal", "silence")
SOURCE_TEXT = {
    "opus": "received",
    "lbrr": "low-rate copy in the next packet (LBRR)",
    "dred": "deep redundancy (DRED)",
    "plc": "neural concealment (PLC)",
    "conceal": "classic Opus concealment",
    "silence": "nothing to play yet",
}
MAX_POINTS = 1500


class Row(NamedTuple):
    """One played packet; delay_ms and cpu_us are None where unknown."""

    packet: int
    source: str
    delay_ms: float | None
    cpu_us: float | None


class Run(NamedTuple):
    """Neighbouring packets [start, end) filled by one source."""

    start: int
    end: int
    source: str


def runs(rows: Sequence[Row]) -> list[Run]:
    """Joins neighbouring packets of one source; rows need not be sorted, packets may be missing."""
    joined: list[Run] = []
    for row in sorted(rows, key=lambda r: r.packet):
        last = joined[-1] if joined else None
        if last and last.source == row.source and last.end == row.packet:
            joined[-1] = last._replace(end=row.packet + 1)
        else:
            joined.append(Run(row.packet, row.packet + 1, row.source))
    return joined


def _svg(width: float, height: float, label: str, body: str, kind: str) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {width:g} {height:g}" preserveAspectRatio="none" '
        f'role="img" aria-label="{escape(label, quote=True)}">{body}</svg>'
    )


def source_strip(rows: Sequence[Row], packets: int) -> str:
    """A band with one coloured stretch per run; `packets` is the width of the common time axis."""
    body = "".join(
        f'<rect class="s-{escape(r.source, quote=True)}" x="{r.start}" y="0" '
        f'width="{r.end - r.start}" height="1"/>'
        for r in runs(rows)
    )
    return _svg(packets, 1, "Which source filled each packet", body, "strip")


def gap_strip(rows: Sequence[Row], packets: int, coloured: bool) -> str:
    """Marks the packets that did not arrive: a thin band to stand below a spectrogram.

    coloured: by the source that filled them (the signal the timeline belongs to), else neutral.
    """
    body = "".join(
        f'<rect class="{f"s-{escape(r.source, quote=True)}" if coloured else "gap"}" '
        f'x="{r.start}" y="0" width="{r.end - r.start}" height="1"/>'
        for r in runs(rows)
        if r.source not in ("opus", "silence")
    )
    return _svg(packets, 1, "Packets that did not arrive", body, "gaps")


def _thin(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most about MAX_POINTS points; of each bucket the highest, so that peaks stay visible."""
    if len(points) <= MAX_POINTS:
        return points
    step = -(-len(points) // MAX_POINTS)
    buckets = (points[i : i + step] for i in range(0, len(points), step))
    return [max(bucket, key=lambda p: p[1]) for bucket in buckets]


def line_chart(
    points: list[tuple[float, float]],
    packets: int,
    top: float,
    label: str,
    limit: float | None = None,
) -> str:
    """A line over the common time axis: points are (packet, value), values from 0 to `top`."""
    top = top or 1.0
    path = " ".join(
        f"{'M' if i == 0 else 'L'}{x:g} {100.0 * (1.0 - min(y, top) / top):.2f}"
        for i, (x, y) in enumerate(_thin(points))
    )
    body = f'<path class="line" d="{path}"/>' if path else ""
    if limit is not None and limit <= top:
        y = 100.0 * (1.0 - limit / top)
        body = f'<path class="limit" d="M0 {y:.2f} L{packets} {y:.2f}"/>' + body
    return _svg(packets, 100, label, body, "chart")


def histogram(
    edges: Sequence[float], counts: Sequence[float], marks: Sequence[tuple[str, float]]
) -> str:
    """Bars between edges (any unit) with labelled vertical marks; heights on a square-root scale.

    The square root keeps the rare slow frames visible beside the many fast ones.
    Raises ValueError when there is not one edge more than counts.
    """
    if len(edges) != len(counts) + 1 or not counts:
        raise ValueError(f"histogram: {len(counts)} counts need {len(counts) + 1} edges")
    low, high = float(edges[0]), max([float(edges[-1])] + [float(v) for _, v in marks])
    span = (high - low) or 1.0
    tallest = max(max(counts), 1) ** 0.5
    body = ""
    for left, right, count in zip(edges, edges[1:], counts, strict=False):
        height = 100.0 * max(count, 0) ** 0.5 / tallest
        body += (
            f'<rect class="bar" x="{1000 * (left - low) / span:.2f}" y="{100 - height:.2f}" '
            f'width="{max(1000 * (right - left) / span, 0.5):.2f}" height="{height:.2f}"/>'
        )
    for name, value in marks:
        x = 1000 * (float(value) - low) / span
        kind = "limit" if name == "period" else "mark"
        body += f'<path class="{kind}" d="M{x:.2f} 0 L{x:.2f} 100"/>'
    return _svg(1000, 100, "Histogram of CPU time per packet", body, "histogram")


def split_bar(parts: Sequence[tuple[str, float]]) -> str:
    """One bar split in proportion to the values; order and names are the legend's."""
    total = sum(value for _, value in parts) or 1.0
    body, x = "", 0.0
    for index, (name, value) in enumerate(parts):
        width = 1000.0 * value / total
        body += (
            f'<rect class="part-{index}" x="{x:.2f}" y="0" width="{width:.2f}" height="1">'
            f"<title>{escape(name)}</title></rect>"
        )
        x += width
    return _svg(1000, 1, "Bit rate split", body, "split")

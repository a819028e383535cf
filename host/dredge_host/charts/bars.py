# SPDX-License-Identifier: BSD-2-Clause
"""Charts of an evaluation as inline SVG: widths in per cent and heights in pixels, so that text keeps its size on any
screen.

Colours come from the style sheet by class, so that each theme has its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from dredge_host.evaluation.results.stats import Interval

ROW, BAR_TOP, BAR, FOOT = 42, 19, 12, 20  # pixels: one row, its bar, the ticks below


class Bar(NamedTuple):
    """One line of a chart; `key` is the method (its colour), `mark` a goal on the same scale."""

    key: str
    label: str
    value: Interval
    text: str
    mark: float | None = None


class Part(NamedTuple):
    """A stretch of a stacked bar."""

    key: str
    label: str
    value: float


def bar_chart(bars: Sequence[Bar], label: str, unit: str = "", start: float | None = None) -> str:
    """Return one bar with its interval per line; the axis begins at `start`, or at 0 or the lowest bar below it."""
    low = start if start is not None else min(0.0, *(bar.value.low for bar in bars))
    high = max([bar.value.high for bar in bars] + [bar.mark for bar in bars if bar.mark is not None])
    axis = _Axis(low, high)
    body = axis.grid(len(bars) * ROW, unit)
    zero = max(low, min(0.0, high))
    for place, bar in enumerate(bars):
        top = place * ROW
        left, right = sorted((axis.at(zero), axis.at(bar.value.mean)))
        body += _words(top, bar.label, bar.text)
        body += _rect(f"m-{bar.key}", left, right, top, f"{bar.label}: {bar.text}")
        body += _whisker(axis.at(bar.value.low), axis.at(bar.value.high), top + BAR_TOP + BAR // 2)
        if bar.mark is not None:
            body += _upright("goal", axis.at(bar.mark), top + BAR_TOP - 3, top + BAR_TOP + BAR + 3)
    return _svg(len(bars) * ROW + FOOT, label, body)


def stacked_chart(rows: Sequence[tuple[str, Sequence[Part]]], label: str, unit: str) -> str:
    """Return one bar per line, made of parts in their order; the total stands at its right."""
    axis = _Axis(0.0, max(sum(part.value for part in parts) for _, parts in rows))
    body = axis.grid(len(rows) * ROW, unit)
    for place, (name, parts) in enumerate(rows):
        top, done = place * ROW, 0.0
        body += _words(top, name, f"{sum(part.value for part in parts):.1f} {unit}")
        for part in parts:
            end = axis.at(done + part.value)
            body += _rect(f"p-{part.key}", axis.at(done), end, top, f"{part.label}: {part.value:.1f} {unit}")
            done += part.value
    return _svg(len(rows) * ROW + FOOT, label, body)


def scatter_chart(points: Sequence[tuple[str, str, float, Interval]], label: str, unit: str) -> str:
    """Return labelled dots with their intervals for (method, name, across, upwards)."""
    height = 320
    across = _Axis(min(p[2] for p in points), max(p[2] for p in points), 6.0, 76.0)
    low, high = min(p[3].low for p in points), max(p[3].high for p in points)
    body = across.grid(height, unit) + _levels(low, high, height)
    for key, name, x, value in points:
        at, middle = across.at(x), _down(value.mean, low, high, height)
        body += _upright("whisker", at, _down(value.high, low, high, height), _down(value.low, low, high, height))
        body += (
            f'<circle class="m-{escape(key, quote=True)}" cx="{at:.2f}%" cy="{middle:.1f}" r="6">'
            f"<title>{escape(f'{name}: {value.mean:.2f} at {x:.1f} {unit}')}</title></circle>"
            f'<text x="{at:.2f}%" dx="10" y="{middle + 4:.1f}">{escape(name)}</text>'
        )
    return _svg(height + FOOT, label, body)


class _Axis(NamedTuple):
    """The scale from values to per cent of the width; `begin` and `end` leave room for text."""

    low: float
    high: float
    begin: float = 0.0
    end: float = 99.0

    def at(self, value: float) -> float:
        span = (self.high - self.low) or 1.0
        place = self.begin + (self.end - self.begin) * (value - self.low) / span
        return max(0.0, min(100.0, place))

    def grid(self, height: float, unit: str) -> str:
        body = ""
        for value in ticks(self.low, self.high):
            at = self.at(value)
            anchor = "start" if at < 3 else "end" if at > 96 else "middle"
            body += _upright("grid", at, 0, height)
            text = f"{value:g}".replace("-", "−") + (f" {unit}" if unit else "")
            body += f'<text class="tick" x="{at:.2f}%" y="{height + 15}" text-anchor="{anchor}">{escape(text)}</text>'
        return body


def ticks(low: float, high: float) -> list[float]:
    """Return at most six round values between the two."""
    span = (high - low) or 1.0
    scale = 10.0 ** len(str(int(span))) / 1000
    steps = (scale * base for base in (1, 2, 2.5, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000))
    step = next((s for s in steps if span / s <= 5), span)
    first = int(-(-low // step))
    return [round(k * step, 6) for k in range(first, int(high // step) + 1)]


def _levels(low: float, high: float, height: float) -> str:
    body = ""
    for value in ticks(low, high):
        y = _down(value, low, high, height)
        body += f'<line class="grid" x1="6%" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>'
        body += f'<text class="tick" x="0" y="{y + 4:.1f}">{value:g}</text>'
    return body


def _down(value: float, low: float, high: float, height: float) -> float:
    return 12 + (height - 24) * (high - value) / ((high - low) or 1.0)


def _rect(kind: str, left: float, right: float, top: float, title: str) -> str:
    return (
        f'<rect class="{escape(kind, quote=True)}" x="{left:.2f}%" y="{top + BAR_TOP}" '
        f'width="{right - left:.2f}%" height="{BAR}"><title>{escape(title)}</title></rect>'
    )


def _words(top: float, label: str, text: str) -> str:
    y = top + 13
    right = f'<text x="100%" y="{y}" text-anchor="end">{escape(text)}</text>'
    return f'<text x="0" y="{y}">{escape(label)}</text>{right}'


def _whisker(low: float, high: float, y: float) -> str:
    """Return the interval's line, drawn twice: a halo of the paper's colour keeps it visible on dark bars."""
    return "".join(
        f'<line class="{kind}" x1="{low:.2f}%" x2="{high:.2f}%" y1="{y}" y2="{y}"/>'
        + "".join(_upright(kind, at, y - 4, y + 4) for at in (low, high))
        for kind in ("halo", "whisker")
    )


def _upright(kind: str, at: float, top: float, bottom: float) -> str:
    return f'<line class="{kind}" x1="{at:.2f}%" x2="{at:.2f}%" y1="{top:.1f}" y2="{bottom:.1f}"/>'


def _svg(height: float, label: str, body: str) -> str:
    return f'<svg class="bars" height="{height:g}" role="img" aria-label="{escape(label, quote=True)}">{body}</svg>'


def legend(parts: Mapping[str, str]) -> str:
    """Return the colour keys of a stacked chart."""
    keys = "".join(
        f'<li><svg class="swatch-key" aria-hidden="true"><rect class="p-{escape(key, quote=True)}" width="100%" '
        f'height="100%"/></svg>{escape(text)}</li>'
        for key, text in parts.items()
    )
    return f'<ul class="legend">{keys}</ul>'

# SPDX-License-Identifier: BSD-2-Clause
"""Drawings of an evaluation's tables on matplotlib axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dredge_host.evaluation.results.document import Row, goals, interval, measured, row_of
from dredge_host.evaluation.results.legend import PARTS, method
from dredge_host.evaluation.results.stats import Interval
from dredge_host.figures.style import BAD, INK, OUTSIDE, SOFT

GROUP_WIDTH = 0.84  # of the distance between two groups of bars


def bars(axes: Any, rows: Sequence[Row], key: str, scale: float = 1.0, form: str = ".2f") -> None:
    """Draw one horizontal bar per method with its interval and its value, in the order of the rows."""
    found = measured(rows, key)
    for place, (name, value) in enumerate(found):
        axes.barh(place, scale * value.mean, height=0.66, color=method(name).colour)
        _whisker(axes, scale * value.low, scale * value.high, place)
        text = f"{scale * value.mean:{form}} ± {scale * value.half:{form}}"
        axes.text(1.02, place, text, transform=axes.get_yaxis_transform(), va="center")
    axes.set_yticks(range(len(found)), [method(name).text for name, _ in found])
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    if found:
        low = min(0.0, *(scale * value.low for _, value in found))
        axes.set_xlim(low, 1.05 * max(scale * value.high for _, value in found))


def _whisker(axes: Any, low: float, high: float, place: float) -> None:
    axes.plot([low, high], [place, place], color="white", linewidth=2.6, marker="|", markersize=7, markeredgewidth=2.6)
    axes.plot([low, high], [place, place], color=INK, linewidth=1.0, marker="|", markersize=6)


def goal_marks(axes: Any, rows: Sequence[Row], key: str, marks: Mapping[str, float]) -> None:
    """Draw a vertical line across the bar of every method that has a goal."""
    places = {name: place for place, (name, _) in enumerate(measured(rows, key))}
    label = "goal"
    for name, value in marks.items():
        if name in places:
            place = places[name]
            axes.plot([value, value], [place - 0.42, place + 0.42], color=BAD, linewidth=2.0, label=label)
            label = "_again"
            axes.set_xlim(right=max(axes.get_xlim()[1], 1.03 * value))
    if label != "goal":
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.1)


def plcmos_goals(rows: Sequence[Row]) -> dict[str, float]:
    """Return the goals as PLCMOS: that of classic concealment, and a share of the way from it to no loss."""
    worst, best = interval(row_of(rows, "opus"), "plcmos"), interval(row_of(rows, "clean"), "plcmos")
    if worst is None or best is None:
        return {}
    return {name: worst.mean + goal * (best.mean - worst.mean) for name, goal, _ in goals(rows)}


def grouped(axes: Any, groups: Mapping[str, Sequence[Row]], key: str, scale: float = 1.0) -> None:
    """Draw vertical bars with intervals: one group per table, one bar per method."""
    values = {group: dict(measured(rows, key)) for group, rows in groups.items()}
    names = list(dict.fromkeys(name for found in values.values() for name in found))
    width = GROUP_WIDTH / max(1, len(names))
    for turn, name in enumerate(names):
        at = [place + width * (turn - (len(names) - 1) / 2) for place in range(len(values))]
        pairs = [(x, found[name]) for x, found in zip(at, values.values(), strict=True) if name in found]
        colour, text = method(name).colour, method(name).text
        axes.bar([x for x, _ in pairs], [scale * v.mean for _, v in pairs], 0.92 * width, color=colour, label=text)
        for x, value in pairs:
            axes.plot([x, x], [scale * value.low, scale * value.high], color=INK, linewidth=1.0)
    axes.set_xticks(range(len(values)), [_group_text(group, groups[group]) for group in values])
    axes.grid(axis="x", visible=False)
    axes.set_ylim(*_limits([v for found in values.values() for v in found.values()], scale))
    axes.legend(**OUTSIDE)


def _group_text(name: str, rows: Sequence[Row]) -> str:
    row = rows[0]
    return f"{name}\n{row.get('cells') or row.get('clips') or 0} cells"


def _limits(values: Sequence[Interval], scale: float) -> tuple[float, float]:
    """Return the limits of an axis with some space above; PLCMOS begins at 1, shares may be negative."""
    low = scale * min((v.low for v in values), default=0.0)
    high = scale * max((v.high for v in values), default=1.0)
    start = 1.0 if low > 1.0 and high <= 5.0 else min(0.0, low)
    return start, high + 0.06 * (high - start)


def stacked_rates(axes: Any, rows: Sequence[Row]) -> None:
    """Draw one horizontal bar per method, split into the parts of its bit rate in kb/s."""
    shown = [row for row in rows if isinstance(row.get("bitrate_bps"), Mapping)]
    for part, (text, colour) in PARTS.items():
        rates = [float(row["bitrate_bps"].get(part) or 0.0) / 1000 for row in shown]
        if any(rates):
            left = [sum(float(row["bitrate_bps"].get(p) or 0.0) for p in _before(part)) / 1000 for row in shown]
            axes.barh(range(len(shown)), rates, left=left, height=0.66, color=colour, label=text)
    for place, row in enumerate(shown):
        total = sum(float(v or 0.0) for v in row["bitrate_bps"].values()) / 1000
        axes.annotate(f"{total:.1f}", (total, place), (5, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(shown)), [method(str(row["method"])).text for row in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlabel("kb/s on the wire")
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.12)
    axes.legend(**OUTSIDE)


def _before(part: str) -> list[str]:
    names = list(PARTS)
    return names[: names.index(part)]


def scatter(axes: Any, rows: Sequence[Row], key: str = "plcmos") -> None:
    """Draw quality against bit rate, one labelled point with its interval per method."""
    for turn, (name, value) in enumerate(measured(rows, key)):
        row = row_of(rows, name)
        rate = float(row.get("bitrate_total_bps") or 0.0) / 1000 if row else 0.0
        look = method(name)
        axes.plot([rate, rate], [value.low, value.high], color=SOFT, linewidth=1.0)
        axes.plot([rate], [value.mean], marker="o", markersize=7, color=look.colour)
        axes.annotate(look.text, (rate, value.mean), (8, 3 - 12 * (turn % 2)), textcoords="offset points")
    axes.set_xlabel("kb/s on the wire")
    axes.margins(x=0.22, y=0.1)

# SPDX-License-Identifier: BSD-2-Clause
"""All plots of one evaluation; those without measurements are left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dredge_host.evaluation.judging.registry import METRICS
from dredge_host.evaluation.results.document import Document, groups, measured, without_silence
from dredge_host.evaluation.results.legend import GOALS, STRATA
from dredge_host.figures import charts, quality
from dredge_host.figures.style import Draw, check_plotting, write_svg


def write_plots(folder: str | Path, document: Document) -> list[Path]:
    """Write `plcmos.svg`, `gap-won-back.svg`, ... into a folder (made if needed); return their paths.

    document: `dredge.evaluate/2`. Raises CapabilityError without matplotlib, InputError when the folder cannot
    be written.
    """
    check_plotting()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return [write_svg(folder / f"{name}.svg", draw, document) for name, draw in _chosen(document)]


def _chosen(document: Document) -> Iterator[tuple[str, Draw]]:
    rows = document["summary"]
    if measured(rows, "plcmos"):
        yield "plcmos", quality.draw
        yield "quality-against-bitrate", quality_against_bitrate
    if measured(rows, "gap_won_back"):
        yield "gap-won-back", gap_won_back
        if groups(document, "strata"):
            yield "gap-by-burst", gap_by_burst
        if groups(document, "loss_rates"):
            yield "gap-by-loss", gap_by_loss
    for key, metric in METRICS.items():
        if metric.heading and measured(rows, key):
            yield metric.title.lower().replace(" ", "-"), metric_bars(key)
    yield "bitrate", bitrate


def gap_won_back(figure: Any, document: Document) -> None:
    """Draw the share won back of what classic concealment loses, with the goals."""
    rows = without_silence(document["summary"])
    _size(figure, rows)
    axes = figure.subplots()
    charts.bars(axes, rows, "gap_won_back", 100.0, ".0f")
    charts.goal_marks(axes, rows, "gap_won_back", {name: 100 * goal for name, goal in GOALS.items()})
    axes.set(xlabel="% of the way from classic concealment to no loss, by PLCMOS", title="Gap won back")


def gap_by_burst(figure: Any, document: Document) -> None:
    """Draw the same by the longest burst of the losses."""
    _by(figure, {STRATA.get(k, k): v for k, v in groups(document, "strata").items()}, "longest burst")


def gap_by_loss(figure: Any, document: Document) -> None:
    """Draw the same by the measured share of lost packets."""
    _by(figure, groups(document, "loss_rates"), "lost packets")


def _by(figure: Any, tables: Any, what: str) -> None:
    figure.set_size_inches(9, 4)
    axes = figure.subplots()
    charts.grouped(axes, {k: without_silence(rows) for k, rows in tables.items()}, "gap_won_back", 100.0)
    axes.set(xlabel=what, ylabel="gap won back, %", title=f"Gap won back by {what}")


def metric_bars(key: str) -> Draw:
    """Return a function that draws one bar per method for a metric."""
    metric = METRICS[key]

    def draw(figure: Any, document: Document) -> None:
        _size(figure, document["summary"])
        axes = figure.subplots()
        charts.bars(axes, document["summary"], key, metric.scale, metric.form)
        axes.set(xlabel=metric.axis, title=metric.heading)

    return draw


def bitrate(figure: Any, document: Document) -> None:
    """Draw the parts of the bit rate."""
    _size(figure, document["summary"], 8.5)
    axes = figure.subplots()
    charts.stacked_rates(axes, document["summary"])
    axes.set(title="Bit rate")


def quality_against_bitrate(figure: Any, document: Document) -> None:
    """Draw quality against bit rate."""
    figure.set_size_inches(7.5, 4.6)
    axes = figure.subplots()
    charts.scatter(axes, document["summary"])
    axes.set(ylabel="PLCMOS", title="Quality against bit rate")


def _size(figure: Any, rows: Any, width: float = 7.5) -> None:
    figure.set_size_inches(width, 1.0 + 0.34 * len(rows))

# SPDX-License-Identifier: BSD-2-Clause
"""Tables of an evaluation as HTML that sorts; every cell carries the number that it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from dredge_host.evaluation.judging.registry import METRICS, SCORES, Measurement, Metric
from dredge_host.evaluation.results.document import Row, interval
from dredge_host.evaluation.results.legend import STRATA, method
from dredge_host.evaluation.results.stats import Interval

WORST = 40  # cells of each method


class Cell(NamedTuple):
    """The text of a cell and its sort key: a number, text, or None for a dash."""

    text: str
    value: float | str | None = None


class Column(NamedTuple):
    """The conversion of a row to a cell."""

    title: str
    cell: Callable[[Row], Cell]


NOTHING = Cell("–")


def sortable(columns: Sequence[Column], rows: Iterable[Row], attributes: Callable[[Row], str] = lambda row: "") -> str:
    """Return a table whose head gets buttons by script; the first cell of a row is its heading."""
    head = "".join(f"<th scope=col>{escape(column.title)}</th>" for column in columns)
    body = "".join(f"<tr{attributes(row)}>{_cells([c.cell(row) for c in columns])}</tr>" for row in rows)
    return (
        f'<div class="scroll" tabindex="0"><table class="sortable"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cells(cells: Sequence[Cell]) -> str:
    html = ""
    for place, cell in enumerate(cells):
        tag, kind = ("th scope=row", "th") if place == 0 else ("td", "td")
        word = ' class="word"' if isinstance(cell.value, str) and place else ""
        value = "" if cell.value is None else escape(str(cell.value), quote=True)
        html += f'<{tag}{word} data-value="{value}">{escape(cell.text)}</{kind}>'
    return html


def with_interval(key: str) -> Column:
    """Return the column of a metric: mean ± half of its 95 % interval."""
    metric = METRICS[key]

    def cell(row: Row) -> Cell:
        value = interval(row, key)
        return NOTHING if value is None else Cell(interval_text(value, metric), metric.scale * value.mean)

    return Column(metric.title, cell)


def interval_text(value: Interval, metric: Metric) -> str:
    """Return the mean ± half of the interval, with a typographic minus."""
    return metric.text(value.mean, value.half).replace("-", "−")


def score(key: str) -> Column:
    """Return the column of a metric of single cells."""
    metric = METRICS[key]
    return number(metric.title, metric.form, metric.unit, key, scale=metric.scale)


def number(title: str, form: str, unit: str, *path: str, scale: float = 1.0) -> Column:
    """Return the column of a plain number that lies somewhere in the row."""

    def cell(row: Row) -> Cell:
        value: Any = row
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if not isinstance(value, (int, float)):
            return NOTHING
        return Cell(f"{scale * value:{form}}{unit}".replace("-", "−"), scale * value)

    return Column(title, cell)


def named(row: Row) -> Cell:
    """Return the column of the method's name."""
    text = method(str(row["method"])).text
    return Cell(text, text)


SUMMARY = (
    Column("method", named),
    *map(with_interval, METRICS),
    number("kb/s", ".1f", "", "bitrate_total_bps", scale=0.001),
    number("CPU, sender", ".0f", " µs", "cpu_us_per_packet", "send"),
    number("CPU, receiver", ".0f", " µs", "cpu_us_per_packet", "receive"),
    number("lost", ".1f", " %", "loss_pct"),
    number("lag, median", ".2f", " ms", "lag_ms_median"),
    number("clicks", ".0f", "", "clicks"),
    number("cells", ".0f", "", "cells"),
)


def table_of(rows: Sequence[Row], columns: Sequence[Column] = SUMMARY) -> str:
    """Return the table of the columns that were measured in at least one row."""
    return sortable([c for c in columns if any(c.cell(row) is not NOTHING for row in rows)], rows)


CELLS = (
    Column("clip", lambda row: Cell(str(row.get("clip")), str(row.get("clip")))),
    Column("method", named),
    Column("longest burst", lambda row: _burst(row)),
    number("lost", ".1f", " %", "loss_pct"),
    score("plcmos"),
    number("against no loss", "+.2f", "", "against_clean"),
    *(score(key) for key in SCORES if key != "plcmos"),
    Column("word errors", lambda row: _word_errors(row)),
    *(score(key) for key, metric in METRICS.items() if metric.weight),
    number("kb/s", ".1f", "", "bitrate_total_bps", scale=0.001),
    number("trace seed", ".0f", "", "trace_seed"),
)


def _burst(row: Row) -> Cell:
    longest = row.get("longest_burst_ms")
    return Cell(f"{longest:.0f} ms", longest) if isinstance(longest, (int, float)) else NOTHING


def _word_errors(row: Row) -> Cell:
    errors, words = row.get("word_errors"), row.get("words")
    if not isinstance(errors, (int, float)) or not isinstance(words, (int, float)) or not words:
        return NOTHING
    return Cell(f"{errors:g} of {words:g}", errors / words)


def worst_cells(records: Sequence[Row], count: int = WORST) -> list[Measurement]:
    """Return the `count` cells of every method that lost most PLCMOS against no loss on the same clip, worst first.

    Where there is no PLCMOS they are in the order of the records; cells without loss are left out.
    """
    clean = {r["clip"]: r["plcmos"] for r in records if r.get("method") == "clean" and "plcmos" in r}
    found: dict[str, list[Measurement]] = {}
    for record in records:
        if record.get("method") == "clean":
            continue
        row = dict(record)
        if "plcmos" in row and row["clip"] in clean:
            row["against_clean"] = row["plcmos"] - clean[row["clip"]]
        found.setdefault(str(row["method"]), []).append(row)
    chosen = [row for rows in found.values() for row in sorted(rows, key=_lost)[:count]]
    return sorted(chosen, key=_lost)


def _lost(row: Row) -> float:
    return float(row.get("against_clean", row.get("plcmos", 0.0)))


def cells_table(rows: Sequence[Row]) -> str:
    """Return the cells with the filters by method and by longest burst above them (they need the script)."""
    methods = {str(row["method"]): method(str(row["method"])).text for row in rows}
    names = [str(row["stratum"]) for row in rows if row.get("stratum")]
    strata = {name: STRATA.get(name, name) for name in names}
    chosen = next((name for name in ("dred", *methods) if name in methods), "")
    shown = [c for c in CELLS if any(c.cell(row) is not NOTHING for row in rows)]
    return (
        '<div class="filters" hidden>'
        + _select("method", "Method", methods, chosen)
        + _select("stratum", "Longest burst", strata, "")
        + '<output id="shown"></output></div>'
        + sortable(shown, rows, _attributes)
    )


def _attributes(row: Row) -> str:
    name, stratum = escape(str(row["method"]), quote=True), escape(str(row.get("stratum") or ""), quote=True)
    return f' data-method="{name}" data-stratum="{stratum}"'


def _select(name: str, label: str, options: Mapping[str, str], chosen: str) -> str:
    choices = "".join(
        f'<option value="{escape(key, quote=True)}"{" selected" if key == chosen else ""}>{escape(text)}</option>'
        for key, text in {"": "all", **options}.items()
    )
    return f'<label>{escape(label)} <select id="{name}">{choices}</select></label>'

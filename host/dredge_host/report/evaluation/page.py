# SPDX-License-Identifier: BSD-2-Clause
"""One self-contained HTML page about an evaluation: goals, charts, tables, the worst cells first.

Like the report of a run it needs no network, no other file and no script: scripts only sort and filter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from dredge_device.pi.output.files import write_text
from dredge_host.charts.bars import Bar, Part, bar_chart, legend, scatter_chart, stacked_chart
from dredge_host.evaluation.judging.registry import METRICS
from dredge_host.evaluation.results.document import Document, Row, goals, groups, measured, row_of, without_silence
from dredge_host.evaluation.results.legend import GOALS, METHODS, PARTS, STRATA, method
from dredge_host.evaluation.results.markdown_tables import command
from dredge_host.evaluation.results.stats import Interval
from dredge_host.report import shell
from dredge_host.report.evaluation.tables import cells_table, interval_text, table_of, worst_cells
from dredge_host.report.sections import section, table, text

EXPLAINED = {
    **{metric.title: metric.what for metric in METRICS.values()},
    "kb/s": "Bits on the wire, headers of RTP, UDP and IP included.",
    "±": "Half of the 95 % interval: bootstrap over recordings, all cells of one together, all methods alike.",
}


def write_evaluation_report(path: str | Path, document: Document) -> Path:
    """Write the page of a `dredge.evaluate/2` document and return its path.

    Parts of the document that were not measured leave their section out. Raises OutputError when `path` cannot be
    written.
    """
    return write_text(path, render(document))


def render(document: Document) -> str:
    """Return the page as text."""
    rows = document["summary"]
    sections = [
        _verdict(rows),
        _quality(rows),
        section("table", "All methods", table_of(rows)),
        _by("strata", "By longest burst", {STRATA.get(k, k): v for k, v in groups(document, "strata").items()}),
        _by("loss-rates", "By share of lost packets", groups(document, "loss_rates")),
        _intelligibility(rows),
        _bits(rows),
        _cells(document),
        _explained(rows, document),
        _environment(document),
        _raw(document),
    ]
    return shell.page(_title(document), sections, ["report.css", "evaluation.css"], ["evaluation.js"], {})


def _title(document: Document) -> str:
    clips, cells = len(_plan(document).get("clips") or []), len(document.get("records") or [])
    return f"Dredge: evaluation of {len(document['summary'])} methods, {clips} clips, {cells} cells"


def _plan(document: Document) -> Mapping[str, Any]:
    plan = document.get("plan")
    return plan if isinstance(plan, Mapping) else {}


def _columns(name: str, heading: str, body: str) -> str:
    return section(name, heading, f'<div class="columns">{body}</div>' if body else "")


def _verdict(rows: Sequence[Row]) -> str:
    """Return the section with the goals and the results of the methods."""
    lines, good = "", True
    for name, goal, share in goals(rows):
        held = share.mean >= goal
        good = good and held
        word = "held" if held else f"missed by {100 * (goal - share.mean):.0f} points"
        inside = " (within the interval)" if not held and goal <= share.high else ""
        won = interval_text(share, METRICS["gap_won_back"])
        lines += (
            f"<tr><th scope=row>{escape(method(name).text)}</th><td>{won}</td>"
            f'<td>{100 * goal:.0f} %</td><td class="{"good" if held else "bad"}">{word}{inside}</td></tr>'
        )
    if not lines:
        return ""
    return (
        f'<section id="verdict" class="{"good" if good else "bad"}"><p class="verdict"><strong>'
        f"{'PASS' if good else 'FAIL'}</strong> share of what classic concealment loses that is won back, by PLCMOS</p>"
        '<div class="scroll"><table><thead><tr><th>method</th><th>won back</th><th>goal</th><th>verdict</th></tr>'
        f"</thead><tbody>{lines}</tbody></table></div></section>"
    )


def _bars(rows: Sequence[Row], key: str, marks: Mapping[str, float]) -> list[Bar]:
    bars, metric = [], METRICS[key]._replace(unit="")
    for name, value in measured(rows, key):
        scaled = Interval(*(metric.scale * part for part in value))
        bars.append(Bar(name, method(name).text, scaled, interval_text(value, metric), marks.get(name)))
    return bars


def _quality(rows: Sequence[Row]) -> str:
    scores, shares = _bars(rows, "plcmos", {}), _shares(rows)
    body = ""
    if scores:
        body += f"<div><h3>PLCMOS</h3>{bar_chart(scores, 'PLCMOS of every method', start=1.0)}</div>"
    if shares:
        chart = bar_chart(shares, "Share of the gap won back by every method, per cent", "%")
        body += f"<div><h3>Gap won back, with the goals</h3>{chart}</div>"
    return _columns("quality", "Quality", body)


def _shares(rows: Sequence[Row]) -> list[Bar]:
    return _bars(without_silence(rows), "gap_won_back", {name: 100 * goal for name, goal in GOALS.items()})


def _by(name: str, heading: str, tables: Mapping[str, Sequence[Row]]) -> str:
    charts = ""
    for group, rows in tables.items():
        shares = _shares(rows)
        if shares:
            cells = rows[0].get("cells") or rows[0].get("clips") or 0
            chart = bar_chart(shares, f"Gap won back, {group}", "%")
            charts += f"<div><h3>{escape(group)}: {cells} cells, gap won back</h3>{chart}</div>"
    body = f'<div class="columns">{charts}</div>' if charts else ""
    for group, rows in tables.items():
        body += f"<details><summary>Table, {escape(group)}</summary>{table_of(rows)}</details>"
    return section(name, heading, body)


def _intelligibility(rows: Sequence[Row]) -> str:
    body = ""
    for key, metric in METRICS.items():
        bars = _bars(rows, key, {}) if metric.heading else []
        if bars:
            chart = bar_chart(bars, metric.heading, metric.unit.strip())
            body += f"<div><h3>{metric.heading}</h3>{chart}</div>"
    return _columns("words", "Intelligibility and recovered frames", body)


def _bits(rows: Sequence[Row]) -> str:
    split = []
    for row in rows:
        rates = row.get("bitrate_bps")
        if isinstance(rates, Mapping) and rates:
            parts = [Part(k, text, float(rates.get(k) or 0) / 1000) for k, (text, _) in PARTS.items() if rates.get(k)]
            split.append((method(str(row["method"])).text, parts))
    if not split:
        return ""
    shown = {part.key: part.label for _, parts in split for part in parts}
    body = f"<div><h3>Where the bits go</h3>{legend(shown)}{stacked_chart(split, 'Bit rate by part', 'kb/s')}</div>"
    points = []
    for name, value in measured(rows, "plcmos"):
        row = row_of(rows, name) or {}
        points.append((name, method(name).text, float(row.get("bitrate_total_bps") or 0) / 1000, value))
    if points:
        body += f"<div><h3>PLCMOS against bit rate</h3>{scatter_chart(points, 'PLCMOS against bit rate', 'kb/s')}</div>"
    return _columns("bits", "Bit rate", body)


def _cells(document: Document) -> str:
    records = document.get("records") or []
    rows = worst_cells(records)
    if not rows:
        return ""
    hint = (
        f'<p class="hint">The cells of every method that lost most, {len(rows)} of {len(records)}; the JSON has all of '
        "them. The trace seed draws the same losses again.</p>"
    )
    return section("cells", "Worst cells", hint + cells_table(rows))


def _explained(rows: Sequence[Row], document: Document) -> str:
    shown = [str(row["method"]) for row in rows if row["method"] in METHODS]
    words = {METHODS[name].text: METHODS[name].what for name in shown} | EXPLAINED
    noise = document.get("plcmos_noise_sd")
    if isinstance(noise, (int, float)):
        words["Noise of PLCMOS"] = f"{noise:.3f}: standard error of one clip's score, over the offsets of its analysis."
    lines = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in words.items())
    return section("methods", "What the methods do, and how it is measured", f"<dl>{lines}</dl>")


def _environment(document: Document) -> str:
    """Return the section with the command and the conditions; unknown ones are left out."""
    body = f"<p><code>{escape(command(document))}</code></p>"
    words = {"word_reference": document["word_reference"]} if document.get("word_reference") else {}
    for heading, facts in (
        ("Plan", {**_plan(document), **words}),
        ("Time", document.get("timing") or {}),
        ("Machine, code and models", document.get("environment") or {}),
    ):
        shown = {k: v for k, v in facts.items() if k not in ("clips", "methods") and v not in (None, "", [])}
        rows = [[escape(name.replace("_", " ")), text(value)] for name, value in shown.items()]
        body += f"<h3>{heading}</h3>{table(['', ''], rows)}" if rows else ""
    return section("environment", "How and where it ran", body)


def _raw(document: Document) -> str:
    body = escape(json.dumps(shell.plain({k: v for k, v in document.items() if k != "records"}), indent=1))
    return f"<section><details><summary>Result as JSON, without cells</summary><pre>{body}</pre></details></section>"

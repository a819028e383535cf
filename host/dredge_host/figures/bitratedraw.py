# SPDX-License-Identifier: BSD-2-Clause
"""The table of bit rates as Markdown and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dredge_host.evaluation.results.legend import PARTS, method
from dredge_host.evaluation.results.markdown import kbps, table
from dredge_host.figures import charts
from dredge_host.figures.bitrate import GOAL_BPS, GOAL_PER_SECOND_BPS, GOAL_TOTAL_BPS, totals
from dredge_host.figures.style import BAD

LINES = {"#073f70": "P", "#a56a00": "s", "#0b6fc2": "o", "#7d5ba6": "D", "#0a7f5e": "v", "#c04a14": "^", "#777777": "x"}


def draw(figure: Any, document: Mapping[str, Any]) -> None:
    """Draw kb/s against the length, one line per quantiser, at the left, and the parts of whole streams at the right.
    """
    figure.set_size_inches(12, 4.2)
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    for (name, rows), (colour, marker) in zip(_by_quantiser(document).items(), LINES.items(), strict=False):
        points = [(row["redundancy_s"], row["dred_bps"] / 1000) for row in rows]
        left.plot(
            *zip(*points, strict=True),
            marker=marker,
            color=colour,
            label=name,
            linewidth=2.8 if _is_default(rows[0], document) else 1.2,
        )
    left.axhline(GOAL_BPS / 1000, color=BAD, linestyle="--", label="goal for 1 s")
    left.set(xlabel="redundancy in every packet, s", ylabel="kb/s of redundancy", title="Length and quantiser")
    left.set(xlim=(0, 1.05), ylim=(0, None))
    left.legend(loc="upper left")
    charts.stacked_rates(right, document["split"])
    right.set(title="Whole streams, speech at 24 kb/s")


def _by_quantiser(document: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    lines: dict[str, list[Mapping[str, Any]]] = {}
    for row in document["rows"]:
        lines.setdefault(_quantiser(row, document), []).append(row)
    return lines


def _quantiser(row: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    default = ", default" if _is_default(row, document) else ""
    return f"q0 {row['q0']}, dQ {row['dq']}{default}"


def _is_default(row: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    """Return whether this was the sender's default quantiser when the document was made."""
    return bool({"q0": row["q0"], "dq": row["dq"]} == document["default"])


def markdown(document: Mapping[str, Any]) -> str:
    """Return three tables: redundancy by length and quantiser, speech + 1 s, parts of whole streams; then the goals."""
    lengths = sorted({row["redundancy_s"] for row in document["rows"]})
    head = ["quantiser", *(f"{length:g} s" for length in lengths), "per second of features, 1 s"]
    grid = []
    for name, rows in _by_quantiser(document).items():
        cells = [f"{row['bytes']:.0f} bytes, {kbps(row['dred_bps'])} kb/s" for row in rows]
        grid.append([name, *cells, f"{rows[-1]['per_second_bps']} b/s"])
    return "\n\n".join([table(head, grid), _totals(document), _split(document["split"]), _goals(document)])


def _totals(document: Mapping[str, Any]) -> str:
    found = totals(dict(document))
    names = list(dict.fromkeys(_quantiser(row, document) for row in found))
    rates = list(dict.fromkeys(row["set_bps"] for row in found))
    cells = {(row["set_bps"], _quantiser(row, document)): row["total_bps"] for row in found}
    rows = [[f"{rate // 1000} kb/s", *(kbps(cells[rate, name]) for name in names)] for rate in rates]
    return table(["speech set to, + 1 s, kb/s without headers", *names], rows)


def _split(rows: Sequence[Mapping[str, Any]]) -> str:
    parts = [part for part in PARTS if any(row["bitrate_bps"].get(part) for row in rows)]
    grid = [
        [method(row["method"]).text, *(kbps(row["bitrate_bps"].get(part, 0.0)) for part in parts),
         kbps(sum(row["bitrate_bps"].values()))]
        for row in rows
    ]  # fmt: skip
    return table(["whole stream, kb/s", *(PARTS[part][0] for part in parts), "total"], grid)


def _goals(document: Mapping[str, Any]) -> str:
    row = next(r for r in document["rows"] if r["redundancy_s"] == 1.0 and _is_default(r, document))
    fits = [t for t in totals(dict(document)) if t["held"]]
    best = max(fits, key=lambda t: (t["speech_bps"], t["total_bps"]), default=None)
    possible = "not possible with any of these settings"
    if best:
        speech, total = kbps(best["speech_bps"]), kbps(best["total_bps"])
        possible = f"possible with speech at {speech} kb/s and {_quantiser(best, document)}: {total} kb/s"
    lines = [
        _held("1 s in every packet", row["dred_bps"], GOAL_BPS, "kb/s", 1000),
        _held("Per second of features", row["per_second_bps"], GOAL_PER_SECOND_BPS, "b/s", 1),
        f"- Speech + 1 s in {kbps(GOAL_TOTAL_BPS)} kb/s without headers: {possible}.",
    ]
    return "\n".join(lines)


def _held(what: str, value: float, goal: float, unit: str, scale: float) -> str:
    verdict = "held" if value <= goal else f"missed by {(value - goal) / scale:.1f}"
    return f"- {what}: {value / scale:.1f} {unit}, goal {goal / scale:g}: {verdict}."

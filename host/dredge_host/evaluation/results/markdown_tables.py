# SPDX-License-Identifier: BSD-2-Clause
"""Tables and sentences of an evaluation as Markdown, for docs/notes/results.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dredge_host.evaluation.judging.registry import METRICS, SCORES
from dredge_host.evaluation.methods.methods import DEFAULT_METHODS, PEERS
from dredge_host.evaluation.methods.policies import head, table_rows
from dredge_host.evaluation.results.document import Document, goals, groups, interval, measured
from dredge_host.evaluation.results.legend import GOALS, STRATA, method
from dredge_host.evaluation.results.markdown import kbps, table
from dredge_host.evaluation.results.stats import Interval

MAIN = ("dred", "dred_lbrr")  # printed bold


def command(document: Document, folder: str | None = None) -> str:
    """Return the command that makes such a document again; folder: its text in the command, by default its name."""
    plan = document.get("plan") or {}
    words = ["dredge evaluate", folder or str(plan.get("folder", "FOLDER"))]
    words.append(f"--clips {len(plan.get('clips') or [])}")
    for key, default in (("seconds", 12), ("seed", 1), ("bitrate_bps", 24000)):
        if plan.get(key, default) != default:
            words.append(f"--{key.removesuffix('_bps')} {plan[key]:g}")
    usual = DEFAULT_METHODS + (PEERS if plan.get("peer") else ())
    if plan.get("methods") and tuple(plan["methods"]) != usual:
        words += [f"--method {name}" for name in plan["methods"]]
    if plan.get("peer"):
        words.append("--peer opus_demo=PATH")
    switches = [("crossed", "--rotate"), *((name, f"--no-{name}") for name, m in SCORES.items() if m.default)]
    words += [option for key, option in switches if plan.get(key) is False]
    words += [f"--{name}" for name, m in SCORES.items() if not m.default and plan.get(name)]
    if "recogniser" in plan and plan["recogniser"] != "pocketsphinx":
        words.append(f"--recogniser {plan['recogniser']}" if plan["recogniser"] else "--no-words")
    return " ".join(words)


def provenance(document: Document) -> str:
    """Return one or two sentences about the machine, the date and the duration of the measurement."""
    plan, timing = document.get("plan") or {}, document.get("timing") or {}
    where = document.get("environment") or {}
    traces = f"{len(plan.get('strata') or [])} loss traces each" if plan.get("crossed") else "one loss trace each"
    text = f"{len(plan.get('clips') or [])} clips of up to {plan.get('seconds', 0):g} s, {traces}"
    if document.get("measured"):
        text = f"Measured on {document['measured']}: {text}"
    text += f", {timing.get('cells', 0)} cells"
    if where.get("cpu"):
        text += f"; {where['cpu']}, kernels at level {where.get('simd_level', '?')}"
    noise = document.get("plcmos_noise_sd")
    if isinstance(noise, (int, float)):
        text += f"; noise of one PLCMOS score {noise:.3f}"
    return text + "."


def summary(document: Document) -> str:
    """Return the table of quality, goals and rates of every method."""
    rows = []
    for row in document["summary"]:
        goal = GOALS.get(row["method"])
        rows.append([
            _name(row["method"]),
            _text(interval(row, "plcmos"), "plcmos"),
            "0 %" if row["method"] == "opus" else _text(interval(row, "gap_won_back"), "gap_won_back"),
            f"{100 * goal:.0f} %" if goal else "",
            kbps(row["bitrate_total_bps"]),
            kbps(sum(row["bitrate_bps"].get(part) or 0.0 for part in ("dred", "lbrr", "red"))),
            f"{row['loss_pct']:.1f} %",
        ])  # fmt: skip
    return table(["method", "PLCMOS", "gap won back", "goal", "kb/s", "of it redundancy", "loss"], rows)


def verdicts(document: Document) -> str:
    """Return one line per goal: met, or missed by how much."""
    lines = []
    for name, goal, share in goals(document["summary"]):
        missed = 100 * (goal - share.mean)
        inside = ", within the interval" if goal <= share.high else ""
        verdict = "held" if missed <= 0 else f"missed by {missed:.0f} points{inside}"
        lines.append(f"- {method(name).text}: {_text(share, 'gap_won_back')} of {100 * goal:.0f} %: {verdict}.")
    return "\n".join(lines) or "The run did not measure the methods that have goals."


def by_group(document: Document, key: str) -> str:
    """Return the table of PLCMOS and share won back for every group of `strata` or `loss_rates`, methods across."""
    tables = groups(document, key)
    names = list(dict.fromkeys(str(row["method"]) for rows in tables.values() for row in rows))
    lines = []
    for group, rows in tables.items():
        text, cells = STRATA.get(group, group), str(rows[0].get("cells", rows[0].get("clips", "")))
        for label, metric in (("PLCMOS", "plcmos"), ("won back", "gap_won_back")):
            found = dict(measured(rows, metric))
            lines.append([text, cells, label, *(_text(found.get(name), metric) for name in names)])
            text = cells = ""
    title = "longest burst" if key == "strata" else "lost packets"
    return table([title, "cells", "", *(method(name).text for name in names)], lines)


def intelligibility(document: Document) -> str:
    """Return the table of words, ESTOI, and the errors of the recovered frames."""
    shown = [key for key, metric in METRICS.items() if metric.heading and measured(document["summary"], key)]
    rows = [[_name(row["method"]), *(_text(interval(row, key), key) for key in shown)] for row in document["summary"]]
    return table(["method", *(METRICS[key].title for key in shown)], rows)


def beside(document: Document, metrics: Sequence[str] = tuple(METRICS)) -> str:
    """Return the metrics of the own methods and, after the slash, of libopus': means, and half of their intervals."""
    rows = {str(row["method"]): row for row in document["summary"]}
    pairs = [(own, name) for name in PEERS if name in rows and (own := name.removeprefix("peer_")) in rows]
    keys = [key for key in metrics if any(key in rows[name] for pair in pairs for name in pair)]
    lines = []
    for pair in pairs:
        cells = [" / ".join(_text(interval(rows[name], key), key) for name in pair) for key in keys]
        lines.append([_name(pair[0]), *cells, " / ".join(kbps(rows[name]["bitrate_total_bps"]) for name in pair)])
    return table(["Dredge / libopus", *(METRICS[key].title for key in keys), "kb/s"], lines)


def seams(document: Document) -> str:
    """Return the table of lags, seams and clicks."""
    rows = [
        [
            _name(row["method"]),
            f"{row['lag_ms_median']:.2f} / {row['lag_ms_worst']:.2f} ms" if "lag_ms_median" in row else "–",
            f"{row['lag_recovered_ms']:.2f} ms" if "lag_recovered_ms" in row else "–",
            str(row.get("seams", "–")),
            str(row.get("clicks", "–")),
        ]
        for row in document["summary"]
    ]
    return table(
        ["method", "lag of whole files, median / worst", "of what replaced lost packets", "seams", "clicks"], rows
    )


def timing(document: Document) -> str:
    """Return the times that the evaluation itself took."""
    taken = document.get("timing") or {}
    fresh = taken.get("cells", 0) - taken.get("cells_cached", 0)
    parts = ", ".join(f"{name} {seconds:.0f}" for name, seconds in (taken.get("by_part_s") or {}).items())
    return (
        f"{fresh} cells computed and {taken.get('cells_cached', 0)} found in the cache in "
        f"{taken.get('seconds_taken', 0) / 60:.1f} min, workers: {taken.get('workers', 1)}, "
        f"{taken.get('cell_seconds_mean', 0):.2f} s per computed cell. Seconds by part, summed over workers: {parts}."
    )


def policies(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of delay against recovered share."""
    plain = list(map(dict, rows))
    return table(head(plain), table_rows(plain))


def _name(key: str) -> str:
    text = method(key).text
    return f"**{text}**" if key in MAIN else text


def _text(value: Interval | None, metric: str) -> str:
    return "–" if value is None else METRICS[metric].text(value.mean, value.half).replace("-", "−")

# SPDX-License-Identifier: BSD-2-Clause
"""Playout delay against quality, one point per policy, on steady losses and on a path that changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dredge_device.units import SAMPLE_RATE
from dredge_host.errors import UsageError
from dredge_host.evaluation.methods.policies import POLICIES, head, run_policies, table_rows
from dredge_host.evaluation.results.document import Document
from dredge_host.evaluation.results.markdown import table
from dredge_host.sending.audio import Pcm
from dredge_host.sending.loss import parse_loss

NAME, SCHEMA = "delay", "dredge.figure.delay/2"
LOSSES = ("gilbert:rate=10%,burst=5", "gilbert:rate=20%,burst=9", "phases:20s/none/gilbert:rate=25%,burst=6/none")
COLOURS = {"fixed": "#0b6fc2", "adaptive": "#c04a14"}
_TICKS_MS = (40, 60, 100, 200, 400, 1000)


def measure(
    pcm: Pcm,
    losses: Sequence[str] = LOSSES,
    seed: int = 5,
    seconds: float = 60.0,
    progress: Callable[[int, int], None] | None = None,
    score: Callable[[Pcm], float] | None = None,
) -> Document:
    """Return the results of all policies on `seconds` of int16[n] (repeated as needed) and one loss trace of every
    model.

    score: the quality of the output, judged in pieces of 10 s. Raises UsageError for a bad loss model or less than a
    second.
    """
    if not seconds >= 1:
        raise UsageError(f"seconds is {seconds:g}, expected 1 or more")
    for loss in losses:
        parse_loss(loss, seed)
    speech = np.resize(pcm, int(SAMPLE_RATE * seconds))
    paths: list[Document] = []

    def reached(done: int, count: int) -> None:
        if progress:
            progress(len(paths) * count + done, len(losses) * count)

    for loss in losses:
        rows = run_policies(speech, loss, seed, progress=reached, score=_in_pieces(score) if score else None)
        paths.append({"loss": loss, "rows": rows})
    return {"schema": SCHEMA, "seed": seed, "seconds": seconds, "policies": list(POLICIES), "paths": paths}


def _in_pieces(score: Callable[[Pcm], float]) -> Callable[[Pcm], float]:
    """Return the mean score of the pieces of 10 s of which speech consists."""
    length = 10 * SAMPLE_RATE

    def mean(pcm: Pcm) -> float:
        starts = range(0, max(1, len(pcm) - length // 2), length)
        return float(np.mean([score(pcm[start : start + length]) for start in starts]))

    return mean


def draw(figure: Any, document: Document) -> None:
    """Draw the mean delay to the right (logarithmic), quality upwards, or the recovered share where quality was not
    judged.
    """
    paths = document["paths"]
    figure.set_size_inches(2.2 + 3.1 * len(paths), 3.8)
    judged = all("plcmos" in row for path in paths for row in path["rows"])
    key = "plcmos" if judged else "recovered_pct"
    for axes, path in zip(np.atleast_1d(figure.subplots(1, len(paths))), paths, strict=True):
        _panel(axes, path["rows"], key)
        axes.set_title(path["loss"].replace("phases:", "").replace("/", ", "), fontsize=8)
        axes.set_xlabel("mean playout delay, ms")
    first = figure.axes[0]
    first.set_ylabel("PLCMOS of what is heard" if judged else "lost packets that come back, %")
    first.legend(loc="lower right")


def _panel(axes: Any, rows: Sequence[Mapping[str, Any]], key: str) -> None:
    axes.set_xscale("log")
    axes.set_xticks(_TICKS_MS, labels=[str(tick) for tick in _TICKS_MS])
    axes.minorticks_off()
    for kind, colour in COLOURS.items():
        chosen = [row for row in rows if row["policy"].startswith(kind) and row[key] is not None]
        x, y = [row["mean_ms"] for row in chosen], [row[key] for row in chosen]
        style = {"marker": "o"} if kind == "fixed" else {"marker": "D", "linestyle": "none"}
        axes.plot(x, y, color=colour, label=f"{kind} delay", **style)
        if kind == "adaptive":
            for row in chosen:
                point = row["mean_ms"], row[key]
                axes.annotate(row["policy"], point, (5, 6), textcoords="offset points", color=colour)


def markdown(document: Document) -> str:
    """Return one table per path, one line per policy."""
    parts = []
    for path in document["paths"]:
        rows = path["rows"]
        parts += [f"`{path['loss']}`, {rows[0]['lost_packets']} packets lost:" if rows else f"`{path['loss']}`:",
                  table(head(rows), table_rows(rows))]  # fmt: skip
    return "\n\n".join(parts)

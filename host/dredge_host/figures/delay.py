# SPDX-License-Identifier: BSD-2-Clause
"""Playout delay against recovered share, one point per policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dredge_device.units import SAMPLE_RATE
from dredge_host.errors import UsageError
from dredge_host.evaluation.methods.policies import HEAD, run_policies, table_rows
from dredge_host.evaluation.results.markdown import table
from dredge_host.sending.audio import Pcm
from dredge_host.sending.loss import parse_loss

NAME, SCHEMA = "delay", "dredge.figure.delay/1"
LOSS = "gilbert:rate=20%,burst=5"
COLOURS = {"fixed": "#0b6fc2", "adaptive": "#c04a14"}


def measure(
    pcm: Pcm, loss: str = LOSS, seed: int = 5, seconds: float = 60.0, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """All policies on `seconds` of int16[n] (repeated as needed) and one loss trace.

    Raises UsageError for a bad loss model or less than a second.
    """
    if not seconds >= 1:
        raise UsageError(f"seconds is {seconds:g}, expected 1 or more")
    parse_loss(loss, seed)
    speech = np.resize(pcm, int(SAMPLE_RATE * seconds))
    rows = run_policies(speech, loss, seed, progress=progress)
    return {"schema": SCHEMA, "loss": loss, "seed": seed, "seconds": seconds, "rows": rows}


def draw(figure: Any, document: Mapping[str, Any]) -> None:
    """Mean delay to the right, recovered share upwards; policies of one kind are joined by a line."""
    figure.set_size_inches(7.5, 4.4)
    axes = figure.subplots()
    for kind, colour in COLOURS.items():
        rows = [r for r in document["rows"] if r["policy"].startswith(kind) and r["recovered_pct"] is not None]
        x, y = [r["mean_ms"] for r in rows], [r["recovered_pct"] for r in rows]
        axes.plot(x, y, marker="o", color=colour, label=f"{kind} delay")
        place = (6, -11) if kind == "fixed" else (-4, 9)
        for point, text in _labels(rows).items():
            axes.annotate(text, point, place, textcoords="offset points", color=colour)
    axes.set(xlabel="mean playout delay, ms", ylabel="lost packets that come back, %", xlim=(0, None), ylim=(0, 106))
    axes.set_title(f"{document['loss']}, 1 s of redundancy")
    axes.legend(loc="lower right")


def _labels(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[float, float], str]:
    """What stands at each point; policies that come out nearly alike share a label, at the first one's point."""
    texts: dict[tuple[float, float], list[str]] = {}
    for row in rows:
        x, y = row["mean_ms"], row["recovered_pct"]
        point = next((p for p in texts if abs(p[0] - x) < 12 and abs(p[1] - y) < 2.5), (x, y))
        texts.setdefault(point, []).append(row["policy"].partition(":")[2])
    return {point: ", ".join(found) + " ms" for point, found in texts.items()}


def markdown(document: Mapping[str, Any]) -> str:
    """One line per policy."""
    return table(HEAD, table_rows(document["rows"]))

# SPDX-License-Identifier: BSD-2-Clause
"""The results bar chart: PLCMOS of every method with its interval, over all losses and by longest burst."""

from __future__ import annotations

from typing import Any

from dredge_host.errors import InputError
from dredge_host.evaluation.results.document import Document, groups, measured
from dredge_host.evaluation.results.legend import STRATA
from dredge_host.figures import charts

NAME = "quality"


def draw(figure: Any, document: Document) -> None:
    """Raise InputError for an evaluation that did not measure PLCMOS."""
    rows = document["summary"]
    found = measured(rows, "plcmos")
    if not found:
        raise InputError("summary: no row has `plcmos`; the evaluation has to run with it")
    strata = {STRATA.get(name, name): part for name, part in groups(document, "strata").items()}
    figure.set_size_inches(11.5, 1.2 + 0.34 * max(8, len(found)))
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.35)) if strata else (figure.subplots(), None)
    charts.bars(left, rows, "plcmos")
    charts.goal_marks(left, rows, "plcmos", charts.plcmos_goals(rows))
    left.set_xlim(left=1.0)
    left.set(xlabel="PLCMOS, 95 % interval over clips", title="All losses")
    if right is not None:
        charts.grouped(right, strata, "plcmos")
        right.set(ylabel="PLCMOS", title="By longest burst")

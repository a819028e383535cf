# SPDX-License-Identifier: BSD-2-Clause
"""The documents of evaluations, declared once for producers and readers, and the reading of saved ones.

Rows and records hold a value for every metric that was measured, by the names of judging.registry.METRICS
(`Measurement`): their fields follow from that table.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from dredge_device.pi.text import read_text
from dredge_device.pi.transport.errors import refusal
from dredge_host.errors import InputError
from dredge_host.evaluation.judging.registry import Measurement
from dredge_host.evaluation.results.legend import GOALS
from dredge_host.evaluation.results.stats import Interval

EVALUATE = "dredge.evaluate/2"
Document = Mapping[str, Any]
Row = Mapping[str, Any]


class Timing(TypedDict):
    """The seconds of a run; by_part_s: summed over its workers, fresh cells only."""

    seconds_taken: float
    workers: int | str
    cells: int
    cells_cached: int
    cell_seconds_mean: float
    by_part_s: dict[str, float]


class Tables(TypedDict):
    """One row per method, over all cells, by longest burst, and by loss rate."""

    summary: list[Measurement]
    strata: dict[str, list[Measurement]]
    loss_rates: dict[str, list[Measurement]]


class EvaluateNeeded(Tables):
    """The result of an evaluation of losses; environment: everything that determined it."""

    schema: str
    plan: dict[str, object]
    environment: dict[str, object]
    word_reference: str
    plcmos_noise_sd: float | None
    records: list[Measurement]
    timing: Timing


class EvaluateResult(EvaluateNeeded, total=False):
    """The same; policies: a row per playout policy, where they were asked for."""

    policies: list[Measurement]


class CopySynthesisResult(TypedDict):
    """The vocoders on the features of recordings."""

    schema: str
    summary: list[Measurement]
    records: list[Measurement]


class RobustRow(TypedDict):
    """One input with one mode of concealment (running.robust.Verdict)."""

    input: str
    conceal: str
    described: int
    recovered: int
    louder_db: float
    quieter_db: float
    over: int
    passed: bool


class RobustResult(TypedDict):
    """The levels of recovered speech for difficult inputs."""

    schema: str
    loss: str
    passed: bool
    rows: list[RobustRow]


class LightLossResult(TypedDict):
    """LBRR, DRED and both under one cap; comparison: by loss, means and gains of every way."""

    schema: str
    folder: str
    cap_bps: int
    seed: int
    seconds_each: float
    clips: list[str]
    seconds: float
    rows: list[Measurement]
    comparison: list[dict[str, Any]]
    noticed: float


def read_document(path: str | Path, schema: str = EVALUATE) -> dict[str, Any]:
    """Return the JSON document in a file. Raises InputError when it is missing, no JSON, or of another schema."""
    try:
        document = json.loads(read_text(path))
    except OSError as error:
        raise InputError(refusal(error, path)) from None
    except ValueError as error:
        raise InputError(f"{path}: not a JSON file ({error}); save one with --json") from None
    found = document.get("schema") if isinstance(document, dict) else None
    if found != schema:
        raise InputError(f"{path}: expected a document of schema {schema}, got {found or 'none'}")
    if schema == EVALUATE:
        _check_rows(path, document)
    return document


def _check_rows(path: str | Path, document: Document) -> None:
    rows = document.get("summary")
    if not isinstance(rows, list) or not rows or not all(isinstance(r, dict) and "method" in r for r in rows):
        raise InputError(f"{path}: summary: expected one row per method, each with its `method`")


def interval(row: Row | None, key: str) -> Interval | None:
    """Return a measured mean with its 95 % interval, or None where the run did not measure it."""
    value = row.get(key) if row else None
    if not isinstance(value, Mapping):
        return None
    numbers = [value.get(name) for name in Interval._fields]
    if not all(isinstance(n, (int, float)) and math.isfinite(n) for n in numbers):
        return None
    return Interval(*map(float, numbers))  # type: ignore[arg-type]


def row_of(rows: Sequence[Row], method: str) -> Row | None:
    """Return the row of one method."""
    return next((row for row in rows if row.get("method") == method), None)


def measured(rows: Sequence[Row], key: str) -> list[tuple[str, Interval]]:
    """Return (method, interval) of every row in which `key` was measured, in order."""
    pairs = ((str(row["method"]), interval(row, key)) for row in rows)
    return [(name, value) for name, value in pairs if value is not None]


def without_silence(rows: Sequence[Row]) -> list[Row]:
    """Return the rows for pictures of the gap, without silence, because it is so far below classic concealment that it
    would set the scale.
    """
    return [row for row in rows if row.get("method") != "silence"]


def goals(rows: Sequence[Row]) -> Iterator[tuple[str, float, Interval]]:
    """Yield (method, goal, share won back) of every goal that the rows can judge."""
    for name, goal in GOALS.items():
        value = interval(row_of(rows, name), "gap_won_back")
        if value is not None:
            yield name, goal, value


def groups(document: Document, key: str) -> dict[str, list[Row]]:
    """Return the tables by `strata` or `loss_rates`, empty without them."""
    found = document.get(key)
    return {str(name): list(rows) for name, rows in found.items() if rows} if isinstance(found, Mapping) else {}

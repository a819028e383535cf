# SPDX-License-Identifier: BSD-2-Clause
"""The counts as a person reads them."""

from __future__ import annotations

from typing import Any

from dredge_host import console

# Classes in the order of the table, and what they are called there; others (say dred_other) come behind.
TITLES = {
    "dred_plain": "received (20 % in bursts)",
    "dred_first": "DRED, first of a gap",
    "dred_next": "DRED, within a gap",
    "dred_after": "received, after a gap",
    "dred_mean": "mean at 20 % in bursts",
    "second_first": "DRED, first of a 1 s gap",
    "second_next": "DRED, within a 1 s gap",
    "second_after": "received, after a 1 s gap",
    "plc_first": "predictor alone, first",
    "plc_next": "predictor alone, next",
    "plc_after": "received, after it",
    "classic_first": "classic (libopus), first",
    "classic_next": "classic, next",
    "classic_after": "received, after it",
}
_PARTS = ("lpcnet", "interpreter", "NumPy", "TFLite", "rdovae", "features", "postfilter", "libopus")
_REST = "rest"


def lines(result: dict[str, dict[str, Any]], earlier: dict[str, dict[str, Any]]) -> list[str]:
    """Return one table per model, in million instructions per 20 ms; earlier: the same of another run, or nothing."""
    said = []
    for model, classes in result.items():
        before = earlier.get(model, {})
        there = [name for name in TITLES if name in classes]
        there += sorted(name for name in classes if name.endswith("_other"))
        titles = [model, "periods", *(["before"] if before else []), "mean", "least", "most", *_PARTS, _REST]
        said += [*console.table([_row(name, classes[name], before) for name in there], titles), ""]
    return said[:-1]


def _row(name: str, figures: dict[str, Any], before: dict[str, Any]) -> list[str]:
    by = figures["by"]
    rest = sum(value for key, value in by.items() if key not in _PARTS)
    counts = [figures["mean"], figures["least"], figures["most"], *[by.get(key, 0) for key in _PARTS], rest]
    was = [_millions(before[name]["mean"]) if name in before else "–"] if before else []
    return [TITLES.get(name, name), str(figures["periods"]), *was, *map(_millions, counts)]


def _millions(count: int) -> str:
    return f"{count / 1e6:.2f}" if count else "·"

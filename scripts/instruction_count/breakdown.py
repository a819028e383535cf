# SPDX-License-Identifier: BSD-2-Clause
"""Instructions per 20 ms by class of period and by part of the program."""

from __future__ import annotations

import bisect
from collections import defaultdict
from pathlib import PurePath
from typing import Any

from instruction_count.cases import Case
from instruction_count.emulated import Counted
from instruction_count.guest import EMPTY

OTHER = "other"
MEAN = "mean"
_OWN = ("lpcnet", "features", "postfilter", "rdovae", "opus")  # kernels that have a column of their own
_INTERPRETER = ("python3", "libc", "libc.so", "ld-linux", "libm", "libpthread", "[vdso]", "_ctypes", "libffi")
_GROUPS = (
    ("libopus", ("libopus",)),
    ("TFLite", ("_pywrap_tensorflow", "_pywrap_litert", "libstdc++", "libgcc_s")),
    ("interpreter", _INTERPRETER),
    ("NumPy", ("_multiarray", "_umath", "libopenblas", "libscipy", "_mt19937", "libgfortran")),
)


def part(path: str) -> str:
    """Return the part of the program that a mapped file belongs to."""
    name = PurePath(path).name
    if name.endswith(".abi3.so"):
        own = name.removesuffix(".abi3.so")
        return own if own in _OWN else "other kernels"
    return next((group for group, starts in _GROUPS if name.startswith(starts)), OTHER)


def class_name(case: Case, source: str, before: str) -> str:
    """Return the name of a period's class: plain, or the case's name with first, next, after or other."""
    lost, was_lost = source != "opus", before != "opus"
    if lost and source != case.wanted:
        return f"{case.name}_{OTHER}"
    if not lost:
        return f"{case.name}_after" if was_lost else f"{case.name}_plain"
    return f"{case.name}_next" if was_lost else f"{case.name}_first"


def breakdown(found: Counted, cases: list[Case]) -> dict[str, dict[str, Any]]:
    """Return by model and class: periods, mean, least, most instructions per period, all of them, the mean by part.

    The class ``<case>_mean`` is all periods of a case together. The instructions of the marks are not counted.
    """
    named = {case.name: case for case in cases}
    places = {}
    for number, (model, name, source, before) in enumerate(found.classes, 1):
        if name in named:
            places[number] = (model, class_name(named[name], source, before))
    of_marks = _mean([instructions for number, instructions in found.periods if _is_empty(found, number)])
    periods: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, instructions in found.periods:
        if number in places:
            model, name = places[number]
            for key in (name, f"{named_case(name)}_{MEAN}"):
                periods[model, key].append(instructions - round(of_marks))
    parts = _parts(found, places)
    result: dict[str, dict[str, Any]] = defaultdict(dict)
    for (model, name), values in periods.items():
        by = {key: round(value / len(values)) for key, value in sorted(parts[model, name].items())}
        result[model][name] = {
            "periods": len(values), "mean": round(_mean(values)), "least": min(values), "most": max(values), "by": by,
            "each": values,
        }  # fmt: skip
    return dict(result)


def named_case(name: str) -> str:
    """Return the case in the name of a class."""
    return name.rpartition("_")[0]


def _is_empty(found: Counted, number: int) -> bool:
    return found.classes[number - 1][1] == EMPTY


def _mean(values: list[int]) -> float:
    return sum(values) / len(values) if values else 0.0


def _parts(found: Counted, places: dict[int, tuple[str, str]]) -> dict[tuple[str, str], dict[str, int]]:
    """Return the instructions of all periods by (model, class) and part of the program."""
    libraries = sorted(found.libraries)
    starts = [start for start, _, _ in libraries]
    sums: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for address, run in found.runs.items():
        index = bisect.bisect_right(starts, address) - 1
        inside = index >= 0 and address < libraries[index][1]
        where = part(libraries[index][2]) if inside else OTHER
        for number, instructions in run.items():
            if number in places:
                model, name = places[number]
                for key in (name, f"{named_case(name)}_{MEAN}"):
                    sums[model, key][where] += instructions
    return sums

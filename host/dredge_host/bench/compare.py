# SPDX-License-Identifier: BSD-2-Clause
"""The comparison of two benchmark results."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from dredge_device.pi.text import read_text
from dredge_device.pi.transport.errors import refusal
from dredge_host.bench.documents import BenchResult, Comparison, Ratio
from dredge_host.console import table
from dredge_host.errors import InputError

SCHEMA = "dredge.bench/2"


def read_result(path: Path) -> BenchResult:
    """Return an earlier result of ``dredge bench --json``. Raises InputError when the file is not one."""
    try:
        result = json.loads(read_text(path))
    except OSError as error:
        raise InputError(refusal(error, path)) from None
    except ValueError:
        raise InputError(f"{path}: expected what `dredge bench --json` printed, got something else") from None
    except RecursionError:
        raise InputError(f"{path}: nested too deeply for a benchmark result") from None
    schema = result.get("schema") if isinstance(result, dict) else None
    if schema != SCHEMA:
        raise InputError(f"{path}: expected schema {SCHEMA}, got {schema}: measure again with this version")
    try:
        figures = list(_figures(result))
        _differences(result, result)
    except (AttributeError, KeyError, TypeError):
        raise InputError(f"{path}: a section is damaged: measure again") from None
    odd = [name for name, value in figures if not _is_time(value)]
    if odd:
        raise InputError(f"{path}: {odd[0]}: expected microseconds, got something else: measure again")
    return cast(BenchResult, dict(result))


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e15


def compare(old: BenchResult, new: BenchResult) -> Comparison:
    """Return the ratios new / old of every figure that both have, and the differences of the two set-ups.

    Of throughput the minimum is compared (the least disturbed), of paced calls the median.
    """
    before, after = dict(_figures(old)), dict(_figures(new))
    rows: list[Ratio] = [
        {"figure": name, "old_us": before[name], "new_us": after[name], "ratio": round(after[name] / before[name], 3)}
        for name in after
        if before.get(name, 0) > 0
    ]
    return {"rows": rows, "differences": _differences(old, new)}


def compare_lines(comparison: Comparison) -> list[str]:
    """Return the comparison as a table; warnings first."""
    rows = [
        [row["figure"], f"{row['old_us']:.1f}", f"{row['new_us']:.1f}", f"{row['ratio']:.2f}"]
        for row in comparison["rows"]
    ]
    warnings = [f"not the same: {text}" for text in comparison["differences"]]
    return [*warnings, *table(rows, ["figure", "old µs", "new µs", "new / old"])]


def slower(comparison: Comparison, tolerance_pct: float) -> list[str]:
    """Return the figures that grew by more than the tolerance."""
    limit = 1 + tolerance_pct / 100
    return [f"{row['figure']} ({row['ratio']:.2f})" for row in comparison["rows"] if row["ratio"] > limit]


def _figures(result: BenchResult) -> Iterator[tuple[str, float]]:
    for stage in result.get("stages", ()):
        yield f"{stage['stage']}, best", stage["throughput_us"]["min"]
        yield f"{stage['stage']}, paced", stage["paced_us"]["p50"]
    if "live" in result:
        yield "live frame, p50", result["live"]["cpu_us"]["p50"]
        yield "live frame, p99", result["live"]["cpu_us"]["p99"]
    for name, row in result.get("burst", {}).items():
        yield f"first 20 ms after a gap, {name}", row["first_20_ms"]["cpu_us"]["p50"]
        yield f"whole gap, {name}", row["whole_gap"]["cpu_us"]["p50"]
    for number in result.get("streams", ()):
        yield f"{number['streams']} streams, p50", number["cpu_us"]["p50"]


def _differences(old: BenchResult, new: BenchResult) -> list[str]:
    found = [
        f"{name}: {old.get(name)} -> {new.get(name)}"
        for name in ("simd_level", "models", "libopus", "neural_runtime")
        if old.get(name) != new.get(name)
    ]
    a, b = old["machine"], new["machine"]
    names = ("board", "cpu", "governor", "python", "throttling")
    return found + [f"{n}: {a.get(n)} -> {b.get(n)}" for n in names if a.get(n) != b.get(n)]

# SPDX-License-Identifier: BSD-2-Clause
"""What the whole receive path takes on a Raspberry Pi (`make board-costs`), one table in milliseconds per 20 ms.

Instructions of every kind of period are counted under emulation (`make count-pi`), the vocoder's are turned into cycles
by predict.py's two bounds, all other code's by assumed instructions per cycle, so every figure is a range. The share
recovered is that of the virtual Pi (`make test-pi`, rows of the same code) at the next speed below the board's own.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tests/arm"), str(ROOT / "tests/arm/cycles"), str(ROOT / "scripts")]

import predict  # noqa: E402
from instruction_count.__main__ import MODELS, counts  # noqa: E402
from virtual_pi.boot_image.layers import folder  # noqa: E402
from virtual_pi.row_file import read  # noqa: E402
from virtual_pi.table import BURSTS  # noqa: E402

VOCODER, INTERPRETER = "lpcnet", ("interpreter", "NumPy", "other")  # parts of instruction_count.breakdown
KINDS = {"plain": "dred_plain", "next": "dred_next", "first": "dred_first", "after": "dred_after",
         "first of 1 s": "second_first"}  # fmt: skip
BURST_CLASSES = ("dred_plain", "dred_first", "dred_next", "dred_after")


class Rates(NamedTuple):
    """Instructions per cycle, the pessimistic and the optimistic one: of the interpreter, of other compiled code."""

    interpreter: tuple[float, float]
    compiled: tuple[float, float]


# Assumed: no board was measured.
RATES = {
    "Cortex-A53": Rates((0.4, 0.8), (0.6, 1.1)),
    "Cortex-A72": Rates((0.8, 1.4), (1.0, 1.8)),
    "Cortex-A76": Rates((1.3, 2.2), (1.6, 2.8)),
}

Range = tuple[float, float]  # optimistic, pessimistic


def vocoder_rate(figures: Mapping[str, float]) -> tuple[float, float]:
    """Return instructions per cycle of LPCNet, pessimistic and optimistic; figures: a core's, of predict.predict."""
    return figures["instructions"] / figures["cycles_high"], figures["instructions"] / figures["cycles_low"]


def cycles(parts: Mapping[str, int], core: str, vocoder: tuple[float, float]) -> Range:
    """Return the cycles that these instructions by part take, optimistic and pessimistic."""
    rates = RATES[core]
    sums = [0.0, 0.0]
    for name, count in parts.items():
        rate = vocoder if name == VOCODER else rates.interpreter if name in INTERPRETER else rates.compiled
        sums[0] += count / rate[1]
        sums[1] += count / rate[0]
    return sums[0], sums[1]


def milliseconds(figures: Mapping[str, Any], core: str, ghz: float, vocoder: tuple[float, float]) -> list[np.ndarray]:
    """Return the time of every period of a class, optimistic and pessimistic, float64[periods] each."""
    whole = sum(figures["by"].values())
    each = np.asarray(figures["each"], float)
    return [each * value / whole / (ghz * 1e6) for value in cycles(figures["by"], core, vocoder)]


def row(classes: Mapping[str, Any], core: str, ghz: float, vocoder: tuple[float, float]) -> dict[str, Any]:
    """Return mean ms by kind of period; mean and p99 at 20 % loss in bursts; speed: M instructions/s there."""
    timed = {name: milliseconds(figures, core, ghz, vocoder) for name, figures in classes.items() if "each" in figures}
    result: dict[str, Any] = {kind: _both(np.mean, timed[name]) for kind, name in KINDS.items()}
    whole = [np.concatenate([timed[name][side] for name in BURST_CLASSES]) for side in (0, 1)]
    result["mean"] = _both(np.mean, whole)
    result["p99"] = _both(lambda each: np.percentile(each, 99), whole)
    spent = np.mean(np.concatenate([classes[name]["each"] for name in BURST_CLASSES]))
    result["speed"] = tuple(round(float(spent / ms / 1e3)) for ms in reversed(result["mean"]))
    return result


def _both(function: Any, sides: Sequence[np.ndarray]) -> Range:
    return float(function(sides[0])), float(function(sides[1]))


def recovered(rows: Sequence[Mapping[str, Any]], code: str, model: str, speed: float) -> Mapping[str, Any] | None:
    """Return the virtual Pi's row at 20 % loss in bursts, 1 s of delay and the highest speed not above this."""
    there = [r for r in rows if (r["code"], r["model"], r["loss"], r["playout"]) == (code, model, BURSTS, "fixed:1000")]
    below = [r for r in there if r["mips"] <= speed and r["job"] == "replay"]
    found = max(below, key=lambda r: r["mips"], default=None)
    return found and {name: found[name] for name in ("mips", "share", "late_periods", "cpu_pct")}


def predicted(models: Sequence[str]) -> dict[str, dict[str, tuple[float, float]]]:
    """Return instructions per cycle of LPCNet by model and core."""
    result = {}
    for model in models:
        with tempfile.TemporaryDirectory() as scratch:
            found = predict.predict(predict.shipped(model), Path(scratch))
        result[model] = {core: vocoder_rate(figures) for core, figures in found.items()}
    return result


def whole(
    counted: Mapping[str, Any], rates: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return one row per board and model. counted: of instruction_count, by processor; rates: of ``predicted``."""
    result = []
    for board, core, ghz in predict.BOARDS:
        found = counted[predict.CORES[core].cpu if core != "Cortex-A72" else "cortex-a53"]
        for model, classes in found["models"].items():
            made = row(classes, core, ghz, rates[model][core])
            slow = recovered(rows, found["code"], model, made["speed"][0])
            result.append({"board": board, "ghz": ghz, "model": model, **made, "recovered": slow})
    return result


def lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the table in Markdown."""
    kinds = [*KINDS, "mean", "p99"]
    out = [f"| board | model | {' | '.join(kinds)} | speed | recovered, late (virtual Pi at) |"]
    out += ["|---" * (len(kinds) + 4) + "|"]
    for r in rows:
        found = r["recovered"]
        share = f"{found['share']:.1f} %, {found['late_periods']} ({found['mips']:g})" if found else "not run"
        shown = " | ".join(f"{_short(r[kind][0])}–{_short(r[kind][1])}" for kind in kinds)
        speed = f"{r['speed'][0]}–{r['speed'][1]}"
        out.append(f"| {r['board']}, {r['ghz']:g} GHz | `{r['model']}` | {shown} | {speed} | {share} |")
    return out


def _short(ms: float) -> str:
    return f"{ms:.0f}" if ms >= 9.95 else f"{ms:.1f}" if ms >= 0.95 else f"{ms:.2f}"


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=Path, nargs="+", metavar="FILE",
                        help="of `make count-pi` with --json, one per processor (default: count now)")  # fmt: skip
    parser.add_argument("--rows", type=Path, help="rows of `make test-pi` (default: those in the cache folder)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    found = [json.loads(path.read_text()) for path in options.count or ()]
    found = found or [counts(cpu, MODELS) for cpu in ("cortex-a53", "cortex-a76")]
    counted = {each["cpu"]: each for each in found}
    models = list(next(iter(counted.values()))["models"])
    result = whole(counted, predicted(models), read(options.rows or folder() / "rows.jsonl"))
    print(json.dumps(result) if options.json else "\n".join(lines(result)))


if __name__ == "__main__":
    main(sys.argv[1:])

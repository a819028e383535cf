# SPDX-License-Identifier: BSD-2-Clause
"""Draws what `dredge bench --json` found about redundancy and streams: bench_plots.py RESULT.json FOLDER

Needs matplotlib (pip install matplotlib); writes bench-redundancy.svg and bench-streams.svg.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from dredge_host.bench.compare import read_result


def redundancy(axes: Any, rows: list[dict[str, Any]]) -> None:
    """Milliseconds of CPU against the length of the redundancy: sender, first 20 ms after a gap, whole gap."""
    length = [row["redundancy_ms"] for row in rows]
    for label, values in (
        ("sender, per packet", [row["cpu_us"]["p50"] for row in rows]),
        ("after a gap as long: first 20 ms", [row["gap"]["first_20_ms"]["cpu_us"]["p50"] for row in rows]),
        ("after a gap as long: all of it", [row["gap"]["whole_gap"]["cpu_us"]["p50"] for row in rows]),
    ):
        axes.plot(length, [value / 1000 for value in values], marker="o", label=label)
    axes.set(xlabel="redundancy, ms", ylabel="CPU, ms (median)", yscale="log", xlim=(0, None))


def streams(axes: Any, rows: list[dict[str, Any]]) -> None:
    """Milliseconds of CPU per period of 20 ms against the number of streams."""
    number = [row["streams"] for row in rows]
    for name in ("p50", "p99"):
        axes.plot(number, [row["cpu_us"][name] / 1000 for row in rows], marker="o", label=name)
    axes.axhline(20, color="gray", linestyle="--", label="period")
    axes.set(xlabel="streams with 20 % burst loss, one core", ylabel="CPU per 20 ms, ms", xlim=0, ylim=0)


def main(source: Path, folder: Path) -> None:
    """Raises InputError for a file that is no result, KeyError when a section was not measured."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "dredge"  # the same picture is the same file
    from matplotlib import pyplot

    result = read_result(source)
    for name, draw in (("redundancy", redundancy), ("streams", streams)):
        figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
        draw(axes, result[name])
        axes.grid(alpha=0.3)
        axes.legend()
        figure.savefig(folder / f"bench-{name}.svg", metadata={"Date": None})


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))

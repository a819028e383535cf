# SPDX-License-Identifier: BSD-2-Clause
"""Drawings of the results of `dredge bench --json` by redundancy and by streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dredge_host.figures.style import SOFT


def redundancy(figure: Any, document: Mapping[str, Any]) -> None:
    """Draw the CPU time in ms against the length of the redundancy: sender, first 20 ms after a gap, whole gap."""
    axes, rows = figure.subplots(), document["redundancy"]
    length = [row["redundancy_ms"] for row in rows]
    for label, values in (
        ("sender, per packet", [row["cpu_us"]["p50"] for row in rows]),
        ("after a gap as long: first 20 ms", [row["gap"]["first_20_ms"]["cpu_us"]["p50"] for row in rows]),
        ("after a gap as long: all of it", [row["gap"]["whole_gap"]["cpu_us"]["p50"] for row in rows]),
    ):
        axes.plot(length, [value / 1000 for value in values], marker="o", label=label)
    axes.set(xlabel="redundancy, ms", ylabel="CPU, ms (median)", yscale="log", xlim=(0, None))
    axes.legend()


def streams(figure: Any, document: Mapping[str, Any]) -> None:
    """Draw the CPU time in ms per period of 20 ms against the number of streams."""
    axes, rows = figure.subplots(), document["streams"]
    number = [row["streams"] for row in rows]
    for name in ("p50", "p99"):
        axes.plot(number, [row["cpu_us"][name] / 1000 for row in rows], marker="o", label=name)
    axes.axhline(20, color=SOFT, linestyle="--", label="period")
    axes.set(xlabel="streams with 20 % burst loss, one core", ylabel="CPU per 20 ms, ms", xlim=0, ylim=0)
    axes.legend()


DRAWINGS = {"redundancy": redundancy, "streams": streams}

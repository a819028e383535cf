#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Playout delay against recovered share for every policy: a table on stdout, a plot as SVG.

scripts/playout_policies.py [--loss SPEC] [--seconds 60] [--seed 5] [--svg docs/playout.svg]
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from dredge_host.audio import atomic, bundled_clip, read_audio
from dredge_host.settings import Settings, parse_playout
from dredge_host.simulate import simulate

POLICIES = ("fixed:60", "fixed:100", "fixed:200", "fixed:300", "fixed:500", "fixed:700", "fixed:1000",
            "adaptive:300", "adaptive:600", "adaptive:1000")  # fmt: skip
Row = dict[str, float | str]
_LEFT, _TOP, _WIDTH, _HEIGHT = 60, 20, 520, 300


def measure(policy: str, pcm: np.ndarray, loss: str, seed: int) -> Row:
    """One policy: delay in ms, share of the lost packets that DRED filled in %."""
    adaptive, milliseconds = parse_playout(policy)
    settings = replace(Settings(loss=loss, seed=seed), playout_ms=milliseconds, adaptive=adaptive)
    run = simulate(pcm, settings)
    delays = [row[2] for row in run.timeline]
    lost, frames = run.result["loss"]["lost_packets"], run.result["frames"]
    return {
        "policy": policy,
        "mean_ms": float(np.mean(delays)),
        "p95_ms": float(np.percentile(delays, 95)),
        "share_pct": 100 * frames["dred"] / lost,
        "plc": frames["plc"],
        "skipped": frames.get("skipped", 0),
    }


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = ["| policy | mean delay | 95 % below | recovered | predicted | given up |", "|---|---|---|---|---|---|"]
    for row in rows:
        lines.append(
            f"| {row['policy']} | {row['mean_ms']:.0f} ms | {row['p95_ms']:.0f} ms | {row['share_pct']:.1f} % "
            f"| {row['plc']} | {row['skipped']} |"
        )
    return "\n".join(lines)


def svg(rows: list[Row], title: str) -> str:
    """Mean delay to the right, recovered share upwards; the fixed policies joined by a line."""
    fixed = [row for row in rows if str(row["policy"]).startswith("fixed")]
    path = " ".join(f"{_x(row):.1f},{_y(row):.1f}" for row in fixed)
    box = f"0 0 {_LEFT + _WIDTH + 40} {_TOP + _HEIGHT + 60}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" font-family="sans-serif" font-size="12">',
        f'<rect width="100%" height="100%" fill="white"/><text x="{_LEFT}" y="14">{title}</text>',
        *(_line(share) for share in range(0, 101, 20)),
        *(_tick(ms) for ms in range(0, 1001, 200)),
        f'<polyline points="{path}" fill="none" stroke="#1f77b4" stroke-width="2"/>',
        *(_dot(row) for row in rows),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _x(row: Row) -> float:
    return _LEFT + _WIDTH * min(1000.0, float(row["mean_ms"])) / 1000


def _y(row: Row) -> float:
    return _TOP + _HEIGHT * (1 - float(row["share_pct"]) / 100)


def _line(share: int) -> str:
    y = _TOP + _HEIGHT * (1 - share / 100)
    text = f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{share} %</text>'
    return f'<line x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y}" y2="{y}" stroke="#ddd"/>{text}'


def _tick(ms: int) -> str:
    x = _LEFT + _WIDTH * ms / 1000
    return f'<text x="{x}" y="{_TOP + _HEIGHT + 20}" text-anchor="middle">{ms} ms</text>'


def _dot(row: Row) -> str:
    adaptive = str(row["policy"]).startswith("adaptive")
    colour = "#d62728" if adaptive else "#1f77b4"
    x, y = _x(row), _y(row)
    place = f'x="{x + 8}" y="{y + 14}"' if adaptive else f'x="{x + 6}" y="{y - 6}"'
    text = f'<text {place} fill="{colour}">{row["policy"]}</text>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>{text}'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loss", default="gilbert:rate=20%,burst=5")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--svg", type=Path)
    given = parser.parse_args()
    with bundled_clip() as path:
        pcm = np.resize(read_audio(path).pcm, int(16000 * given.seconds))
    rows = []
    for policy in POLICIES:
        rows.append(measure(policy, pcm, given.loss, given.seed))
        print(f"{policy}: {rows[-1]['share_pct']:.1f} %", file=sys.stderr, flush=True)
    print(table(rows))
    if given.svg:
        with atomic(given.svg) as temporary:
            temporary.write_text(svg(rows, f"Recovered share against mean delay, {given.loss}"), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

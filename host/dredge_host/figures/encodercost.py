# SPDX-License-Identifier: BSD-2-Clause
"""The constant cost of the encoder: CPU time of the sender per packet against the length of the redundancy."""

from __future__ import annotations

from typing import Any

from dredge_host.bench.sender import ratio, redundancy_cost
from dredge_host.evaluation.results.document import Document
from dredge_host.evaluation.results.markdown import table
from dredge_host.figures.style import BAD, SOFT
from dredge_host.sending.audio import Pcm

NAME, SCHEMA = "encoder-cost", "dredge.figure.encoder-cost/1"
LENGTHS_S = tuple(round(0.1 * k, 1) for k in range(1, 11))
PACKETS = 400
GOAL = 1.1


def measure(pcm: Pcm, count: int = PACKETS) -> Document:
    """Return the costs of ten senders that encode the same speech packet by packet in turn, so that all of them meet
    the same disturbances.

    Each encodes `count` packets, after one second of history. ratio: median of 1 s to that of 100 ms.
    """
    from dredge_device.pi.machine import Machine

    rows = redundancy_cost(pcm, count, LENGTHS_S)
    return {"schema": SCHEMA, "packets": count, "goal_ratio": GOAL, "ratio": ratio(rows), "rows": rows,
            "machine": Machine().facts()}  # fmt: skip


def draw(figure: Any, document: Document) -> None:
    """Draw the medians relative to 100 ms with the goal above them, and the bytes of redundancy."""
    figure.set_size_inches(7.5, 4)
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
    rows, base = document["rows"], document["rows"][0]["cpu_us"]["p50"]
    length = [row["redundancy_ms"] for row in rows]
    axes.plot(length, [row["cpu_us"]["p50"] / base for row in rows], marker="o", color="#0b6fc2", label="median")
    axes.axhline(document["goal_ratio"], color=BAD, linestyle="--", label=f"goal for 1 s: {document['goal_ratio']:g}")
    axes.set(ylim=(0, 1.25), ylabel="CPU, 1 = 100 ms")
    axes.set_title(f"Sender, CPU per packet: 1 s costs {document['ratio']:.2f} of 100 ms ({base:.0f} µs)")
    axes.legend(loc="lower right")
    below.bar(length, [row["bytes"] for row in rows], width=60, color=SOFT)
    below.set(xlabel="redundancy in every packet, ms", ylabel="bytes")


def markdown(document: Document) -> str:
    """Return one line per length, and the verdict."""
    base = document["rows"][0]["cpu_us"]["p50"]
    rows = [
        [f"{row['redundancy_ms']} ms", f"{row['cpu_us']['p50']:.0f} µs", f"{row['cpu_us']['p95']:.0f} µs",
         f"{row['cpu_us']['p50'] / base:.3f}", f"{row['bytes']:.0f}"]
        for row in document["rows"]
    ]  # fmt: skip
    value, goal = document["ratio"], document["goal_ratio"]
    verdict = "held" if value <= goal else f"missed by {value - goal:.2f}"
    head = ["redundancy", "CPU per packet, median", "p95", "median to 100 ms", "bytes"]
    made = f"{document['packets']} packets each; {document['machine']['cpu']}."
    return f"{table(head, rows)}\n\n1 s costs {value:.2f} times the CPU of 100 ms, goal {goal:g}: {verdict}. {made}"

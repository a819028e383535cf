# SPDX-License-Identifier: BSD-2-Clause
"""Playout delay against recovered share and quality, for each playout policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from dredge_host.evaluation.judging.registry import Measurement
from dredge_host.sending.sender import Packet, Sender
from dredge_host.settings import Settings, parse_playout
from dredge_kernels.arrays import Pcm

POLICIES = (
    "fixed:40", "fixed:60", "fixed:80", "fixed:100", "fixed:140", "fixed:200", "fixed:300", "fixed:500", "fixed:1200",
    "adaptive:60", "adaptive",
)  # fmt: skip
HEAD = ("policy", "mean delay", "95 % below", "recovered", "predicted", "given up")
SCORE = "PLCMOS"


def run_policies(
    pcm: Pcm,
    loss: str,
    seed: int,
    policies: Sequence[str] = POLICIES,
    settings: Settings | None = None,
    progress: Callable[[int, int], None] | None = None,
    score: Callable[[Pcm], float] | None = None,
) -> list[Measurement]:
    """Return one row per playout policy, all with the same losses.

    pcm: int16[n] at 16 kHz; loss: a loss specification; settings: the rest (default: 1 s of DRED). Keys: policy;
    mean_ms, p95_ms: playout delay; lost_packets; recovered_pct: share of them played from redundancy (DRED or LBRR),
    None when nothing was lost; predicted, given_up: packets concealed or never played; plcmos: with `score`, that of
    the output. Raises UsageError for an impossible policy or loss, InputError for empty speech.
    """
    chosen = [(policy, *parse_playout(policy)) for policy in policies]  # refuses a wrong one before the first run
    rows, sent = [], Sent(settings or Settings())
    for done, (policy, adaptive, milliseconds) in enumerate(chosen, 1):
        given = replace(settings or Settings(), loss=loss, seed=seed, playout_ms=milliseconds, adaptive=adaptive)
        rows.append(_measure(policy, pcm, given, sent, score))
        if progress:
            progress(done, len(chosen))
    return rows


class Sent:
    """A sender for several runs with the same speech: the packets that the first one encoded are sent again."""

    def __init__(self, settings: Settings) -> None:
        self._sender = Sender.from_settings(settings)
        self.ssrc, self.first_sequence = self._sender.ssrc, self._sender.first_sequence
        self._packets: list[Packet] = []
        self._next = 0

    @property
    def lookahead(self) -> int:
        """Samples, of the speech encoder."""
        return self._sender.lookahead

    def rewind(self) -> None:
        """Begin again with the first packet."""
        self._next = 0

    def push(self, pcm: Pcm) -> Packet:
        """Return the packet of int16[320]."""
        if self._next == len(self._packets):
            self._packets.append(self._sender.push(pcm))
        self._next += 1
        return self._packets[self._next - 1]


def _measure(
    policy: str, pcm: Pcm, settings: Settings, sent: Sent, score: Callable[[Pcm], float] | None
) -> Measurement:
    from dredge_host.offline.simulate import simulate

    sent.rewind()
    run = simulate(pcm, settings, sender=sent)
    delays = [row[2] / 1000 for row in run.timeline]
    lost, frames = run.result["loss"]["lost_packets"], run.result["frames"]
    return {
        "policy": policy,
        "mean_ms": round(float(np.mean(delays)), 2),
        "p95_ms": round(float(np.percentile(delays, 95)), 2),
        "lost_packets": lost,
        "recovered_pct": round(100.0 * (frames["dred"] + frames["lbrr"]) / lost, 2) if lost else None,
        "predicted": frames["plc"] + frames["conceal"],
        "given_up": frames.get("skipped", 0),
        **({"plcmos": round(score(run.pcm), 3)} if score else {}),
    }


def head(rows: Sequence[Measurement]) -> tuple[str, ...]:
    """Return the titles of `table_rows`."""
    return (*HEAD, SCORE) if any("plcmos" in row for row in rows) else HEAD


def table_rows(rows: Sequence[Measurement]) -> list[list[str]]:
    """Return the rows as text cells under `head`."""
    return [
        [
            row["policy"],
            f"{row['mean_ms']:.0f} ms",
            f"{row['p95_ms']:.0f} ms",
            "–" if row["recovered_pct"] is None else f"{row['recovered_pct']:.1f} %",
            str(row["predicted"]),
            str(row["given_up"]),
            *([f"{row['plcmos']:.2f}"] if "plcmos" in row else []),
        ]
        for row in rows
    ]

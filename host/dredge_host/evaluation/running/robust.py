# SPDX-License-Identifier: BSD-2-Clause
"""`dredge evaluate --robustness`: a check that inputs unlike the training data are not recovered as noise."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dredge_device.pi.output.files import write_bytes
from dredge_device.units import PACKET_SAMPLES
from dredge_host.charts.spectrogram import stacked_png
from dredge_host.evaluation.results.document import RobustResult, RobustRow
from dredge_host.settings import Settings
from dredge_kernels.arrays import Pcm

FLOOR_DBFS = -60.0  # quieter levels count as silence, on both sides of a comparison
AROUND = 2  # packets on either side whose levels in the clean decode count for the comparison
LIMIT_DB = 6.0
DESCRIBED = ("dred", "lbrr")
LOSS = "gilbert:rate=20%,burst=5"
HEAD = ("input", "mode", "recovered", "described", "louder by up to", "quieter by up to", "beyond 6 dB", "verdict")


class Verdict(NamedTuple):
    """The levels of recovered packets against the same packets without loss.

    recovered: packets that were not received, described: those of them that a later packet described; louder_db:
    largest level above the loudest clean packet nearby, of these and of first packets after them; quieter_db: largest
    level of a described packet below the quietest one nearby, of a guess below the quietest of all; over: packets
    beyond LIMIT_DB.
    """

    recovered: int
    described: int
    louder_db: float
    quieter_db: float
    over: int

    @property
    def passed(self) -> bool:
        """No level jumps beyond the limit."""
        return self.over == 0


def compare(played: Pcm, clean: Pcm, sources: Sequence[str]) -> Verdict:
    """Return the levels of the recovered packets against the clean decode around them.

    played, clean: int16[n], aligned; sources: where each whole packet of them came from. Nearby is AROUND packets on
    either side. A packet that no other describes is predicted from outside its gap: there the whole gap is nearby, and
    it may fade as far as the background, the quietest level without loss. The first packet after a gap depends on the
    speech that filled it, and must not be louder either.
    """
    ours, theirs = _levels(played), _levels(clean)
    names = list(sources)[: min(len(ours), len(theirs))]
    background = theirs.min(initial=0.0)
    louder, quieter, over = 0.0, 0.0, 0
    for k, name in enumerate(names):
        if name == "opus" and (k == 0 or names[k - 1] in ("opus", "silence")):
            continue
        described = name in DESCRIBED or name == "opus"
        first, last = (k, k) if described else _gap(names, k)
        near = theirs[max(0, first - AROUND) : last + AROUND + 1]
        lowest = near.min() if described else background
        above, below = float(ours[k] - near.max()), float(lowest - ours[k]) if name != "opus" else 0.0
        louder, quieter = max(louder, above), max(quieter, below)
        over += max(above, below) > LIMIT_DB
    recovered = [name for name in names if name != "opus"]
    return Verdict(len(recovered), sum(name in DESCRIBED for name in recovered), louder, quieter, over)


def _gap(names: Sequence[str], k: int) -> tuple[int, int]:
    """Return the first and last packet of the gap around packet k."""
    first = last = k
    while first > 0 and names[first - 1] != "opus":
        first -= 1
    while last + 1 < len(names) and names[last + 1] != "opus":
        last += 1
    return first, last


def run_case(pcm: Pcm, conceal: str, seed: int = 1) -> tuple[Verdict, Pcm, Pcm]:
    """Return verdict, output and clean decode (both int16[n]) of one input through burst loss."""
    from dredge_host.offline.simulate import simulate

    redundancy = 1.0 if conceal == "dred" else 0.0
    clean = simulate(pcm, Settings(conceal="opus", redundancy_s=0.0))
    lossy = simulate(pcm, Settings(conceal=conceal, redundancy_s=redundancy, loss=LOSS, seed=seed))
    look = lossy.result["alignment"]["opus_lookahead_samples"]
    sources = ["silence"] * lossy.result["packets"]
    for number, source, *_ in lossy.timeline:
        sources[number] = source
    start = PACKET_SAMPLES - look  # packet k of the stream begins look samples before 320 k of the aligned output
    return compare(lossy.pcm[start:], clean.pcm[start:], sources[1:]), lossy.pcm, clean.pcm


def run(
    cases: Mapping[str, Pcm],
    conceal: Sequence[str] = ("dred", "plc"),
    pictures: Path | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> RobustResult:
    """Return a `dredge.robustness/1` document for named inputs, int16[n] at 16 kHz.

    pictures: folder for one PNG per input, spectrograms of the clean decode and of every concealment mode below it.
    """
    rows: list[RobustRow] = []
    started = time.monotonic()
    for done, (name, pcm) in enumerate(cases.items(), 1):
        heard: list[Pcm] = []
        for mode in conceal:
            verdict, played, clean = run_case(pcm, mode)
            rows.append({
                "input": name, "conceal": mode, "described": verdict.described, "recovered": verdict.recovered,
                "louder_db": verdict.louder_db, "quieter_db": verdict.quieter_db, "over": verdict.over,
                "passed": verdict.passed,
            })  # fmt: skip
            heard += [played] if heard else [clean, played]
        if pictures:
            write_bytes(pictures / f"{name}.png", stacked_png(heard))
        if progress:
            progress(done, len(cases), time.monotonic() - started)
    return {"schema": "dredge.robustness/1", "loss": LOSS, "passed": all(r["passed"] for r in rows), "rows": rows}


def table_rows(rows: Sequence[RobustRow]) -> list[list[str]]:
    """Return the rows as text cells under HEAD."""
    return [
        [
            row["input"],
            row["conceal"],
            str(row["recovered"]),
            str(row["described"]),
            f"{row['louder_db']:.1f} dB",
            f"{row['quieter_db']:.1f} dB",
            str(row["over"]),
            "PASS" if row["passed"] else "FAIL",
        ]
        for row in rows
    ]


def _levels(pcm: Pcm) -> NDArray[np.float64]:
    """Return the RMS of every whole packet in dBFS, not below the floor."""
    rows = pcm[: len(pcm) // PACKET_SAMPLES * PACKET_SAMPLES].reshape(-1, PACKET_SAMPLES).astype(np.float64) / 32768.0
    return np.maximum(10.0 * np.log10(np.mean(rows**2, axis=1) + 1e-12), FLOOR_DBFS)


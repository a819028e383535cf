# SPDX-License-Identifier: BSD-2-Clause
"""`dredge evaluate --copy-synthesis`: the distance of a vocoder's output from the speech whose exact features it gets.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from dredge_device.units import FRAME_SAMPLES, SAMPLE_RATE
from dredge_host.errors import UsageError
from dredge_host.evaluation.judging.feature_track import VOICED, active, band_levels, track
from dredge_host.evaluation.judging.registry import METRICS, Measurement
from dredge_host.evaluation.results.document import CopySynthesisResult
from dredge_host.evaluation.results.stats import mean_interval, resamples
from dredge_host.evaluation.results.table import as_dict, cell
from dredge_kernels.arrays import Pcm, Rows
from dredge_models.vocoders import open_vocoder, present

HEAD = ("vocoder", "PLCMOS", "pitch error", "band distance", "level", "clips")


def resynthesise(rows: Rows, model: str) -> Pcm:
    """Return int16[160 n] made of float32[n, 20] by a vocoder that starts from silence."""
    held = np.concatenate((rows[:1], rows[:1], rows, rows[-1:], rows[-1:]))
    speech: Pcm = open_vocoder(model).synthesise(held)
    return speech


def compare(wanted: Rows, got: Rows) -> dict[str, float]:
    """Return the errors of the synthesised speech.

    pitch_error_pct: mean deviation of the pitch where both are voiced; pitch_jumps_pct: share of those frames off by
    more than a third of an octave, which the mean leaves out; band_distance_db: RMS over bands and active frames.
    """
    counted = active(wanted)
    voiced = counted & (wanted[:, 19] > VOICED) & (got[:, 19] > VOICED)
    octaves = np.abs(wanted[voiced, 18] - got[voiced, 18]).astype(np.float64)
    near = octaves[octaves < 1 / 3]
    distance = band_levels(wanted)[counted] - band_levels(got)[counted]
    return {
        "pitch_error_pct": float(100.0 * np.mean(2.0**near - 1.0)) if len(near) else 0.0,
        "pitch_jumps_pct": float(100.0 * (1.0 - len(near) / len(octaves))) if len(octaves) else 0.0,
        "band_distance_db": float(np.sqrt(np.mean(distance**2))),
    }


def loudness_db(pcm: Pcm, reference: Pcm) -> float:
    """Return the level of one signal against another's in dB."""
    power = [float(np.mean(x.astype(np.float64) ** 2)) + 1e-3 for x in (pcm, reference)]
    return 10.0 * float(np.log10(power[0] / power[1]))


def run(
    clips: Sequence[tuple[str, Pcm]],
    models: Sequence[str] = (),
    score: Callable[[Pcm], float] | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> CopySynthesisResult:
    """Return a `dredge.copy-synthesis/1` document for named clips, int16[n] at 16 kHz.

    models: names of dredge_models.vocoders, by default all whose weights are here; score: PLCMOS, left out without one.
    The first row is the recordings themselves. Raises UsageError for a vocoder without weights.
    """
    known = present()
    for name in models:
        if name not in known:
            raise UsageError(f"vocoder '{name}' has no weights here; expected one of {', '.join(known)}")
    started = time.monotonic()
    records: list[Measurement] = []
    for done, (clip, pcm) in enumerate(clips, 1):
        records += _clip(clip, pcm[: len(pcm) // FRAME_SAMPLES * FRAME_SAMPLES], models or known, score)
        if progress:
            progress(done, len(clips), time.monotonic() - started)
    names = ["original", *(models or known)]
    summary = [_row(name, [r for r in records if r["vocoder"] == name]) for name in names]
    return {"schema": "dredge.copy-synthesis/1", "summary": summary, "records": records}


def _clip(
    clip: str, pcm: Pcm, models: Sequence[str], score: Callable[[Pcm], float] | None
) -> list[Measurement]:
    rows = track(pcm)
    heard = {"original": pcm} | {name: resynthesise(rows, name) for name in models}
    records = []
    for name, speech in heard.items():
        record: Measurement = {"clip": clip, "vocoder": name, **compare(rows, track(speech))}
        record["level_db"] = loudness_db(speech, pcm)
        if score:
            record["plcmos"] = score(speech)
        records.append(record)
    return records


def _row(name: str, records: Sequence[Measurement]) -> Measurement:
    row: Measurement = {"vocoder": name, "clips": len(records)}
    for key in ("pitch_error_pct", "pitch_jumps_pct", "band_distance_db", "level_db"):
        row[key] = round(float(np.mean([r[key] for r in records])), 3)
    if all("plcmos" in r for r in records):
        row["plcmos"] = as_dict(mean_interval([r["plcmos"] for r in records], resamples(len(records))))
    return row


def table_rows(summary: Sequence[Measurement]) -> list[list[str]]:
    """Return the summary as text cells under HEAD."""
    return [
        [
            row["vocoder"],
            cell(row.get("plcmos"), METRICS["plcmos"]),
            f"{row['pitch_error_pct']:.2f} %, {row['pitch_jumps_pct']:.1f} % off",
            f"{row['band_distance_db']:.2f} dB",
            f"{row['level_db']:+.2f} dB",
            str(row["clips"]),
        ]
        for row in summary
    ]


def read_clips(paths: Sequence[Path], seconds: float) -> list[tuple[str, Pcm]]:
    """Return the names and samples of speech files, the first `seconds` of each (0: all)."""
    from dredge_host.sending.audio import read_audio

    return [(p.name, read_audio(p).pcm[: int(seconds * SAMPLE_RATE) or None]) for p in paths]

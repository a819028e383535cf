# SPDX-License-Identifier: BSD-2-Clause
"""The metrics of an evaluation.

A new metric of a whole cell is a function of (original, played), int16[n] each at 16 kHz, that returns a score or None
where there is none, and a row of `METRICS`. Options, cache key, tables, charts and documents follow from the row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dredge_device.units import SAMPLE_RATE

# The figures of a cell or a row: those of METRICS that were measured, by name, beside its place and rates.
Measurement = dict[str, Any]
Score = Callable[[NDArray[np.int16], NDArray[np.int16]], float | None]


class Metric(NamedTuple):
    """One figure of an evaluation: its name, its format and its computation."""

    title: str
    what: str
    form: str
    unit: str = ""
    scale: float = 1.0
    heading: str = ""
    axis: str = ""
    load: Callable[[], Score] | None = None
    packages: tuple[str, ...] = ()
    switch: str = ""
    default: bool = True
    weight: str = ""

    def text(self, mean: float, half: float | None = None) -> str:
        """Return a value with its unit, and half of its interval, as text."""
        around = "" if half is None else f" ± {self.scale * half:{self.form}}"
        return f"{self.scale * mean:{self.form}}{around}{self.unit}"


class PlayedOnly:
    """A score that does not look at the original; noise: standard error of one score."""

    def __init__(self, judge: Any) -> None:
        self._judge = judge
        self.noise = judge.noise

    def __call__(self, original: NDArray[np.int16], played: NDArray[np.int16]) -> float | None:
        del original
        return float(self._judge(played))


def _plcmos() -> Score:
    from dredge_host.evaluation.judging.plcmos import Plcmos

    return PlayedOnly(Plcmos())


def _estoi() -> Score:
    from dredge_host.evaluation.judging.metrics import estoi

    return _tried(estoi)


def _pesq() -> Score:
    from dredge_host.evaluation.judging.metrics import pesq

    return _tried(pesq)


def _tried(score: Score) -> Score:
    """Return the score itself after one call, so that a missing package raises now and not hours later."""
    score(np.zeros(SAMPLE_RATE, np.int16), np.zeros(SAMPLE_RATE, np.int16))
    return score


METRICS = {
    "plcmos": Metric(
        "PLCMOS",
        "Estimated listeners' opinion of speech after losses, 1 to 5 (Diener et al., 2022; package speechmos).",
        ".2f",
        load=_plcmos,
        packages=("speechmos", "onnxruntime", "onnx"),
        switch="Score with PLCMOS.",
    ),
    "gap_won_back": Metric(
        "gap won back",
        "(method − classic concealment) / (no loss − classic concealment), by PLCMOS, on the same clips.",
        ".0f",
        " %",
        100.0,
    ),
    "wer": Metric(
        "word errors",
        "Against what the same recogniser hears in the original: what the link took away, in %.",
        ".1f",
        " %",
        100.0,
        heading="Word errors, %",
        axis="% of the words heard in the original",
    ),
    "estoi": Metric(
        "ESTOI",
        "Extended short-time objective intelligibility against the original (Jensen and Taal, 2016), 1 is best.",
        ".3f",
        heading="ESTOI",
        axis="ESTOI against the original, 1 is best",
        load=_estoi,
        packages=("pystoi", "scipy"),
        switch="Score intelligibility with ESTOI.",
    ),
    "pesq": Metric(
        "PESQ",
        "Perceptual evaluation of speech quality against the original, wideband (ITU-T P.862.2), 4.64 is best.",
        ".2f",
        heading="PESQ",
        axis="PESQ against the original, 4.64 is best",
        load=_pesq,
        packages=("pesq",),
        switch="Score with PESQ (dredge extras add judge).",
        default=False,
    ),
    "cepstral_distance_db": Metric(
        "cepstral distance",
        "Of the recovered frames alone, against the same frames decoded without loss.",
        ".2f",
        " dB",
        heading="Cepstral distance of recovered frames, dB",
        axis="dB, recovered frames alone",
        weight="recovered_frames",
    ),
    "pitch_error_pct": Metric(
        "pitch error",
        "Of the voiced recovered frames alone, against the same frames decoded without loss.",
        ".1f",
        " %",
        heading="Pitch error of recovered frames, %",
        axis="%, recovered voiced frames alone",
        weight="recovered_frames",
    ),
}
SCORES = {name: metric for name, metric in METRICS.items() if metric.load is not None}
DEFAULT_SCORES = tuple(name for name, metric in SCORES.items() if metric.default)

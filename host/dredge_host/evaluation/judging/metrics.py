# SPDX-License-Identifier: BSD-2-Clause
"""Quality by PLCMOS (speechmos, an optional package), and how to count word errors."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dredge_device.units import SAMPLE_RATE
from dredge_host.errors import need

Pcm = NDArray[np.int16]


class Plcmos:
    """PLCMOS v2 (Diener et al., Interspeech 2023), repeatable.

    The model averages over raters drawn from NumPy's global generator; here every clip meets the
    raters of the same seed, so that conditions compare like with like. Raises CapabilityError when
    speechmos or its onnxruntime is missing.
    """

    def __init__(self, threads: int = 1) -> None:
        onnxruntime = need("onnxruntime", "PLCMOS")
        self._model: Any = need("speechmos.plcmos", "PLCMOS").PLCMOS()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._model.session = onnxruntime.InferenceSession(
            self._model.model_path, options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, pcm: Pcm, seed: int = 0) -> float:
        """Score 1 to 5 of int16[n] at 16 kHz."""
        state = np.random.get_state()
        np.random.seed(seed)
        try:
            return float(self._model.get_mos(np.asarray(pcm, np.float64) / 32768.0))
        finally:
            np.random.set_state(state)

    def noise(self, pcm: Pcm, seeds: int = 8) -> float:
        """Standard deviation over draws of the raters: what a single unseeded score is worth."""
        return float(np.std([self(pcm, seed) for seed in range(seeds)], ddof=1))


def word_errors(reference: Sequence[str], heard: Sequence[str]) -> int:
    """Fewest substitutions, deletions and insertions between two word lists (Levenshtein 1966)."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            best = min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
            diagonal, row[j] = row[j], best
    return row[-1]


SEGMENT = 6144  # samples in the 384 ms that ESTOI compares at a time


def estoi(reference: Pcm, played: Pcm) -> float | None:
    """Extended short-time objective intelligibility of `played`; 1 = as the reference, 0 = unrelated.

    reference, played: int16[n] at 16 kHz, sample i of one belonging to sample i of the other. Source:
    J. Jensen, C. H. Taal, IEEE/ACM TASLP 24(11), 2016. None when the reference is silent or its speech
    fills no segment of 384 ms. The same input gives the same figure: pystoi draws its tiny noise from
    NumPy's global generator, which is seeded here and put back. Raises ValueError for different
    lengths, CapabilityError without pystoi.
    """
    if len(reference) != len(played):
        raise ValueError(f"played: expected {len(reference)} samples as in the reference, got {len(played)}")
    measure = need("pystoi", "ESTOI").stoi
    if len(reference) < SEGMENT or not np.any(reference):
        return None
    wanted, heard = (np.asarray(pcm, np.float64) / 32768.0 for pcm in (reference, played))
    state = np.random.get_state()
    np.random.seed(0)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Not enough STFT frames", RuntimeWarning)
            return float(measure(wanted, heard, SAMPLE_RATE, extended=True))
    except RuntimeWarning:
        return None
    finally:
        np.random.set_state(state)

# SPDX-License-Identifier: BSD-2-Clause
"""Word errors, intelligibility by ESTOI and quality by PESQ; the last two need optional packages."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from statistics import mean

import numpy as np

from dredge_device.units import SAMPLE_RATE
from dredge_host.errors import need
from dredge_kernels.arrays import Pcm


def word_errors(reference: Sequence[str], heard: Sequence[str]) -> int:
    """Return the fewest substitutions, deletions and insertions between two word lists (Levenshtein 1966)."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            best = min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
            diagonal, row[j] = row[j], best
    return row[-1]


def mean_errors(references: Sequence[Sequence[str]], heard: Sequence[Sequence[str]]) -> float:
    """Return the mean of `word_errors` over pairs of transcripts of the same length of list (recognisers.transcripts).
    """
    return mean([word_errors(reference, words) for reference, words in zip(references, heard, strict=True)])


SEGMENT = 6144  # samples in the 384 ms that ESTOI compares at a time


def estoi(reference: Pcm, played: Pcm) -> float | None:
    """Return the extended short-time objective intelligibility of `played`; 1 = as the reference, 0 = unrelated.

    reference, played: int16[n] at 16 kHz, sample i of one belonging to sample i of the other. Source: J. Jensen, C. H.
    Taal, IEEE/ACM TASLP 24(11), 2016. None when the reference is silent or its speech fills no segment of 384 ms. The
    same input gives the same figure: pystoi draws its tiny noise from NumPy's global generator, which is seeded here
    and restored afterwards. Raises ValueError for different lengths, CapabilityError without pystoi.
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


def pesq(reference: Pcm, played: Pcm) -> float | None:
    """Return the perceptual evaluation of speech quality of `played`, wideband (ITU-T P.862.2): 1 to 4.64.

    reference, played: int16[n] at 16 kHz, sample i of one belonging to sample i of the other. None where it finds no
    speech in either, or less than a quarter of a second of it. Raises ValueError for different lengths, CapabilityError
    without the package pesq.
    """
    if len(reference) != len(played):
        raise ValueError(f"played: expected {len(reference)} samples as in the reference, got {len(played)}")
    package = need("pesq", "PESQ", "judge")
    if not np.any(reference) or not np.any(played):
        return None
    try:
        return float(package.pesq(SAMPLE_RATE, reference, played, "wb"))
    except (package.NoUtterancesError, package.BufferTooShortError):
        return None

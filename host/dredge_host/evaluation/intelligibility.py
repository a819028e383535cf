# SPDX-License-Identifier: BSD-2-Clause
"""ESTOI: how intelligible speech still is, from 0 to 1, by pystoi (an optional package)."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from dredge_host.optional import need

RATE = 16000
SEGMENT = 6144  # samples in the 384 ms that ESTOI compares at a time

Pcm = NDArray[np.int16]


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
            return float(measure(wanted, heard, RATE, extended=True))
    except RuntimeWarning:
        return None
    finally:
        np.random.set_state(state)

# SPDX-License-Identifier: BSD-2-Clause
"""The codec's features of a whole signal, and the band levels, activity and voicing that the metrics use."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dredge_device.units import FRAME_SAMPLES
from dredge_kernels.arrays import Pcm, Rows

DELAY = 80  # frame i of the extractor describes input frame i - 1 (docs/reference/architecture.md)
ACTIVE_DB = 40.0  # frames further below the loudest one do not count
VOICED = 0.1  # correlation feature above which the pitch is meaningful


def track(pcm: Pcm) -> Rows:
    """Return the features of every whole frame of int16[n] at 16 kHz, float32[n // 160, 20]."""
    from dredge_kernels.features import FeatureExtractor

    frames = len(pcm) // FRAME_SAMPLES
    heard = np.zeros((frames + 1) * FRAME_SAMPLES, np.int16)
    heard[DELAY : DELAY + frames * FRAME_SAMPLES] = pcm[: frames * FRAME_SAMPLES]
    return FeatureExtractor().process(heard)[1:]


def band_levels(rows: Rows) -> NDArray[np.float64]:
    """Return the levels of the 18 bands in dB, float64[n, 18] (inverse of the cosine transform behind the cepstrum)."""
    cepstra = rows[:, :18].astype(np.float64)
    cepstra[:, 0] += 4.0
    order, band = np.arange(18), np.arange(18) + 0.5
    basis = np.cos(np.pi / 18 * np.outer(order, band)) * np.sqrt(2 / 18)
    basis[0] *= np.sqrt(0.5)
    return 10.0 * (cepstra @ basis)


def active(rows: Rows) -> NDArray[np.bool_]:
    """Return the frames within ACTIVE_DB of the loudest."""
    level = 10.0 * np.log10(np.sum(10.0 ** (band_levels(rows) / 10.0), axis=1))
    return np.asarray(level > level.max() - ACTIVE_DB)

# SPDX-License-Identifier: BSD-2-Clause
"""The imported FARGAN vocoder, with the interface of vocoder.Vocoder."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dredge_kernels.arrays import Pcm
from dredge_kernels.fargan import PRIMING_ROWS, PRIMING_SAMPLES, Fargan
from dredge_models.modelset import FARGAN_ID, fargan_file
from dredge_models.registry import ModelError

AHEAD = 1                    # rows that the network needs after the frame that it synthesises
CONTEXT = 2                  # rows of context on both sides for `synthesise`

Features = NDArray[np.float32]


def fargan_arrays() -> dict[str, NDArray]:
    """Return the arrays of the imported model. Raises ModelError when there is none, or it is damaged."""
    return fargan_file().arrays()


class FarganVocoder:
    """Speech from features at 16 kHz, one frame of 160 samples per row (paper: arXiv 2405.21069).

    Rows are aligned as for LPCNet (docs/reference/architecture.md): a row describes the middle of its frame. The
    network makes a frame from the row after it, its pitch from the row itself.
    """

    model_id = FARGAN_ID
    level = "int8"

    def __init__(self) -> None:
        """Load the user's model; ModelError when there is none, or it is damaged."""
        try:
            self._net = Fargan(fargan_arrays())
        except ValueError as error:
            raise ModelError(f"{FARGAN_ID}: {error}; import it again: dredge models import") from None

    def reset(self) -> None:
        """Start from silence before the first frame."""
        self._net.reset()

    def begin(self, pcm: Pcm, features: Features, ahead: Features | None = None) -> None:
        """Prime the network with the output so far, so that the next frame continues it.

        pcm: int16 [n >= 320], the output so far; features: float32 [m >= 1, 20], its track, last row = last 10 ms of
        pcm; ahead: float32 [>= 1, 20], the next frames if known (else the last row is repeated). ValueError for other
        shapes.
        """
        if pcm.dtype != np.int16 or pcm.ndim != 1 or len(pcm) < PRIMING_SAMPLES:
            raise ValueError(f"pcm: expected int16 of at least {PRIMING_SAMPLES} samples, "
                             f"got {pcm.dtype} of shape {pcm.shape}")  # fmt: skip
        rows = np.asarray(features, np.float32)
        if rows.ndim != 2 or rows.shape[1] != 20 or not len(rows):
            raise ValueError(f"features: expected shape (m, 20) with m >= 1, got {rows.shape}")
        known = PRIMING_ROWS - AHEAD
        past = np.concatenate([np.repeat(rows[:1], known, 0), rows])[-known:]
        self._net.begin(pcm[-PRIMING_SAMPLES:], np.concatenate([past, rows[-1:] if ahead is None else ahead[:AHEAD]]))

    def synthesise(self, features: Features) -> Pcm:
        """Synthesise int16 [160 k] from float32 [2 + k + 2, 20] (two rows of context on both sides).

        The rows continue those of the last call. Raises ValueError for another shape or values that are not
        finite.
        """
        rows = np.asarray(features, np.float32)
        if rows.ndim != 2 or rows.shape[1] != 20 or len(rows) <= 2 * CONTEXT:
            raise ValueError(f"features: expected shape (k + 4, 20) with k >= 1, got {rows.shape}")
        return self._net.synthesise(rows[CONTEXT + AHEAD : len(rows) - CONTEXT + AHEAD])

    def tail(self, features: Features) -> Pcm:
        """Synthesise the last int16 [160] of a gap from float32 [5, 20]; errors as `synthesise`."""
        return self.synthesise(features)

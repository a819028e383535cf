# SPDX-License-Identifier: BSD-2-Clause
"""The LPCNet vocoder as an object that continues decoded speech by speech synthesised from features.

LPCNet runs one frame ahead of the returned samples, because the postfilter needs the next frame.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from dredge_kernels.arrays import Pcm
from dredge_kernels.lpcnet import CONTEXT, HOP, Lpcnet, Weights, simd_level
from dredge_kernels.postfilter import Postfilter
from dredge_models.registry import weight_file

DEFAULT_MODEL = "standard"
PRIMING = 3  # frames of excitation history: the longest pitch period (256 samples) before the network starts
FORCED = HOP  # samples at the end of the priming along which the network runs first, from its state after the last gap
RISE = np.linspace(0, 1, HOP, endpoint=False, dtype=np.float32)  # from the bare network to the postfilter

Features = NDArray[np.float32]


@cache
def vocoder_arrays(model: str) -> dict[str, NDArray]:
    """Return the arrays of a shipped vocoder. Raises ModelError when they are missing or damaged."""
    return weight_file(f"vocoder_{model}.npz").arrays()


@cache
def _packed(model: str, level: str) -> Weights:
    return Weights(vocoder_arrays(model), level)


def weights(model: str = DEFAULT_MODEL, level: str | None = None) -> Weights:
    """Return a shipped vocoder's packed weights, read-only, which all vocoders of this process share. Errors as
    Vocoder's.
    """
    return _packed(model, level or simd_level())


def _last_rows(features: Features, n: int) -> Features:
    """Return the last n rows; a shorter track is continued backwards with its first row."""
    rows = np.asarray(features, np.float32)
    if rows.ndim != 2 or rows.shape[1] != 20 or not len(rows):
        raise ValueError(f"features: expected shape (m, 20) with m >= 1, got {rows.shape}")
    missing = n - len(rows)
    return rows[-n:] if missing <= 0 else np.concatenate([np.repeat(rows[:1], missing, 0), rows])


class Vocoder:
    """Speech from features at 16 kHz, one frame of 160 samples per row (paper: arXiv 1810.11846).

    Frames are aligned so that a row describes exactly its 160 output samples (docs/reference/architecture.md). One
    thread at a time may use an object; all objects share one copy of the weights (``weights``).
    """

    LOOK_AHEAD = CONTEXT
    LOOK_BACK = CONTEXT

    def __init__(self, model: str = DEFAULT_MODEL, seed: int = 1, level: str | None = None) -> None:
        """Load the weights, once per process.

        model: a shipped size; level: a SIMD level, the fastest by default. Raises ModelError (weights missing or
        damaged) and ValueError (level not available).
        """
        self._net = Lpcnet(weights(model, level))
        self._postfilter = Postfilter()
        self.model_id = f"lpcnet-{model}"
        self._seed = seed
        self.reset()

    @property
    def level(self) -> str:
        """SIMD level in use."""
        return self._net.level

    def reset(self) -> None:
        """Start from silence before the first frame; the random generator restarts."""
        self._net.reset(self._seed)
        self._postfilter.reset()
        self._waiting: Pcm | None = None  # the frame synthesised ahead
        self._rising = False  # the next output is the first after the priming

    def begin(self, pcm: Pcm, features: Features, ahead: Features | None = None) -> None:
        """Prime the vocoder with the output so far, so that the next frame continues it.

        pcm: int16 [n >= 480], the output so far; features: float32 [m, 20], its track, last row = last 10 ms of pcm;
        ahead: float32 [2, 20], the next two frames if known (else the last row is repeated).
        Raises ValueError on shorter or differently shaped input.
        """
        need = PRIMING * HOP
        if pcm.dtype != np.int16 or pcm.ndim != 1 or len(pcm) < need:
            raise ValueError(f"pcm: expected int16 of at least {need} samples, got {pcm.dtype} of shape {pcm.shape}")
        past = _last_rows(features, PRIMING + CONTEXT)
        rows = np.concatenate([past, np.repeat(past[-1:], CONTEXT, 0) if ahead is None else ahead[:CONTEXT]])
        x = np.ascontiguousarray(pcm[-need:])
        self._net.force(rows, x, FORCED)
        self._postfilter.prime(x, past[-1:])
        self._waiting, self._rising = None, True

    def synthesise(self, features: Features) -> Pcm:
        """Synthesise int16 [160 k] from float32 [2 + k + 2, 20] (two rows of context on both sides).

        The rows continue those of the last call. Raises ValueError for another shape or values that are not
        finite.
        """
        rows = np.asarray(features, np.float32)
        if rows.ndim != 2 or rows.shape[1] != 20 or len(rows) <= 2 * CONTEXT:
            raise ValueError(f"features: expected shape (k + 4, 20) with k >= 1, got {rows.shape}")
        rows = np.concatenate([rows, rows[-1:]])
        first = self._start(rows) if self._waiting is None else self._waiting
        bare = self._net.synthesise(rows[1:])
        shaped = self._postfilter.process(bare, rows[CONTEXT + 1 : -CONTEXT])
        self._waiting = bare[-HOP:]
        if self._rising:
            shaped[:HOP] = np.rint(shaped[:HOP] * RISE + first * (1 - RISE)).astype(np.int16)
            self._rising = False
        return shaped

    def tail(self, features: Features) -> Pcm:
        """Synthesise the last int16 [160] from float32 [5, 20], rows as for ``synthesise``; only ``begin`` may follow.

        They are faded out under decoded speech, so the frame synthesised ahead suffices. Errors as ``synthesise``.
        """
        if self._waiting is None:
            return self.synthesise(features)
        return self._postfilter.finish(np.asarray(features, np.float32)[CONTEXT + 1 : -CONTEXT + 1])

    def _start(self, rows: Features) -> Pcm:
        """Return the very first frame; the postfilter's state comes from the output before it."""
        first = self._net.synthesise(rows[: 2 * CONTEXT + 1])
        self._postfilter.process(first, rows[CONTEXT : CONTEXT + 1])
        return first

# SPDX-License-Identifier: BSD-2-Clause
"""Means with confidence intervals over clips; the same resampled clips for every condition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
ROUNDS = 4000


class Interval(NamedTuple):
    """An estimate with its 95 % interval (percentile bootstrap, Efron 1979)."""

    mean: float
    low: float
    high: float

    @property
    def half(self) -> float:
        return (self.high - self.low) / 2.0


def resamples(clips: int, seed: int = 1, rounds: int = ROUNDS) -> NDArray[np.int64]:
    """Return the clips that each bootstrap round draws, int64[rounds, clips]."""
    return np.random.default_rng(seed).integers(0, clips, (rounds, clips))


def _interval(estimate: float, rounds: Values) -> Interval:
    finite = rounds[np.isfinite(rounds)]
    if len(finite) == 0:
        return Interval(estimate, estimate, estimate)
    low, high = np.percentile(finite, [2.5, 97.5])
    return Interval(estimate, float(low), float(high))


def mean_interval(values: Sequence[float], draws: NDArray[np.int64]) -> Interval:
    """Return the mean of one value per clip with its interval. Raises ValueError for draws of another number of clips.
    """
    array = _checked(values, draws)
    return _interval(float(array.mean()), array[draws].mean(axis=1))


def ratio_interval(parts: Sequence[float], wholes: Sequence[float], draws: NDArray[np.int64]) -> Interval:
    """Return the sum of parts over the sum of wholes (pooled word error rate), clips resampled together."""
    top, bottom = _checked(parts, draws), _checked(wholes, draws)
    with np.errstate(divide="ignore", invalid="ignore"):
        rounds = top[draws].sum(axis=1) / bottom[draws].sum(axis=1)
    total = float(bottom.sum())
    return _interval(float(top.sum()) / total if total else float("nan"), rounds)


def share_interval(
    values: Sequence[float],
    worst: Sequence[float],
    best: Sequence[float],
    draws: NDArray[np.int64],
) -> Interval:
    """Return the share of the gap from `worst` to `best` that `values` wins back, clips paired."""
    middle, low, high = (_checked(v, draws) for v in (values, worst, best))
    gap = float(high.mean() - low.mean())
    with np.errstate(divide="ignore", invalid="ignore"):
        rounds = (middle - low)[draws].mean(axis=1) / (high - low)[draws].mean(axis=1)
    return _interval(float(middle.mean() - low.mean()) / gap if gap else float("nan"), rounds)


def _checked(values: Sequence[float], draws: NDArray[np.int64]) -> Values:
    array = np.asarray(values, np.float64)
    if array.shape != (draws.shape[1],):
        raise ValueError(f"expected {draws.shape[1]} values, one per clip, got {array.shape}")
    return array

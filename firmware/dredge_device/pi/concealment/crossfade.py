# SPDX-License-Identifier: BSD-2-Clause
"""Joining two pieces of speech without a click."""

import numpy as np
from numpy.typing import NDArray

from dredge_device.pi.interfaces import Pcm

RELEASE = 80  # 5 ms


def _rise(count: int) -> NDArray[np.float64]:
    """Raised cosine from just above 0 to just below 1."""
    return 0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / count)


def correlation(a: Pcm, b: Pcm) -> float:
    """Normalised correlation of two equally long pieces, -1 to 1; 0 if one is silent."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    power = float(x @ x) * float(y @ y)
    return float(x @ y) / float(np.sqrt(power)) if power > 0 else 0.0


def cross_fade(old: Pcm, new: Pcm) -> Pcm:
    """From old to new over their common length.

    Two pieces that agree are mixed with gains that add up to one; the less they agree, the more
    the gains approach equal power, so that the loudness neither dips nor bulges in between.
    """
    rise = _rise(len(old))
    agree = max(0.0, correlation(old, new))
    norm = np.sqrt((1 - rise) ** 2 + rise**2 + 2 * agree * rise * (1 - rise))
    mixed = (old * (1 - rise) + new * rise) / norm
    return np.clip(np.rint(mixed), -32768, 32767).astype(np.int16)


def fade_in(pcm: Pcm, count: int = RELEASE) -> Pcm:
    """A copy of pcm whose first samples rise from zero."""
    out = pcm.copy()
    out[:count] = np.rint(pcm[:count] * _rise(len(pcm[:count]))).astype(np.int16)
    return out


def fade_out(pcm: Pcm) -> Pcm:
    """A copy of pcm that falls to zero over its whole length."""
    return np.rint(pcm * (1 - _rise(len(pcm)))).astype(np.int16)


def bend(last: int, pcm: Pcm) -> Pcm:
    """A copy of pcm that starts at the level where the output stopped; the difference dies within 5 ms."""
    out = pcm.astype(np.float64)
    out[:RELEASE] += (last - out[0]) * (1 - _rise(RELEASE))
    return np.clip(np.rint(out), -32768, 32767).astype(np.int16)


def release(last: int, samples: int = 320) -> Pcm:
    """Silence that starts at the level where the output stopped and lets it die within 5 ms."""
    out = np.zeros(samples, np.int16)
    out[:RELEASE] = np.rint(last * (1 - _rise(RELEASE))).astype(np.int16)
    return out

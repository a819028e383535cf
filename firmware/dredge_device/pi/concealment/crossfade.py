# SPDX-License-Identifier: BSD-2-Clause
"""Cross-fades, which join two pieces of speech without a click."""

import math
from enum import Enum, auto
from functools import cache

import numpy as np
from numpy.typing import NDArray

from dredge_device.pi.interfaces import Pcm
from dredge_device.units import FRAME_SAMPLES

RELEASE = 80  # 5 ms


Gains = NDArray[np.float64]


@cache
def _rise(count: int) -> Gains:
    """Return a raised cosine from just above 0 to just below 1, read-only."""
    return _kept(0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / count))


@cache
def _both(count: int) -> tuple[Gains, Gains, Gains]:
    """Return the gains of what ends and of what begins, and the sum of their squares, read-only."""
    rise = _rise(count)
    return _kept(1 - rise), rise, _kept((1 - rise) ** 2 + rise**2)


def _kept(gains: Gains) -> Gains:
    gains.flags.writeable = False
    return gains


def correlation(a: Pcm, b: Pcm) -> float:
    """Return the normalised correlation of two equally long pieces, -1 to 1; 0 if one is silent."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    power = float(x @ x) * float(y @ y)
    return float(x @ y) / math.sqrt(power) if power > 0 else 0.0


def cross_fade(old: Pcm, new: Pcm) -> Pcm:
    """Return a cross-fade from old to new over their common length.

    Two pieces that agree are mixed with gains that add up to one; the less they agree, the more the gains approach
    equal power, so that the loudness neither dips nor bulges in between.
    """
    fall, rise, squares = _both(len(old))
    agree = max(0.0, correlation(old, new))
    mixed = (old * fall + new * rise) / np.sqrt(squares + 2 * agree * rise * fall)
    return np.minimum(np.maximum(np.rint(mixed), -32768), 32767).astype(np.int16)


def fade_in(pcm: Pcm, count: int = RELEASE) -> Pcm:
    """Return a copy of pcm whose first samples rise from zero."""
    out = pcm.copy()
    out[:count] = np.rint(pcm[:count] * _rise(len(pcm[:count]))).astype(np.int16)
    return out


def declick(last: int, pcm: Pcm) -> Pcm:
    """Return a copy of pcm that starts at the level where the output stopped; the difference decays within 5 ms."""
    out = pcm.astype(np.float64)
    out[:RELEASE] += (last - out[0]) * (1 - _rise(RELEASE))
    return np.clip(np.rint(out), -32768, 32767).astype(np.int16)


def release(last: int, samples: int = 320) -> Pcm:
    """Return silence that starts at the level where the output stopped and decays within 5 ms."""
    out = np.zeros(samples, np.int16)
    out[:RELEASE] = np.rint(last * (1 - _rise(RELEASE))).astype(np.int16)
    return out


class State(Enum):
    """The kind of the last output, which decides how the next one joins it."""

    FRESH = auto()  # nothing since the decoder started
    DECODING = auto()  # the decoder's output: received, repeated, comfort noise, or its own concealment
    SYNTHESISING = auto()  # the vocoder, from rows of a packet or interpolated between both sides of the gap
    PREDICTING = auto()  # the vocoder, from predicted rows
    CUT = auto()  # the vocoder, which was stopped in the middle of a gap
    MUTED = auto()  # silence; the next output is faded in
    BACKGROUND = auto()  # noise like the background: speech has faded


SYNTHESIS = (State.SYNTHESISING, State.PREDICTING)


class Transition:
    """The last output, and the transition to the next one."""

    def __init__(self) -> None:
        self.state = State.FRESH
        self.undescribed = 0  # consecutive lost packets that no packet describes
        self.tail: Pcm | None = None  # 10 ms of vocoder or background for the cross-fade to the next output
        self._last = 0  # last output sample

    @property
    def synthesising(self) -> bool:
        """True while the vocoder synthesises: in a gap, or before the first packet after one."""
        return self.state in SYNTHESIS

    def restart(self) -> None:
        """Forget the last output, since a new sender begins."""
        self.state, self.undescribed, self.tail = State.FRESH, 0, None

    def silence(self) -> Pcm:
        """Return 20 ms in which no stream is playing."""
        pcm = release(self._last)
        self._last = 0
        if self.state is not State.FRESH:
            self.state = State.MUTED
        return pcm

    def decoded(self, pcm: Pcm) -> Pcm:
        """Return the decoder's int16[320] joined to what came before."""
        self.undescribed = 0
        pcm = self._risen(pcm)
        self.state = State.DECODING
        return pcm

    def synthesised(self, pcm: Pcm, predicted: bool) -> Pcm:
        """Return the vocoder's int16[320] joined to what came before."""
        pcm = self._risen(pcm)
        self.state = State.PREDICTING if predicted else State.SYNTHESISING
        return pcm

    def _risen(self, pcm: Pcm) -> Pcm:
        """Return pcm joined to another kind of output: by a cross-fade with its tail, or by a fade-in from silence."""
        if self.tail is not None:
            pcm = pcm.copy()
            pcm[:FRAME_SAMPLES] = cross_fade(self.tail, pcm[:FRAME_SAMPLES])
            self.tail = None
        elif self.state is State.MUTED:
            pcm = fade_in(pcm)
        return pcm

    def ended(self, pcm: Pcm, cut: bool) -> Pcm:
        """Return pcm, after a cut joined to the sample at which the vocoder was stopped."""
        if cut:
            pcm = declick(self._last, pcm)
        self._last = int(pcm[-1])
        return pcm

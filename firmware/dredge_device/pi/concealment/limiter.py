# SPDX-License-Identifier: BSD-2-Clause
"""A limiter for predicted speech, because a vocoder on predicted rows can become louder for a moment."""

import math

import numpy as np

from dredge_device.pi.interfaces import Pcm
from dredge_device.units import PACKET_SAMPLES

MARGIN = 10 ** (4 / 20)  # allowed rise above the loudest known 20 ms
FLOOR = 33.0  # -60 dBFS: the limit is never lower, so that silence before the gap does not mute it
RAMP = 80  # 5 ms from one gain to the next


class Limiter:
    """The limit of one gap, and the gain that enforces it."""

    def __init__(self) -> None:
        self._limit = np.inf
        self._gain = 1.0

    def open(self, before: Pcm) -> None:
        """Begin a gap after int16[640] of output."""
        loudest = max(rms(before[:PACKET_SAMPLES]), rms(before[PACKET_SAMPLES:]))
        self._limit = MARGIN * max(loudest, FLOOR)
        self._gain = 1.0

    def hold(self, pcm: Pcm, predicted: bool) -> Pcm:
        """Return int16[320] of the gap, limited; rows that are not predicted raise the limit."""
        loud = rms(pcm)
        if not predicted:
            self._limit = max(self._limit, MARGIN * loud)
        return self._turned(pcm, min(1.0, self._limit / max(loud, 1.0)))

    def release(self, pcm: Pcm) -> Pcm:
        """Return the last samples of a gap, with the gain returned to 1."""
        return self._turned(pcm, 1.0)

    def _turned(self, pcm: Pcm, gain: float) -> Pcm:
        before, self._gain = self._gain, gain
        if before == gain == 1.0:
            return pcm
        curve = np.full(len(pcm), gain)
        curve[:RAMP] = np.linspace(before, gain, RAMP)
        return np.rint(pcm * curve).astype(np.int16)


def rms(pcm: Pcm) -> float:
    """Return the root mean square of int16 samples; 0 of none."""
    wide = pcm.astype(np.float64)
    return math.sqrt(float(wide @ wide) / (len(wide) or 1))

# SPDX-License-Identifier: BSD-2-Clause
"""A queue of a signal parallel to the receiver's speech, shortened and lengthened with it."""

import numpy as np

from dredge_device.pi.concealment.time_stretch import FADE, OVERLAP
from dredge_device.pi.interfaces import Pcm
from dredge_device.units import PACKET_SAMPLES


class SideQueue:
    """int16[n * scale, channels] for n samples of speech; positions and lengths are those of the speech."""

    def __init__(self, scale: int, channels: int) -> None:
        self._scale = scale
        self._queue = np.zeros((0, channels), np.int16)
        self._fade = np.repeat(FADE, scale)[:, None]

    def push(self, pcm: Pcm) -> None:
        """Append samples."""
        self._queue = np.concatenate((self._queue, pcm))

    def pop(self) -> Pcm:
        """Return the samples of 20 ms, filled up with zeros."""
        wanted = PACKET_SAMPLES * self._scale
        out, self._queue = self._queue[:wanted], self._queue[wanted:]
        return out if len(out) == wanted else np.pad(out, ((0, wanted - len(out)), (0, 0)))

    def clear(self) -> None:
        """Forget the waiting samples."""
        self._queue = self._queue[:0]

    def shorten(self, lag: int) -> None:
        """Remove the first ``lag`` samples, with a cross-fade."""
        at, over = lag * self._scale, OVERLAP * self._scale
        mixed = self._mix(self._queue[:over], self._queue[at : at + over])
        self._queue = np.concatenate((mixed, self._queue[at + over :]))

    def lengthen(self, lag: int) -> None:
        """Repeat the first ``lag`` samples, with a cross-fade."""
        at, over = lag * self._scale, OVERLAP * self._scale
        mixed = self._mix(self._queue[at : at + over], self._queue[:over])
        self._queue = np.concatenate((self._queue[:at], mixed, self._queue[over:]))

    def _mix(self, old: Pcm, new: Pcm) -> Pcm:
        return np.rint(old * (1 - self._fade) + new * self._fade).astype(np.int16)

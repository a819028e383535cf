# SPDX-License-Identifier: BSD-2-Clause
"""What goes beside the receiver's speech while that is shortened and lengthened."""

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
        """At the end."""
        self._queue = np.concatenate((self._queue, pcm))

    def pop(self) -> Pcm:
        """What belongs to 20 ms, filled up with zeros."""
        wanted = PACKET_SAMPLES * self._scale
        out, self._queue = self._queue[:wanted], self._queue[wanted:]
        return out if len(out) == wanted else np.pad(out, ((0, wanted - len(out)), (0, 0)))

    def clear(self) -> None:
        """Forget what waits."""
        self._queue = self._queue[:0]

    def shorten(self, lag: int) -> None:
        """The first ``lag`` samples are left out, with a cross-fade."""
        at, over = lag * self._scale, OVERLAP * self._scale
        mixed = self._mix(self._queue[:over], self._queue[at : at + over])
        self._queue = np.concatenate((mixed, self._queue[at + over :]))

    def lengthen(self, lag: int) -> None:
        """The first ``lag`` samples are repeated, with a cross-fade."""
        at, over = lag * self._scale, OVERLAP * self._scale
        mixed = self._mix(self._queue[at : at + over], self._queue[:over])
        self._queue = np.concatenate((self._queue[:at], mixed, self._queue[over:]))

    def _mix(self, old: Pcm, new: Pcm) -> Pcm:
        return np.rint(old * (1 - self._fade) + new * self._fade).astype(np.int16)

# SPDX-License-Identifier: BSD-2-Clause
"""Time stretch: it shortens or lengthens speech without clicks and without a change of pitch.

It is waveform similarity overlap-add (Verhelst and Roelands, ICASSP 1993), one pitch period at a time.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dredge_device.pi.concealment.limiter import rms
from dredge_device.pi.interfaces import Pcm
from dredge_device.units import PACKET_SAMPLES

OVERLAP = 160  # 10 ms of cross-fade
MIN_LAG, MAX_LAG = 40, 240  # 2.5 to 15 ms: pitch of 67 to 400 Hz
_SIMILAR = 0.6  # normalised correlation above which two pitch periods are taken for the same sound
_SHARE = 4  # speech is played at most 1 + 1/4 times as fast
_CREDIT = 320
_NOTHING = np.zeros(0, np.int16)
FADE = 0.5 - 0.5 * np.cos(np.pi * (np.arange(OVERLAP) + 0.5) / OVERLAP)


class Beside(Protocol):
    """A queue parallel to the speech that is changed at the same places."""

    def shorten(self, lag: int) -> None: ...
    def lengthen(self, lag: int) -> None: ...
    def clear(self) -> None: ...


class TimeStretch:
    """A queue of samples from which pitch periods can be taken out, or repeated; ``beside`` is changed likewise."""

    def __init__(self, beside: Beside | None = None) -> None:
        self._beside = beside
        self._queue = _NOTHING
        self._credit = 0
        self._level = 0.0  # running level of speech, to detect pauses
        self.removed = 0
        self.inserted = 0

    @property
    def queued(self) -> int:
        """The number of waiting samples."""
        return len(self._queue)

    def push(self, pcm: Pcm) -> None:
        """Append samples to the queue."""
        self._queue = np.concatenate((self._queue, pcm)) if len(self._queue) else pcm

    def pop(self) -> Pcm:
        """Return int16[320] from the front, filled up with zeros if there are fewer."""
        if len(self._queue) == PACKET_SAMPLES:
            out, self._queue = self._queue, _NOTHING
        else:
            out, self._queue = self._queue[:PACKET_SAMPLES], self._queue[PACKET_SAMPLES:]
        self._credit = min(_CREDIT, self._credit + PACKET_SAMPLES // _SHARE)
        self._level = max(rms(out), 0.99 * self._level)
        if len(out) < PACKET_SAMPLES:
            out = np.concatenate((out, np.zeros(PACKET_SAMPLES - len(out), np.int16)))
        return out

    def clear(self) -> None:
        """Forget the waiting samples."""
        self._queue = _NOTHING
        if self._beside:
            self._beside.clear()

    def shorten(self, urgent: bool = True) -> int:
        """Take one pitch period out of the queue, keeping at least 20 ms; return the samples removed, or 0.

        In a pause as much as possible is removed; from speech only with `urgent`, and at most up to 1.25 times its
        speed.
        """
        room = self.queued - PACKET_SAMPLES
        pause = self._pause()
        if not pause and not urgent:
            return 0
        longest = min(MAX_LAG, room if pause else min(room, self._credit))
        lag = self._best_lag(longest, pause)
        if not lag:
            return 0
        head, rest = self._queue[:OVERLAP], self._queue[lag:]
        self._queue = np.concatenate((_mix(head, rest[:OVERLAP]), rest[OVERLAP:]))
        self._credit = max(0, self._credit - lag)
        self.removed += lag
        if self._beside:
            self._beside.shorten(lag)
        return lag

    def lengthen(self, urgent: bool = True) -> int:
        """Repeat one pitch period; return the samples added, or 0. urgent: in speech as well, not only in a pause."""
        pause = self._pause()
        if not pause and not urgent:
            return 0
        lag = self._best_lag(min(MAX_LAG, self.queued - OVERLAP, self._credit), pause)
        if not lag:
            return 0
        again = _mix(self._queue[lag : lag + OVERLAP], self._queue[:OVERLAP])
        self._queue = np.concatenate((self._queue[:lag], again, self._queue[OVERLAP:]))
        self._credit = max(0, self._credit - lag)
        self.inserted += lag
        if self._beside:
            self._beside.lengthen(lag)
        return lag

    def _pause(self) -> bool:
        return rms(self._queue[:PACKET_SAMPLES]) <= max(30.0, self._level / 12)

    def _best_lag(self, longest: int, pause: bool) -> int:
        """Return the lag at which the speech repeats itself best; 0 if it does not, or there is no room."""
        longest = min(longest, self.queued - OVERLAP)
        if longest < MIN_LAG:
            return 0
        if pause:
            return longest
        signal = self._queue[: longest + OVERLAP].astype(np.float64)
        head, tail = signal[:OVERLAP], signal[MIN_LAG:]
        power = np.concatenate(([0.0], np.cumsum(tail**2)))
        norm = np.sqrt(float(head @ head) * (power[OVERLAP:] - power[:-OVERLAP]) + 1.0)
        similar = np.correlate(tail, head, "valid") / norm
        best = int(np.argmax(similar))
        return MIN_LAG + best if similar[best] >= _SIMILAR else 0


def _mix(old: Pcm, new: Pcm) -> Pcm:
    mixed: NDArray[np.float64] = old * (1 - FADE) + new * FADE
    return np.rint(mixed).astype(np.int16)

# SPDX-License-Identifier: BSD-2-Clause
"""What was played lately: samples, and the feature row of every 10 ms frame."""

import math

import numpy as np

from dredge_device.pi.interfaces import Extractor, Pcm, Rows
from dredge_device.units import FRAME_SAMPLES

DELAY = 80  # the extractor hears the output this late; its frame i is then output frame i - 1
KEEP_SAMPLES = 1280
CONTEXT_SAMPLES = 640
KEEP_ROWS = 8
_WARM_UP = 8 * FRAME_SAMPLES
_FORGET = 0.01  # c0 per frame: the background estimate follows a louder one in seconds


class History:
    """Feeds the receiver's own extractor and keeps the last 80 ms of output and 8 feature rows.

    Frames are counted from 0 in the order of output. Rows of synthesised frames are the ones the
    vocoder was given (``append(pcm, rows)``); the extractor's rows stand for all others.
    """

    def __init__(self, extractor: Extractor) -> None:
        self._extractor = extractor
        self._begin()

    def clear(self) -> None:
        """As before the first frame: what follows is another stream."""
        self._extractor.reset()
        self._begin()

    def _begin(self) -> None:
        self._pcm = np.zeros(KEEP_SAMPLES, np.int16)
        # Silence first, so that a gap right at the start has rows to continue from.
        warm = self._extractor.process(np.zeros(_WARM_UP, np.int16))
        self._rows: list[Rows] = [np.array(row, np.float32) for row in warm[-KEEP_ROWS:]]
        self._pending = np.zeros(DELAY, np.int16)
        self._skip = 0  # samples of the next output that the extractor has heard as a guess
        self._extracted = -1  # output frame that the extractor's next row describes
        self._known = 0  # frames that have a row
        self._played = 0  # frames played
        self.background = math.inf  # c0 of the quietest frame lately

    @property
    def samples(self) -> Pcm:
        """The last output, int16[1280]."""
        return self._pcm

    def append(self, pcm: Pcm, rows: Rows | None = None) -> list[Rows]:
        """Play int16[320]; rows float32[2, 20] if it was synthesised. Returns newly known rows.

        Of a real packet the last frame's row becomes known with the next packet (or
        ``complete``), because the extractor needs 80 samples more.
        """
        self._pcm = np.concatenate((self._pcm, pcm))[-KEEP_SAMPLES:]
        first = self._played
        self._played += len(pcm) // FRAME_SAMPLES
        given: list[Rows] = []
        if rows is not None:
            given = [self._put(first + i, row) for i, row in enumerate(rows)]
        heard = self._hear(pcm[self._skip :])
        self._skip = 0
        return given or heard

    def complete(self, guess: Pcm) -> list[Rows]:
        """The missing row of the last frame, with int16[80] of extrapolation after the output."""
        if self._skip:
            return []
        self._skip = DELAY
        return self._hear(guess[:DELAY])

    def context(self) -> tuple[Pcm, Rows]:
        """The last samples, int16[640], and rows, float32[8, 20], both ending with the output.

        A last row that is not known yet repeats the one before.
        """
        missing = self._played - self._known
        rows = self._rows + self._rows[-1:] * missing
        return self._pcm[-CONTEXT_SAMPLES:], np.stack(rows[-KEEP_ROWS:])

    def _hear(self, pcm: Pcm) -> list[Rows]:
        self._pending = np.concatenate((self._pending, pcm))
        ready = len(self._pending) // FRAME_SAMPLES * FRAME_SAMPLES
        heard = np.ascontiguousarray(self._pending[:ready])
        self._pending = self._pending[ready:]
        new: list[Rows] = []
        if ready:
            for row in self._extractor.process(heard):
                frame = self._extracted
                self._extracted += 1
                if frame >= self._known:
                    new.append(self._put(frame, row))
        return new

    def _put(self, frame: int, row: Rows) -> Rows:
        while self._known < frame:  # a frame nobody described: as the one before
            self._rows.append(self._rows[-1])
            self._known += 1
        copy = np.array(row, np.float32)
        self._rows = [*self._rows, copy][-KEEP_ROWS:]
        self._known = frame + 1
        self.background = min(self.background + _FORGET, float(copy[0]))
        return copy

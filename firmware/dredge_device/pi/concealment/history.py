# SPDX-License-Identifier: BSD-2-Clause
"""What was played lately: samples, and the feature row of every 10 ms frame, extracted when a gap needs it."""

import math
from collections import deque
from itertools import islice

import numpy as np

from dredge_device.pi.interfaces import Extractor, Pcm, Rows
from dredge_device.units import FRAME_SAMPLES, PACKET_SAMPLES

DELAY = 80  # an extractor's frame is centred this much after the output frame that it stands for
CONTEXT_PACKETS = 2
CONTEXT_ROWS = 4  # what a vocoder is primed with
LEARNT = 16  # rows from which the predictor goes on: with more it predicts no better
WARM_UP = 4  # frames before the first one that is used: then cepstra and pitch are those of an extractor that heard all
KEEP_FRAMES = LEARNT + WARM_UP
KEEP_PACKETS = KEEP_FRAMES * FRAME_SAMPLES // PACKET_SAMPLES
_FRAMES = PACKET_SAMPLES // FRAME_SAMPLES
_QUIET_EVERY = 20  # frames between two looks at the level
_FORGET = 0.01  # c0 per frame: the background estimate follows a louder one in seconds


class History:
    """Keeps the last 200 ms of output.

    Rows of synthesised frames are the ones the vocoder was given (``append(pcm, rows)``); the extractor's rows stand
    for all others. It hears the output only when somebody asks for such rows, from 40 ms before them on.
    """

    def __init__(self, extractor: Extractor) -> None:
        self._extractor = extractor
        self.clear()

    def clear(self) -> None:
        """As before the first frame: what follows is another stream. Silence is what a gap at the start continues."""
        self._packets = deque([np.zeros(PACKET_SAMPLES, np.int16)] * KEEP_PACKETS, KEEP_PACKETS)
        self._rows: list[Rows | None] = [None] * KEEP_FRAMES
        self._guess: Pcm | None = None  # int16[80] of what would have come after the output
        self._unlearnt = 0  # frames at the end that ``unlearnt`` has not given
        self._since_quiet = 0
        self.background = math.inf  # c0 of the quietest frame lately

    @property
    def samples(self) -> Pcm:
        """The last output, int16[3200]."""
        return np.concatenate(self._packets)

    def append(self, pcm: Pcm, rows: Rows | None = None, learn: bool = True) -> None:
        """Play int16[320]; rows float32[2, 20] if it was synthesised; learn: ``unlearnt`` gives them."""
        self._packets.append(pcm)
        self._rows = self._rows[_FRAMES:] + (list(rows) if rows is not None else [None] * _FRAMES)
        self._guess = None
        self._unlearnt = min(LEARNT, self._unlearnt + _FRAMES) if learn else 0
        self._since_quiet += _FRAMES
        if rows is not None:
            self._quieter(float(min(rows[:, 0])))

    @property
    def level_due(self) -> bool:
        """True when the level has not been looked at for 200 ms."""
        return self._since_quiet >= _QUIET_EVERY

    def look_at_level(self) -> None:
        """Lets the last 20 ms count for ``background``."""
        self._extractor.reset()
        self._quieter(float(self._extractor.process(self._packets[-1])[-1][0]))

    def complete(self, guess: Pcm) -> None:
        """int16[80] of extrapolation after the output, without which the last frame has no row."""
        self._guess = guess[:DELAY]

    def context(self) -> tuple[Pcm, Rows]:
        """The last samples, int16[640], and rows, float32[4, 20], both ending with the output.

        A last row that is not known yet repeats the one before.
        """
        last = islice(self._packets, KEEP_PACKETS - CONTEXT_PACKETS, None)
        return np.concatenate(tuple(last)), np.stack(self._known(CONTEXT_ROWS))

    def unlearnt(self) -> list[Rows]:
        """Rows float32[20] of the last frames, at most 160 ms, that were not given here before."""
        count, self._unlearnt = self._unlearnt, 0
        return self._known(count) if count else []

    def _known(self, count: int) -> list[Rows]:
        missing = [i for i in range(-count, 0) if self._rows[i] is None]
        if self._guess is None and missing[-1:] == [-1]:
            missing.pop()
        if missing:
            frames = WARM_UP - missing[0]
            after = np.zeros(DELAY, np.int16) if self._guess is None else self._guess
            heard = np.concatenate((self.samples[-(frames * FRAME_SAMPLES - DELAY) :], after))
            self._extractor.reset()
            new = self._extractor.process(heard)
            for i in missing:
                self._rows[i] = np.array(new[i], np.float32)
                self._quieter(float(new[i][0]))
        rows = self._rows[-count:]
        if rows[-1] is None:
            rows[-1] = rows[-2] if count > 1 else self._rows[-2]
        return [row if row is not None else np.zeros(20, np.float32) for row in rows]

    def _quieter(self, c0: float) -> None:
        self.background = min(self.background + _FORGET * self._since_quiet, c0)
        self._since_quiet = 0

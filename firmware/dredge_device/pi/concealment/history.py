# SPDX-License-Identifier: BSD-2-Clause
"""The last output: samples, and the feature row of every 10 ms frame, extracted when a gap needs it."""

from collections import deque
from itertools import islice

import numpy as np

from dredge_device.pi.interfaces import Background, Extractor, Pcm, Rows
from dredge_device.units import FRAME_SAMPLES, PACKET_SAMPLES

DELAY = 80  # an extractor's frame is centred this much after the output frame whose row it gives
CONTEXT_PACKETS = 2
CONTEXT_ROWS = 4  # rows that prime a vocoder
PREDICTOR_FRAMES = 16  # rows that warm up the predictor: with more it predicts no better
WARM_UP = 4  # frames before the first row used: then cepstra and pitch equal those of an extractor that ran all along
KEEP_FRAMES = PREDICTOR_FRAMES + WARM_UP
KEEP_PACKETS = KEEP_FRAMES * FRAME_SAMPLES // PACKET_SAMPLES
_FRAMES = PACKET_SAMPLES // FRAME_SAMPLES
MOMENT_PACKETS = 3  # decoded packets per moment of the background estimate
MOMENT_EVERY = 5  # packets from one moment to the next: 40 moments in four seconds …
EARLY_MOMENTS, EARLY_EVERY = 14, 2  # … but at the start, the first moments come after fewer packets


class History:
    """The last 200 ms of output.

    Rows of synthesised frames are the ones the vocoder was given (``append(pcm, rows)``); the extractor's rows stand
    for all others. It runs only when such rows are needed, from 40 ms before them on. The
    background estimate gets 60 ms in every 100 ms of decoded output.
    """

    def __init__(self, extractor: Extractor, background: Background | None = None) -> None:
        self._extractor = extractor
        self._background = background
        self.clear()

    def clear(self) -> None:
        """Forget everything, since another stream follows; a gap at its start continues silence."""
        self._packets = deque([np.zeros(PACKET_SAMPLES, np.int16)] * KEEP_PACKETS, KEEP_PACKETS)
        self._rows: list[Rows | None] = [None] * KEEP_FRAMES
        self._extrapolation: Pcm | None = None  # int16[80] that would have followed the output
        self._pending = 0  # frames at the end that ``pending_rows`` has not returned
        self._decoded = 0  # packets of output in a row that came from the decoder
        self._since_moment = 0  # decoded packets since the last moment of the background estimate
        self._moments = 0  # moments of the background estimate so far
        if self._background:
            self._background.reset()

    @property
    def samples(self) -> Pcm:
        """The last output, int16[3200]."""
        return np.concatenate(self._packets)

    def append(self, pcm: Pcm, rows: Rows | None = None, learn: bool = True) -> None:
        """Play int16[320]; rows float32[2, 20] if it was synthesised; learn: ``pending_rows`` gives them."""
        self._packets.append(pcm)
        self._rows = self._rows[_FRAMES:] + (list(rows) if rows is not None else [None] * _FRAMES)
        self._extrapolation = None
        self._pending = min(PREDICTOR_FRAMES, self._pending + _FRAMES) if learn else 0
        if rows is None and learn:
            self._decoded += 1
            self._since_moment += 1
        else:
            self._decoded = 0

    @property
    def moment_due(self) -> bool:
        """True when the last moment of the background estimate is 100 ms of decoded output ago, at the start 40 ms.

        The first packet after a gap is still mixed with the vocoder.
        """
        if self._background is None or self._decoded <= MOMENT_PACKETS:
            return False
        return self._since_moment >= (MOMENT_EVERY if self._moments >= EARLY_MOMENTS else EARLY_EVERY)

    def hear_moment(self) -> None:
        """Add the last 60 ms to the background estimate."""
        assert self._background is not None
        self._background.hear(self._last(MOMENT_PACKETS))
        self._since_moment = 0
        self._moments += 1

    def lifted(self, rows: Rows, denoised: bool = False) -> Rows:
        """Return rows float32[n, 20] with bands below the background raised to it.

        denoised: the rows describe speech without its noise, so a background that can be heard is added to them.
        """
        return self._background.lift(rows, denoised) if self._background else rows

    def noise(self, samples: int) -> Pcm:
        """Return the background alone, int16[samples] of whole frames; silence without a background estimate."""
        if self._background is None:
            return np.zeros(samples, np.int16)
        return self._background.noise(samples // FRAME_SAMPLES)

    def _last(self, packets: int) -> Pcm:
        return np.concatenate(tuple(islice(self._packets, KEEP_PACKETS - packets, None)))

    def complete(self, extrapolation: Pcm) -> None:
        """Take in int16[80] of extrapolation after the output, without which the last frame has no row."""
        self._extrapolation = extrapolation[:DELAY]

    def context(self) -> tuple[Pcm, Rows]:
        """Return the last samples, int16[640], and rows, float32[4, 20], both ending with the output.

        A last row that is not known yet repeats the one before.
        """
        return self._last(CONTEXT_PACKETS), self.rows(CONTEXT_ROWS)

    def rows(self, count: int) -> Rows:
        """Return the rows of the last frames, float32[count, 20]; a last one that is not known yet repeats the one
        before.
        """
        return np.concatenate(self._known(count)).reshape(count, -1)

    def pending_rows(self) -> list[Rows]:
        """Return the rows float32[20] of the last frames, at most 160 ms, that were not returned before."""
        count, self._pending = self._pending, 0
        return self._known(count) if count else []

    def _known(self, count: int) -> list[Rows]:
        missing = [i for i in range(-count, 0) if self._rows[i] is None]
        if self._extrapolation is None and missing[-1:] == [-1]:
            missing.pop()
        if missing:
            frames = WARM_UP - missing[0]
            after = np.zeros(DELAY, np.int16) if self._extrapolation is None else self._extrapolation
            heard = np.concatenate((self.samples[-(frames * FRAME_SAMPLES - DELAY) :], after))
            self._extractor.reset()
            new = self._extractor.process(heard)
            for i in missing:
                self._rows[i] = np.array(new[i], np.float32)
        rows = self._rows[-count:]
        if rows[-1] is None:
            rows[-1] = rows[-2] if count > 1 else self._rows[-2]
        return [row if row is not None else np.zeros(20, np.float32) for row in rows]

# SPDX-License-Identifier: BSD-2-Clause
"""The vocoder during one gap: it is primed with the output, runs, and ends with a tail."""

import numpy as np

from dredge_device.pi.concealment.history import History
from dredge_device.pi.concealment.limiter import Limiter
from dredge_device.pi.interfaces import Pcm, Rows, Speech


class VocoderSession:
    """The synthesis of lost packets: ``begin``, ``synthesise`` for each, ``tail`` before decoded speech.

    small_vocoder: a cheaper vocoder; which of the two is used is decided at the beginning of a gap.
    """

    def __init__(self, vocoder: Speech, history: History, small_vocoder: Speech | None = None) -> None:
        self._full, self._small = vocoder, small_vocoder or vocoder
        self._vocoder = vocoder
        self._history = history
        self._limiter = Limiter()

    def begin(self, rows: Rows, economise: bool = False) -> None:
        """Prime the vocoder with the output; rows: float32[4, 20] of the first lost frames; economise: use the
        cheaper one.
        """
        pcm, past = self._history.context()
        self._vocoder = self._small if economise else self._full
        self._vocoder.begin(pcm, past, rows[:2])
        self._limiter.open(pcm)

    def synthesise(self, rows: Rows, predicted: bool = False) -> Pcm:
        """Synthesise int16[320] from rows float32[4, 20]: two frames and two of look-ahead.

        predicted: the rows are predicted from the output before the gap alone.
        """
        rows = np.concatenate((self._history.rows(2), rows))
        return self._limiter.hold(self._vocoder.synthesise(rows), predicted)

    def tail(self, rows: Rows) -> Pcm:
        """Synthesise int16[160] that continue during the first decoded packet; rows: those of that packet."""
        return self._limiter.release(self._vocoder.tail(np.concatenate((self._history.rows(2), rows[:3]))))

    def forget(self) -> None:
        """Forget the speech so far, also in the state of the vocoder."""
        for vocoder in (self._full, self._small):
            vocoder.reset()

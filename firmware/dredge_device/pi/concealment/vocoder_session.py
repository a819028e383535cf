# SPDX-License-Identifier: BSD-2-Clause
"""The vocoder's life during one gap: primed with real output, kept going, handed back."""

import numpy as np

from dredge_device.pi.concealment.history import History
from dredge_device.pi.concealment.limiter import Limiter
from dredge_device.pi.interfaces import Pcm, Rows, Speech


class VocoderSession:
    """Synthesises lost packets; ``active`` from the first one until ``tail`` or ``drop``.

    small_vocoder: a cheaper vocoder; which of the two speaks is decided at the beginning of a gap.
    """

    def __init__(self, vocoder: Speech, history: History, small_vocoder: Speech | None = None) -> None:
        self._full, self._small = vocoder, small_vocoder or vocoder
        self._vocoder = vocoder
        self._history = history
        self._limiter = Limiter()
        self.active = False

    def speak(self, rows: Rows, economise: bool = False, predicted: bool = False) -> Pcm:
        """int16[320] from rows float32[4, 20]: two frames and two of look-ahead.

        economise: a gap may begin cheaply; predicted: the rows are a guess from what was before the gap alone.
        """
        pcm, past = self._history.context()
        if not self.active:
            self._vocoder = self._small if economise else self._full
            self._vocoder.begin(pcm, past, rows[:2])
            self._limiter.open(pcm)
            self.active = True
        return self._limiter.hold(self._vocoder.synthesise(np.concatenate((past[-2:], rows))), predicted)

    def tail(self, rows: Rows) -> Pcm:
        """int16[160] that goes on under the first real packet; rows describe that packet."""
        _, past = self._history.context()
        self.active = False
        return self._limiter.release(self._vocoder.synthesise(np.concatenate((past[-2:], rows[:3]))))

    def drop(self) -> None:
        """The vocoder is not continued."""
        self.active = False

    def forget(self) -> None:
        """Nothing of the voice so far is left in the vocoder."""
        self.active = False
        for vocoder in (self._full, self._small):
            vocoder.reset()

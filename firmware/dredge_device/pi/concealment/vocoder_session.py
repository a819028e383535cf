# SPDX-License-Identifier: BSD-2-Clause
"""The vocoder's life during one gap: primed with real output, kept going, handed back."""

import numpy as np

from dredge_device.pi.concealment.history import History
from dredge_device.pi.concealment.limiter import Limiter
from dredge_device.pi.interfaces import Pcm, Rows, Speech


class VocoderSession:
    """Synthesises lost packets; ``active`` from the first one until ``tail`` or ``drop``.

    economy: a cheaper vocoder; which of the two speaks is decided at the beginning of a gap.
    """

    def __init__(self, vocoder: Speech, history: History, economy: Speech | None = None) -> None:
        self._dear, self._cheap = vocoder, economy or vocoder
        self._vocoder = vocoder
        self._history = history
        self._ceiling = Limiter()
        self.active = False

    def speak(self, rows: Rows, thrifty: bool = False, blind: bool = False) -> Pcm:
        """int16[320] from rows float32[4, 20]: two frames and two of look-ahead.

        thrifty: a gap may begin cheaply; blind: the rows are a guess from what was before the gap alone.
        """
        pcm, past = self._history.context()
        if not self.active:
            self._vocoder = self._cheap if thrifty else self._dear
            self._vocoder.begin(pcm, past, rows[:2])
            self._ceiling.open(pcm)
            self.active = True
        return self._ceiling.hold(self._vocoder.synthesise(np.concatenate((past[-2:], rows))), blind)

    def tail(self, rows: Rows) -> Pcm:
        """int16[160] that goes on under the first real packet; rows describe that packet."""
        _, past = self._history.context()
        self.active = False
        return self._ceiling.release(self._vocoder.synthesise(np.concatenate((past[-2:], rows[:3]))))

    def drop(self) -> None:
        """The vocoder is not continued."""
        self.active = False

    def forget(self) -> None:
        """Nothing of the voice so far is left in the vocoder."""
        self.active = False
        for vocoder in (self._dear, self._cheap):
            vocoder.reset()

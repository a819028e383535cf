# SPDX-License-Identifier: BSD-2-Clause
"""The output of a talk with its clock, its volume and its level."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.output.interface import Output
from dredge_device.pi.output.open import is_file, open_output
from dredge_device.pi.output.soundcard import SpeakerOutput
from dredge_device.pi.output.threaded import ThreadedOutput
from dredge_device.pi.schema.report import OutputReport
from dredge_device.pi.service.pacer import Pacer
from dredge_device.units import PACKET_SAMPLES
from dredge_host.errors import UsageError
from dredge_host.talk.delay import ReceiveDelay
from dredge_host.talk.signal.gate import Fader, Level

_WAIT_S = 0.02  # between two looks at a card's clock


class Loudspeaker:
    """An output with a clock: a card asks for the next 20 ms when it has room for them; for everything else they are
    due every 20 ms by this machine's clock.

    output: in place of the text's. Raises UsageError, and what `open_output` raises.
    """

    def __init__(self, text: str, rate: int, volume: float, output: Output | None = None) -> None:
        try:
            opened = open_output(text, rate) if output is None else output
        except ValueError as error:
            raise UsageError(str(error)) from None
        self._card = opened if isinstance(opened, SpeakerOutput) else None
        self._output: Output = opened if self._card is not None else ThreadedOutput(opened, is_file(text))
        self.wait_for: Callable[[float], None] = time.sleep  # how the time until the next 20 ms is spent
        self._pacer = self._new_pacer()
        self._by_card = False
        self._fader = Fader(volume)
        self.volume = volume
        self.level = Level()
        self.delay: ReceiveDelay | None = None
        self.heard: Callable[[Pcm], None] | None = None  # is told what is played
        self.written = 0  # periods of streams
        self.late = 0

    def wait(self) -> None:
        """Return when the next 20 ms are due."""
        by_card = False
        while self._card is not None and (left := self._card.wait_s()) is not None:
            by_card = True
            if left <= 0:
                break
            self.wait_for(min(left, _WAIT_S))
        if by_card:
            self._by_card = True
            return
        if self._by_card:  # the card has gone away: this machine's clock goes on from here
            self._by_card, self._pacer = False, self._new_pacer()
        self._pacer.wait()

    def _new_pacer(self) -> Pacer:
        return Pacer(sleep=lambda seconds: self.wait_for(seconds))

    def write(self, pcm: Pcm, of_stream: bool, at_us: int) -> None:
        """Write 20 ms of a stream, as loud as `volume` says."""
        pcm = self._fader.apply(pcm, self.volume)
        self.level.add(pcm)
        self.written += 1
        if self.heard is not None:
            self.heard(pcm)
        if self.delay is not None and of_stream:
            self.delay.card.add(self._card.buffered_us if self._card is not None else 0)
        self._output.write(pcm, of_stream)

    def idle(self) -> None:
        """Write silence to a card while nobody is heard, so that it keeps time and does not run dry."""
        silence = np.zeros(PACKET_SAMPLES, np.int16)
        self.level.add(silence)
        if self.heard is not None:
            self.heard(silence)
        if self._by_card:
            self._output.write(silence, False)

    def close(self) -> OutputReport:
        """End of a session."""
        pacing = self._pacer.report()
        self._pacer.restart()
        return {**self._output.close(), "clock": "card" if self._by_card else "machine", "pacing": pacing}

    def discard(self) -> None:
        """Release the sink; what is queued is written first."""
        self._output.discard()

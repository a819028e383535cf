# SPDX-License-Identifier: BSD-2-Clause
"""The output of a talk, its volume and its level."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.output.interface import Output
from dredge_device.pi.output.open import is_file, open_output
from dredge_device.pi.output.soundcard import SpeakerOutput
from dredge_device.pi.output.threaded import ThreadedOutput
from dredge_device.pi.schema.report import OutputReport
from dredge_device.units import PACKET_SAMPLES
from dredge_host.errors import UsageError
from dredge_host.talk.delay import ReceiveDelay
from dredge_host.talk.signal.gate import Fader, Level

_SILENCE = np.zeros(PACKET_SAMPLES, np.int16)


class Loudspeaker:
    """An output in a separate thread, which takes periods before their time and plays them on time.

    ``clock``: the clock of a card, which the periods must follow, else None. output: replaces the
    one of the text. Raises UsageError, and what `open_output` raises.
    """

    def __init__(self, text: str, rate: int, volume: float, output: Output | None = None) -> None:
        try:
            opened = open_output(text, rate) if output is None else output
        except ValueError as error:
            raise UsageError(str(error)) from None
        self._card = opened if isinstance(opened, SpeakerOutput) else None
        self._fader = Fader(volume)
        self.volume = volume
        self.level = Level()
        self.delay: ReceiveDelay | None = None
        self.heard: Callable[[Pcm], None] | None = None  # called with the played samples
        self._output = ThreadedOutput(opened, is_file(text), heard=self._play)
        self.clock = self._output.clock

    def write(self, pcm: Pcm, of_stream: bool, at_us: int) -> None:
        """Queue 20 ms of a stream, to be played at this time with the `volume` of that moment."""
        self._output.write(pcm, of_stream, at_us)

    def idle(self) -> None:
        """Keep a card filled with silence while no stream is received; call it every 20 ms."""
        self._output.rest(_SILENCE)

    def _play(self, pcm: Pcm, of_stream: bool) -> Pcm:
        """Return these 20 ms with the present volume."""
        pcm = self._fader.apply(pcm, self.volume)
        self.level.add(pcm)
        if self.heard is not None:
            self.heard(pcm)
        if self.delay is not None and of_stream:
            self.delay.card.add(self._card.buffered_us if self._card is not None else 0)
        return pcm

    def close(self) -> OutputReport:
        """End a session once everything is played."""
        by_card = self._card is not None and self._card.wait_s() is not None
        return {**self._output.close(), "clock": "card" if by_card else "machine"}

    def discard(self) -> None:
        """Release the sink; the queued periods are written first."""
        self._output.discard()

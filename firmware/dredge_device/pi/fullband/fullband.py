# SPDX-License-Identifier: BSD-2-Clause
"""All that is played beyond 16 kHz mono, for one receiver."""

import numpy as np

from dredge_device.pi.fullband.companion import Companion
from dredge_device.pi.fullband.joining import Joining
from dredge_device.pi.fullband.side_queue import SideQueue
from dredge_device.pi.input.periods import Period, PeriodDecoder
from dredge_device.pi.interfaces import Decoder, Pcm
from dredge_device.pi.output.interface import SPEECH, Format
from dredge_device.pi.stage_timer import StageTimer
from dredge_device.units import PACKET_SAMPLES, SAMPLE_RATE

RATES, CHANNELS = (SAMPLE_RATE, 3 * SAMPLE_RATE), (1, 2)


class Fullband:
    """Adds to every period of speech what its packet holds beyond it. timer: the receiver's; the second decoding
    counts as its stage "opus". decoder: replaces libopus at this format.

    Raises ValueError for another rate than 16000 or 48000, or other channels than 1 or 2.
    """

    def __init__(self, form: Format, timer: StageTimer, decoder: Decoder | None = None) -> None:
        if form.rate not in RATES or form.channels not in CHANNELS:
            raise ValueError(f"output is {form.rate} Hz with {form.channels} channels, expected 16000 or 48000, 1 or 2")
        scale = form.rate // SAMPLE_RATE
        self._timer = timer
        self.queue = SideQueue(scale, form.channels)
        self._companion = Companion(PeriodDecoder(decoder or _libopus(form), scale), form)
        self._joining = Joining(form)
        self._nothing = np.zeros((PACKET_SAMPLES * scale, form.channels), np.int16)

    def add(self, packet: Period | None) -> None:
        """A period of speech was decoded from this packet, or came from elsewhere."""
        with self._timer.stage("opus"):
            self.queue.push(self._companion.missing() if packet is None else self._companion.received(packet))

    def joined(self, speech: Pcm) -> Pcm:
        """int16[320 * scale] or int16[320 * scale, 2] for the next int16[320] of the time stretch."""
        return self._joining.join(speech, self.queue.pop())

    def silent(self, speech: Pcm) -> Pcm:
        """The same where nothing is played but the end of what was."""
        return self._joining.join(speech, self._nothing)

    def restart(self) -> None:
        """A new sender: nothing of the old stream is heard in the new one."""
        self._companion.restart()


class SpeechOnly:
    """The same for 16 kHz mono: the speech as it is."""

    queue = None

    def add(self, packet: Period | None) -> None:
        """Nothing is added."""

    def joined(self, speech: Pcm) -> Pcm:
        """The speech."""
        return speech

    def silent(self, speech: Pcm) -> Pcm:
        """The speech."""
        return speech

    def restart(self) -> None:
        """Nothing is kept."""


def beyond_speech(form: Format, timer: StageTimer) -> Fullband | SpeechOnly:
    """What makes this format of a receiver's speech. Raises ValueError for a format that there is not."""
    return SpeechOnly() if form == SPEECH else Fullband(form, timer)


def _libopus(form: Format) -> Decoder:
    from dredge_kernels.opus import OpusDecoder

    decoder: Decoder = OpusDecoder(form.rate, form.channels)
    return decoder

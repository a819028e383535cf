# SPDX-License-Identifier: BSD-2-Clause
"""The part of the output beyond 16 kHz mono, for one receiver."""

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
    """The part of the output beyond 16 kHz mono, added to every period of speech.

    timer: the receiver's; the second decoding counts as its stage "opus". decoder: replaces libopus at this format.
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
        """Add a period of speech, decoded from this packet or (None) from elsewhere."""
        with self._timer.stage("opus"):
            self.queue.push(self._companion.missing() if packet is None else self._companion.received(packet))

    def joined(self, speech: Pcm) -> Pcm:
        """Return int16[320 * scale] or int16[320 * scale, 2] for the next int16[320] of the time stretch."""
        return self._joining.join(speech, self.queue.pop())

    def silent(self, speech: Pcm) -> Pcm:
        """Return the same for silence, in which only the end of the last signal is played."""
        return self._joining.join(speech, self._nothing)

    def restart(self) -> None:
        """Begin another stream and forget the signal of the old one."""
        self._companion.restart()


class SpeechOnly:
    """The same interface for 16 kHz mono, where the speech is not changed."""

    queue = None

    def add(self, packet: Period | None) -> None:
        """Do nothing."""

    def joined(self, speech: Pcm) -> Pcm:
        """Return the speech."""
        return speech

    def silent(self, speech: Pcm) -> Pcm:
        """Return the silence unchanged."""
        return speech

    def restart(self) -> None:
        """Do nothing, since nothing is kept."""


def beyond_speech(form: Format, timer: StageTimer) -> Fullband | SpeechOnly:
    """Return the object that makes this format of a receiver's speech. Raises ValueError for an unknown format."""
    return SpeechOnly() if form == SPEECH else Fullband(form, timer)


def _libopus(form: Format) -> Decoder:
    from dredge_kernels.opus import OpusDecoder

    decoder: Decoder = OpusDecoder(form.rate, form.channels)
    return decoder

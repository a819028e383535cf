# SPDX-License-Identifier: BSD-2-Clause
"""The loudspeaker as an output, which may go away and come back."""

import time

import numpy as np

from dredge_device.pi.clock import monotonic_us
from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.output.cards import OUTPUT, CardStream
from dredge_device.pi.output.interface import SPEECH, Format
from dredge_device.pi.output.resample import Resampler
from dredge_device.pi.schema.report import OutputReport
from dredge_device.units import PACKET_SAMPLES, SAMPLE_RATE

_STUCK_S = 1.0  # a card that takes no samples for this long is treated as gone


class SpeakerOutput:
    """A sound card, the default one or one by name (``dredge devices``).

    A card that vanishes is tried again every second while the stream continues. A card that does not support the
    rate of ``form`` gets its own rate. Raises CapabilityError when there is none at the start.
    """

    def __init__(self, name: str = "", form: Format = SPEECH) -> None:
        self._form = form
        self._card = CardStream(OUTPUT, name, form)
        self._resampler = Resampler(form.rate, self._card.rate, form.channels)
        self._underflows = self._unheard = 0
        self._told_vanished = 0

    def wait_s(self) -> float | None:
        """Return the seconds until the card has room for the next 20 ms; None while it is missing and gives no clock.
        """
        room = self._card.room()
        if room is None:
            return None
        return max(0.0, PACKET_SAMPLES / SAMPLE_RATE - room / self._card.rate)

    @property
    def buffered_us(self) -> int:
        """The length of the speech that is written and not played yet, microseconds; 0 while the card is missing."""
        room = self._card.room()
        return 0 if room is None else 1_000_000 * max(0, self._card.capacity - room) // self._card.rate

    def ends_us(self) -> int | None:
        """Return when the written samples will have been played (microseconds, monotonic); None while the card is
        missing.
        """
        return None if self._card.room() is None else monotonic_us() + self.buffered_us

    def wait(self) -> None:
        """Return when the card has room for the next 20 ms, or is missing; one that takes no samples for a second is
        treated as gone.
        """
        begin = time.monotonic()
        while wait := self.wait_s():
            if time.monotonic() - begin > _STUCK_S:
                self._card.lose(f"it took nothing for {_STUCK_S:g} s")
                break
            time.sleep(min(wait, 0.02))

    def write(self, pcm: Pcm, of_stream: bool) -> None:
        """Play every period, silence too, and wait for room; periods without a card are counted."""
        self.wait()
        dry = self._card.write(self._as_played(pcm))
        self._underflows += bool(dry)
        self._unheard += dry is None

    def _as_played(self, pcm: Pcm) -> bytes:
        if self._card.rate != self._resampler.target:
            self._resampler = Resampler(self._form.rate, self._card.rate, self._form.channels)
        played = self._resampler.convert(pcm)
        if self._form.channels > self._card.channels:
            played = np.rint(played.mean(axis=1)).astype(np.int16)
        return (np.repeat(played, 2) if self._form.channels < self._card.channels else played).tobytes()

    def close(self) -> OutputReport:
        """End the session; the card stays open."""
        report: OutputReport = {"kind": "speaker", "rate": self._card.rate, "underflows": self._underflows}
        if self._underflows:
            report["advice"] = (
                "the sound card ran dry: give the agent --realtime, or a core of its own (--core), "
                "and check with `dredge check` that the board keeps up"
            )
        if self._unheard:
            vanished = self._card.vanished - self._told_vanished
            report["vanished"], report["unheard_ms"] = vanished, 20 * self._unheard
        self._told_vanished = self._card.vanished
        self._underflows = self._unheard = 0
        return report

    def discard(self) -> None:
        """Release the card."""
        self._card.close(played_out=True)

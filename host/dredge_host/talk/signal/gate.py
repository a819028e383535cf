# SPDX-License-Identifier: BSD-2-Clause
"""The level of speech, the gain that turns it down without a click, and the microphone's gate."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dredge_device.pi.interfaces import Pcm
from dredge_device.units import PACKET_SAMPLES
from dredge_host.errors import need
from dredge_host.talk.signal.speex import EchoCanceller

SILENT_DB = -96.0
_FALL_DB = 1.0  # fall per packet, so that a word is visible for a second
DUCKED = 10 ** (-30 / 20)
SPEAKS_DB = -45.0  # above this level the other end counts as speaking
_HOLD = 15  # packets (300 ms) that the microphone stays attenuated after the last word


class Level:
    """The level of a stream in dB below full scale (RMS of 20 ms), rising at once and falling slowly."""

    def __init__(self) -> None:
        self.db = SILENT_DB
        self.now_db = SILENT_DB  # of the last packet

    def add(self, pcm: Pcm) -> None:
        """Take in the level of int16[320]."""
        power = float(np.mean(np.square(pcm.astype(np.float32))))
        self.now_db = 10 * math.log10(power) - 90.3 if power >= 1 else SILENT_DB
        self.db = max(self.now_db, self.db - _FALL_DB, SILENT_DB)


class Fader:
    """A gain that moves from its last value to the next over 20 ms."""

    def __init__(self, gain: float = 1.0) -> None:
        self._gain = gain

    def apply(self, pcm: Pcm, gain: float) -> Pcm:
        """Return int16[320] with this gain, which is reached over the 20 ms."""
        before, self._gain = self._gain, gain
        if before == gain == 1.0:
            return pcm
        ramp = np.linspace(before, gain, PACKET_SAMPLES, dtype=np.float32) if before != gain else np.float32(gain)
        return np.clip(np.rint(pcm * ramp), -32768, 32767).astype(np.int16)


class Ducking:
    """Half duplex: the microphone is 30 dB down while the other end speaks and shortly after."""

    def __init__(self, heard_db: Callable[[], float]) -> None:
        self._heard_db = heard_db
        self._fader = Fader()
        self._hold = 0

    @property
    def down(self) -> bool:
        """True while the microphone is turned down."""
        return self._hold > 0

    def apply(self, pcm: Pcm) -> Pcm:
        """Return int16[320] of the microphone, turned down while the other end speaks."""
        self._hold = _HOLD if self._heard_db() > SPEAKS_DB else max(0, self._hold - 1)
        return self._fader.apply(pcm, DUCKED if self.down else 1.0)


class PushToTalk:
    """The push-to-talk switch: ``closed`` is True until the key opens the microphone, or while the button is released.
    """

    def __init__(self, how: str) -> None:
        self._button: Any = None
        self._open = False
        if how != "key":
            gpio = need("gpiozero", "a button", how="sudo apt install python3-gpiozero, or pip install gpiozero lgpio")
            self._button = gpio.Button(int(how.removeprefix("gpio:")))

    @property
    def closed(self) -> bool:
        """True while the microphone is closed; read once per packet."""
        return not (self._open if self._button is None else self._button.is_pressed)

    def toggle(self) -> None:
        """Open or close the microphone by the key, since a terminal reports only the press of a key."""
        self._open = not self._open

    def close(self) -> None:
        """Free the pin."""
        if self._button is not None:
            with contextlib.suppress(RuntimeError):
                self._button.close()


class MicrophoneGate:
    """All processing of a microphone for one talk: call it with int16[320]; `muted` may be set at any time.

    ptt, half_duplex, echo: as in TalkOptions; switch: called once per packet; heard_db: returns the other end's present
    level. Raises CapabilityError for a button or an echo canceller that is missing.
    """

    def __init__(
        self, ptt: str | None, half_duplex: bool, echo: str, switch: Callable[[], bool], heard_db: Callable[[], float]
    ) -> None:
        self.muted = False
        self.ptt = PushToTalk(ptt) if ptt else None
        self.echo = EchoCanceller() if echo == "speex" else None
        self._ducking = Ducking(heard_db) if half_duplex else None
        self._switch = switch

    def __call__(self, pcm: Pcm) -> Pcm:
        if self.echo is not None:
            pcm = self.echo.cancel(pcm)
        return pcm if self._ducking is None else self._ducking.apply(pcm)

    @property
    def shut(self) -> bool:
        """True while no speech may be sent."""
        return self._switch() or self.muted or (self.ptt is not None and self.ptt.closed)

    @property
    def down(self) -> bool:
        """True while the microphone is turned down."""
        return self._ducking is not None and self._ducking.down

    def close(self) -> None:
        """Free pin and filter."""
        for part in (self.ptt, self.echo):
            if part is not None:
                part.close()

# SPDX-License-Identifier: BSD-2-Clause
"""What of the microphone goes out: everything, nothing (mute, push-to-talk), or less while the other end speaks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from dredge_device.pi.interfaces import Pcm
from dredge_host.errors import need
from dredge_host.talk.level import Fader

DUCKED = 10 ** (-30 / 20)
SPEAKS_DB = -45.0  # the other end speaks when it is louder than this
_HOLD = 15  # packets (300 ms) that the microphone stays down after the last word


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
        """int16[320] of the microphone."""
        self._hold = _HOLD if self._heard_db() > SPEAKS_DB else max(0, self._hold - 1)
        return self._fader.apply(pcm, DUCKED if self.down else 1.0)


class PushToTalk:
    """``closed`` is True while nothing may be said: until the key opens the microphone, while the button is up."""

    def __init__(self, how: str) -> None:
        self._button: Any = None
        self._open = False
        if how != "key":
            gpio = need("gpiozero", "a button", how="sudo apt install python3-gpiozero, or pip install gpiozero lgpio")
            self._button = gpio.Button(int(how.removeprefix("gpio:")))

    @property
    def closed(self) -> bool:
        """Asked once per packet."""
        return not (self._open if self._button is None else self._button.is_pressed)

    def toggle(self) -> None:
        """The key: a terminal tells when it goes down, not when it comes up."""
        self._open = not self._open

    def close(self) -> None:
        """Frees the pin."""
        if self._button is not None:
            with contextlib.suppress(RuntimeError):
                self._button.close()

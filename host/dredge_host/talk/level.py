# SPDX-License-Identifier: BSD-2-Clause
"""How loud speech is, and the gain that turns it down without a click."""

from __future__ import annotations

import math

import numpy as np

from dredge_device.pi.interfaces import Pcm
from dredge_device.units import PACKET_SAMPLES

SILENT_DB = -96.0
_FALL_DB = 1.0  # per packet: a word stays visible for a second


class Level:
    """The level of a stream in dB below full scale (RMS of 20 ms), rising at once and falling slowly."""

    def __init__(self) -> None:
        self.db = SILENT_DB
        self.now_db = SILENT_DB  # of the last packet

    def add(self, pcm: Pcm) -> None:
        """int16[320]"""
        power = float(np.mean(np.square(pcm.astype(np.float32))))
        self.now_db = 10 * math.log10(power) - 90.3 if power >= 1 else SILENT_DB
        self.db = max(self.now_db, self.db - _FALL_DB, SILENT_DB)


class Fader:
    """A gain that moves from its last value to the next over 20 ms."""

    def __init__(self, gain: float = 1.0) -> None:
        self._gain = gain

    def apply(self, pcm: Pcm, gain: float) -> Pcm:
        """int16[320] as loud as asked."""
        before, self._gain = self._gain, gain
        if before == gain == 1.0:
            return pcm
        ramp = np.linspace(before, gain, PACKET_SAMPLES, dtype=np.float32) if before != gain else np.float32(gain)
        return np.clip(np.rint(pcm * ramp), -32768, 32767).astype(np.int16)

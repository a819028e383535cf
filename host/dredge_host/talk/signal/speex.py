# SPDX-License-Identifier: BSD-2-Clause
"""An echo canceller for systems whose sound server has none: libspeexdsp (`sudo apt install libspeexdsp1`), through
ctypes.
"""

from __future__ import annotations

import ctypes
import threading
from collections import deque

import numpy as np

from dredge_device.pi.interfaces import Pcm
from dredge_device.units import PACKET_SAMPLES, SAMPLE_RATE
from dredge_host.errors import CapabilityError

TAIL_S = 0.25  # longest delay of the echo after the sound was written: buffers of the card, and the room
_AHEAD = 4  # packets of the loudspeaker that may wait for the microphone's
_SET_SAMPLING_RATE = 24  # of speex/speex_echo.h


class EchoCanceller:
    """An echo canceller: `played` takes the loudspeaker's samples, in its thread; `cancel` those of the microphone,
    in another.

    Both are int16[320] at the same pace. The filter adapts to the acoustic path in a few seconds; it cannot
    follow two cards with different clocks. Raises CapabilityError without the library.
    """

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL("libspeexdsp.so.1")
        except OSError:
            raise CapabilityError("--echo speex needs libspeexdsp: sudo apt install libspeexdsp1") from None
        self._library.speex_echo_state_init.restype = ctypes.c_void_p
        state = self._library.speex_echo_state_init(PACKET_SAMPLES, round(TAIL_S * SAMPLE_RATE))
        self._state = ctypes.c_void_p(state)
        rate = ctypes.c_int(SAMPLE_RATE)
        self._library.speex_echo_ctl(self._state, _SET_SAMPLING_RATE, ctypes.byref(rate))
        self._played: deque[Pcm] = deque(maxlen=_AHEAD)
        self._lock = threading.Lock()  # around the state, which `close` frees

    def played(self, pcm: Pcm) -> None:
        """Take in int16[320] of the loudspeaker."""
        self._played.append(pcm)

    def cancel(self, pcm: Pcm) -> Pcm:
        """Return int16[320] of the microphone without the echo of the loudspeaker."""
        far = self._played.popleft() if self._played else np.zeros(PACKET_SAMPLES, np.int16)
        near, far = np.ascontiguousarray(pcm, np.int16), np.ascontiguousarray(far, np.int16)
        out = np.empty(PACKET_SAMPLES, np.int16)
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in (near, far, out)]
        with self._lock:
            if not self._state:
                return near
            self._library.speex_echo_cancellation(self._state, *pointers)
        return out

    def close(self) -> None:
        """Free the filter."""
        with self._lock:
            state, self._state = self._state, ctypes.c_void_p()
            if state:
                self._library.speex_echo_state_destroy(state)

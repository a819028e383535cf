# SPDX-License-Identifier: BSD-2-Clause
"""The receiver's speech (16 kHz, mono) and the companion's signal become one signal."""

import numpy as np
from numpy.typing import NDArray

from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.output.interface import Format
from dredge_device.units import SAMPLE_RATE

_TAPS = 127  # with the window below: 0.1 dB at 7.2 kHz, -60 dB at 8.7 kHz
_EDGE_HZ = 7900
_BETA = 5.65  # of the Kaiser window: -60 dB (Kaiser and Schafer, IEEE Trans. ASSP 28, 1980)


def low_pass(rate: int) -> NDArray[np.float32]:
    """Return the filter float32[_TAPS] that passes the band of 16 kHz speech, at ``rate``; symmetrical, 1 at 0
    Hz.
    """
    at = np.arange(_TAPS) - (_TAPS - 1) / 2
    taps = np.sinc(2 * _EDGE_HZ / rate * at) * np.kaiser(_TAPS, _BETA)
    return (taps / taps.sum()).astype(np.float32)


class Joining:
    """y = beside + L(speech - mean of beside's channels), where L passes what is below 8 kHz.

    So below 8 kHz the mean of the channels is the speech, whatever ``beside`` is; above, and in the difference of
    the channels, it is ``beside``. Where the speech is the packet itself, y is what libopus decodes at that
    rate. The filter has a delay of 63 samples, by which ``beside`` is delayed as well; at 16 kHz there is none.
    """

    def __init__(self, form: Format) -> None:
        self._scale = form.rate // SAMPLE_RATE
        self._channels = form.channels
        self._taps = low_pass(form.rate) if self._scale > 1 else np.ones(1, np.float32)
        self._before = np.zeros(len(self._taps) - 1, np.float32)
        self._waiting = np.zeros(((len(self._taps) - 1) // 2, form.channels), np.int16)

    def join(self, speech: Pcm, beside: Pcm) -> Pcm:
        """Return int16[n * scale, channels] (int16[n * scale] for one channel) of int16[n] and int16[n * scale,
        channels].
        """
        wide = np.zeros(len(speech) * self._scale, np.float32)
        wide[:: self._scale] = speech
        wide *= self._scale
        wide -= beside.mean(axis=1, dtype=np.float32)
        whole = np.concatenate((self._before, wide))
        self._before = whole[len(wide) :]
        low = np.convolve(whole, self._taps, "valid")
        later = np.concatenate((self._waiting, beside))
        self._waiting = later[len(wide) :]
        out = np.rint(low[:, None] + later[: len(wide)])
        joined = np.clip(out, -32768, 32767).astype(np.int16)
        return joined if self._channels > 1 else joined[:, 0]

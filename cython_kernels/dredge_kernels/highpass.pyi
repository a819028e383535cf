# SPDX-License-Identifier: BSD-2-Clause
import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE: int
CUTOFF_HZ: float

class HighPass:
    """Streaming second-order high-pass filter of 16 kHz speech, the same one that Opus puts before its encoder.

    Zeros at 0 Hz; with Fc = 1.5 * 3.14159 / 16000 * cutoff_hz and r = 1 - 0.92 Fc it is
    r (1 - 2 z^-1 + z^-2) / (1 + r (Fc^2 - 2) z^-1 + r^2 z^-2). Source: `hp_cutoff` of libopus 1.5 (src/opus_encoder.c),
    whose lowest cut-off is 60 Hz. Raises ValueError for a cut-off that is
    not in 0 ... 1000 Hz. One thread at a time: RuntimeError while another one is inside.
    """

    def __init__(self, cutoff_hz: float = CUTOFF_HZ) -> None: ...
    def process(self, pcm: NDArray[np.int16]) -> NDArray[np.int16]:
        """int16 [n] -> int16 [n], rounded to even and saturated. Raises ValueError on another dtype or shape."""

    def reset(self) -> None:
        """Forgets all history."""

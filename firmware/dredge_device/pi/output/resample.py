# SPDX-License-Identifier: BSD-2-Clause
"""Another sample rate, piece by piece."""

from typing import Any

import numpy as np

from dredge_device.pi.interfaces import Pcm


class Resampler:
    """Mono int16 from one rate to another (soxr, band-limited); equal rates pass unchanged.

    What comes out is later by soxr's own delay (about 10 ms) and starts when that has passed.
    """

    def __init__(self, source: int, target: int) -> None:
        self.source, self.target = source, target
        self._stream: Any = None
        if source != target:
            import soxr

            self._stream = soxr.ResampleStream(source, target, 1, dtype="int16", quality="MQ")

    def convert(self, pcm: Pcm) -> Pcm:
        """int16[n] in, int16[about n * target / source] out."""
        return pcm if self._stream is None else np.asarray(self._stream.resample_chunk(pcm), np.int16).reshape(-1)

    def finish(self) -> Pcm:
        """What is still inside, at the end."""
        if self._stream is None:
            return np.zeros(0, np.int16)
        return np.asarray(self._stream.resample_chunk(np.zeros(0, np.int16), last=True), np.int16).reshape(-1)

    @property
    def delay_ms(self) -> float:
        """What is inside at the moment."""
        return 0.0 if self._stream is None else 1000 * float(self._stream.delay()) / self.target

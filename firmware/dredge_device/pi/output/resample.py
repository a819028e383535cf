# SPDX-License-Identifier: BSD-2-Clause
"""Conversion to another sample rate, piece by piece."""

from typing import Any

import numpy as np

from dredge_device.pi.interfaces import Pcm


class Resampler:
    """The conversion of int16 from one rate to another (soxr, band-limited); equal rates pass unchanged.

    The output lags by soxr's delay (about 10 ms) and starts after it.
    """

    def __init__(self, source: int, target: int, channels: int = 1) -> None:
        self.source, self.target = source, target
        self._shape = (-1,) if channels == 1 else (-1, channels)
        self._stream: Any = None
        if source != target:
            import soxr

            self._stream = soxr.ResampleStream(source, target, channels, dtype="int16", quality="MQ")

    def convert(self, pcm: Pcm) -> Pcm:
        """Convert int16[n] or int16[n, channels] to the same with about n * target / source samples."""
        return pcm if self._stream is None else self._shaped(self._stream.resample_chunk(pcm))

    def finish(self) -> Pcm:
        """Return the samples that are still inside, at the end."""
        if self._stream is None:
            return self._shaped(np.zeros(0, np.int16))
        return self._shaped(self._stream.resample_chunk(self._shaped(np.zeros(0, np.int16)), last=True))

    def _shaped(self, pcm: Any) -> Pcm:
        return np.asarray(pcm, np.int16).reshape(self._shape)

    @property
    def delay_us(self) -> int:
        """The length of the speech that has gone in and not come out yet, microseconds."""
        return 0 if self._stream is None else round(1_000_000 * self._stream.delay() / self.target)

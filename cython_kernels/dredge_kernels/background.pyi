# SPDX-License-Identifier: BSD-2-Clause
import numpy as np
from numpy.typing import NDArray

HOP: int
MOMENT: int
MOST: int

class Background:
    """The level of the background in each of the 18 bands, from moments of 60 ms of its input.

    It is what the quietest of the last 40 moments have in common, or more where nearly all bands have been louder for a
    second; digital silence before four were heard. Minimum
    statistics: R. Martin, IEEE Transactions on Speech and Audio Processing 9(5), 2001.
    """

    def reset(self) -> None:
        """Forget every moment."""

    def hear(self, pcm: NDArray[np.int16]) -> None:
        """Take in one moment of decoded output, int16 [960]. Raises ValueError on another dtype or length."""

    def noise(self, frames: int) -> NDArray[np.int16]:
        """Return int16 [160 frames] of noise like the background, which continues the last call's.

        Raises ValueError on more than MOST frames.
        """

    def lift(self, features: NDArray[np.float32], denoised: bool = False) -> NDArray[np.float32]:
        """Return a copy of float32 [k, 20] in which no band is below the background; other rows stay the same.

        denoised: they describe speech without its noise, so a background louder than about -55 dBFS is added to them.

        Raises ValueError on another shape or values that are not finite.
        """

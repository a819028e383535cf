# SPDX-License-Identifier: BSD-2-Clause
import numpy as np
from numpy.typing import NDArray

HOP: int
DELAY: int

class Postfilter:
    """Makes vocoder output follow its features; the output is one frame (DELAY samples) behind the input.

    Voiced frames are averaged with their neighbours one pitch period away, then the 18 band energies of every
    20 ms window are brought to those of the features, with 30 % more contrast.
    One thread at a time: RuntimeError while another one is inside.
    """

    def reset(self, last: int = 0) -> None:
        """Forgets everything; last: the sample (int16 scale) from which the output continues."""

    def prime(self, pcm: NDArray[np.int16], features: NDArray[np.float32]) -> None:
        """Go on from real speech int16 [160 k], whose last frame has the features float32 [1, 20]: the frame after
        it is the first that can be had in full. Raises ValueError as ``process``.
        """

    def process(self, pcm: NDArray[np.int16], features: NDArray[np.float32]) -> NDArray[np.int16]:
        """int16 [160 k] and its features float32 [k, 20] -> int16 [160 k]: the frames from one earlier on.

        Raises ValueError on other shapes, dtypes or values that are not finite.
        """

    def finish(self, features: NDArray[np.float32]) -> NDArray[np.int16]:
        """Return int16 [160]: the frame that ``process`` still holds, as if its last pitch period went on after it.

        features: float32 [1, 20], of what would come next; ValueError as ``process``.
        """

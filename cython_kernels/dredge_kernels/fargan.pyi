# SPDX-License-Identifier: BSD-2-Clause
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

HOP: int
PRIMING_ROWS: int
PRIMING_SAMPLES: int
FLOATS: dict[str, tuple[int, ...]]
LAYERS: dict[str, tuple[int, int]]

def checked(arrays: Mapping[str, npt.NDArray]) -> dict[str, npt.NDArray]:
    """Return the arrays of a model, contiguous and of the right type. Raises ValueError naming the first wrong one."""

class Fargan:
    """FARGAN at 16 kHz: integer products, float32 elsewhere in a fixed order, the same samples on every board.

    One thread at a time: RuntimeError while another one is inside.
    """

    def __init__(self, arrays: Mapping[str, npt.NDArray]) -> None:
        """arrays: see FLOATS and LAYERS; ValueError naming the first that is missing or wrong."""

    def reset(self) -> None:
        """Silence before the first frame."""

    def begin(self, pcm: npt.NDArray[np.int16], features: npt.NDArray[np.float32]) -> None:
        """Take up real speech: int16 [320], and float32 [5, 20] whose last row describes the frame to come.

        ValueError for other shapes, types or values that are not finite.
        """

    def synthesise(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
        """Synthesise int16 [160 k] from float32 [k, 20]; each row is one frame ahead of the frame that it makes."""

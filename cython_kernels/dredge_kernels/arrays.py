# SPDX-License-Identifier: BSD-2-Clause
"""The arrays that go through every part of Dredge, by name."""

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]  # speech, [samples], 16 kHz mono
Rows = NDArray[np.float32]  # features, [frames, 20]: one row per frame of 10 ms

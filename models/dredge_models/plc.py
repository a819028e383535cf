# SPDX-License-Identifier: BSD-2-Clause
"""Guesses the features of lost frames that no packet describes, and fades them out."""

import math

import numpy as np
from numpy.typing import NDArray

from dredge_models.registry import weight_path
from dredge_models.tflite import TfliteModel

FEATURES = 20
HOLD = 6                          # frames (60 ms) at full level
STEP = 0.15                       # growth per frame of the fall of c0 …
STEEPEST = 1.2                    # … which ends at 2.8 dB per frame
VOICING = 0.88                    # kept per frame once the fade has begun
SILENCE_C0 = math.sqrt(18) * -2.0 - 4.0      # every band at the extractor's floor
BACKGROUND_RISE = 0.01            # c0 per frame: the background estimate forgets in seconds

Array = NDArray[np.float32]


def silence() -> Array:
    """Features of digital silence, float32 [20]."""
    row = np.zeros(FEATURES, np.float32)
    row[0], row[19] = SILENCE_C0, -0.5
    return row


def fade(index: int) -> float:
    """How much c0 falls at the index-th lost frame (0 = first); 4.24 in c0 is 10 dB."""
    late = index - HOLD + 1
    if late <= 0:
        return 0.0
    curved = min(late, int(STEEPEST / STEP))
    return STEP * curved * (curved + 1) / 2 + STEEPEST * (late - curved)


class PlcPredictor:
    """Hears every frame that is played, so that it can go on when one is missing.

    One network step per call: 29 us on a 2 GHz x86-64 core, against 98 us in plain NumPy.
    """

    def __init__(self) -> None:
        """Loads the network; ModelError if its file is missing or damaged."""
        self._graph = TfliteModel(weight_path("plc_step.tflite"))
        self._frame = np.zeros((1, FEATURES + 1), np.float32)
        self.reset()

    def reset(self) -> None:
        """As before the first frame."""
        self._memory = np.zeros(self._graph.inputs["memory"], np.float32)
        self._next = silence()
        self._lost = 0
        self._background = math.inf

    @property
    def lost(self) -> int:
        """Frames predicted since the last `update`."""
        return self._lost

    def update(self, feature: Array) -> None:
        """A frame that was received or recovered, float32 [20]; ValueError if not finite."""
        if feature.shape != (FEATURES,) or not np.isfinite(feature).all():
            raise ValueError(f"feature: expected 20 finite values, got {list(feature.shape)}")
        self._lost = 0
        self._background = min(self._background + BACKGROUND_RISE, float(feature[0]))
        self._advance(feature, 0.0)

    def predict(self) -> Array:
        """The next lost frame, float32 [20]; from 60 ms on it fades towards the background.

        Correlation decays as well, so that a long loss ends in faint noise and never in a tone.
        """
        guess = self._next
        shown = guess.copy()
        fall = fade(self._lost)
        if fall > 0:
            floor = min(self._background, float(guess[0]))
            shown[0] = max(shown[0] - fall, SILENCE_C0 if math.isinf(floor) else floor, SILENCE_C0)
            late = self._lost - HOLD + 1
            shown[19] = -0.5 + (shown[19] + 0.5) * VOICING**late
        self._lost += 1
        self._advance(guess, 1.0)
        return shown

    def _advance(self, feature: Array, lost: float) -> None:
        self._frame[0, :FEATURES] = feature
        self._frame[0, FEATURES] = lost
        out = self._graph(frame=self._frame, memory=self._memory)
        self._memory = out["memory_out"]
        # Own predictions are fed back without end: keep them where speech is.
        self._next = np.clip(out["next"][0], _LOW, _HIGH)


_LOW = np.array([SILENCE_C0] + [-13.0] * 17 + [-1.5, -0.5], np.float32)
_HIGH = np.array([20.0] + [13.0] * 17 + [1.5, 0.5], np.float32)

# SPDX-License-Identifier: BSD-2-Clause
"""Prediction of the features of lost frames that no packet describes, faded out with time."""

import math

import numpy as np
from numpy.typing import NDArray

from dredge_models.registry import weight_file
from dredge_models.tflite.runtime import TfliteModel

FEATURES = 20
HOLD = 6                          # frames (60 ms) at full level
STEP = 0.15                       # increase per frame of the fall of c0 …
STEEPEST = 1.2                    # … up to 2.8 dB per frame
VOICING = 0.88                    # factor on the voicing per frame of the fade
SILENCE_C0 = math.sqrt(18) * -2.0 - 4.0      # c0 with every band at the extractor's floor
LONG = 30.0                       # frames of burst at which the network's position input ends

Array = NDArray[np.float32]


def silence() -> Array:
    """Return the features of digital silence, float32 [20]."""
    row = np.zeros(FEATURES, np.float32)
    row[0], row[19] = SILENCE_C0, -0.5
    return row


def fade(index: int) -> float:
    """Return the fall of c0 at the index-th lost frame (0 = first); 4.24 in c0 is 10 dB."""
    late = index - HOLD + 1
    if late <= 0:
        return 0.0
    curved = min(late, int(STEEPEST / STEP))
    return STEP * curved * (curved + 1) / 2 + STEEPEST * (late - curved)


def load_graph() -> TfliteModel:
    """Return the network, which has no state between calls. Raises ModelError if its file is missing or damaged."""
    return TfliteModel(weight_file("plc_step.tflite"))


class PlcPredictor:
    """The predictor of lost frames; it is updated with every played frame, so that it can continue when one is missing.
    """

    def __init__(self, graph: TfliteModel | None = None) -> None:
        """Start without any known frame.

        graph: a loaded network to share with other predictors of the same thread (``load_graph``); without it the
        network is loaded. Raises ModelError if its file is missing or damaged.
        """
        self._graph = graph or load_graph()
        self._row = np.zeros(self._graph.inputs["frame"], np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget everything, as before the first frame."""
        self._memory = np.zeros(self._graph.inputs["memory"], np.float32)
        self._last = silence()
        self._fresh = False              # whether `_last` has not been fed to the network yet
        self._lost = 0

    @property
    def lost(self) -> int:
        """The number of frames predicted since the last `update`."""
        return self._lost

    def update(self, feature: Array) -> None:
        """Take in a frame that was received or recovered, float32 [20]. Raises ValueError if it is not finite."""
        _check("feature", feature)
        if self._fresh:
            self._advance()
        self._last, self._fresh, self._lost = feature.astype(np.float32), True, 0

    def predict(self) -> Array:
        """Return the next lost frame, float32 [20].

        More than 60 ms away from a known frame, the level falls towards silence and the correlation decays, so that a
        long loss ends in faint noise and never in a tone.
        """
        guess = self._advance() if self._fresh else self._last
        near = self._lost
        self._last, self._fresh = guess, True
        self._lost += 1
        return self._attenuated(guess, near)

    def _attenuated(self, guess: Array, near: int) -> Array:
        """Return `guess` with the fade for a distance of `near` frames to the nearest known one."""
        shown = guess.copy()
        fall = fade(near)
        if fall > 0:
            shown[0] = max(shown[0] - fall, SILENCE_C0)
            shown[19] = -0.5 + (shown[19] + 0.5) * VOICING ** (near - HOLD + 1)
        return shown

    def _advance(self) -> Array:
        """Run the network on the last frame and return its guess of the next.

        Its inputs for a frame behind the gap stay 0.
        """
        row = self._row[0]
        row[:] = 0
        row[:FEATURES] = self._last
        row[-3], row[-2] = float(self._lost > 0), min(1.0, self._lost / LONG)
        out = self._graph(frame=self._row, memory=self._memory)
        self._memory = out["memory_out"]
        # Predictions are fed back without limit, so they are limited to the range of speech.
        return np.clip(out["next"][0], _LOW, _HIGH)


def _check(name: str, row: Array) -> None:
    if row.shape != (FEATURES,) or not np.isfinite(row).all():
        raise ValueError(f"{name}: expected 20 finite values, got {list(row.shape)}")


_LOW = np.array([SILENCE_C0] + [-13.0] * 17 + [-1.5, -0.5], np.float32)
_HIGH = np.array([20.0] + [13.0] * 17 + [1.5, 0.5], np.float32)

# SPDX-License-Identifier: BSD-2-Clause
"""The RDO-VAE as two streaming objects: features to latents, and latents to features, backwards in time."""


import numpy as np
from numpy.typing import NDArray

from dredge_models.modelset import DECODER, DECODER_ROWS, ENCODER, SHIPPED, START, ModelSet
from dredge_models.registry import ModelError
from dredge_models.tflite.runtime import TfliteModel

FEATURES = 20
FRAMES_PER_STEP = 2          # encoder: 20 ms
FRAMES_PER_LATENT = 4        # decoder: 40 ms
LEVELS = 16

Array = NDArray[np.float32]


def _fit(step: TfliteModel, several: TfliteModel) -> bool:
    """Return whether a graph decodes one latent per call, and another one several of the same kind."""
    kinds = [(g.inputs["memory"], g.inputs["coded"][1], g.outputs["features"][1]) for g in (step, several)]
    rows = [(g.inputs["coded"][0], g.outputs["features"][0]) for g in (step, several)]
    return kinds[0] == kinds[1] and rows[0] == (1, 1) and rows[1][0] == rows[1][1]


class RdoVaeEncoder:
    """The encoder, which turns every 20 ms of features into a latent and a decoder start; causal, constant cost."""

    def __init__(self, model: ModelSet = SHIPPED) -> None:
        """Load the graph; ModelError if it is missing or damaged."""
        self._graph = TfliteModel(model.file(ENCODER))
        self.latent_dim = self._graph.outputs["latent"][1]
        self.state_dim = self._graph.outputs["start"][1]
        self.reset()

    def reset(self) -> None:
        """Forget all past features."""
        self._memory = np.zeros(self._graph.inputs["memory"], np.float32)

    def push(self, features: Array) -> tuple[Array, Array]:
        """Encode features float32 [2, 20], older frame first, and return (latent float32 [L], state float32 [S]).

        The latent covers these two frames and the two before them. Raises ValueError for other shapes and for values
        that are not finite (they would stay in the network's memory).
        """
        if features.shape != (FRAMES_PER_STEP, FEATURES):
            raise ValueError(f"features: expected [2, 20], got {list(features.shape)}")
        if not np.isfinite(features).all():
            raise ValueError("features: not finite")
        frames = np.ascontiguousarray(features, np.float32).reshape(1, -1)
        out = self._graph(frames=frames, memory=self._memory)
        self._memory = out["memory_out"]
        return out["latent"][0], out["start"][0]


class RdoVaeDecoder:
    """The decoder of one chunk of latents, newest first; call `start` before the first `step`."""

    def __init__(self, model: ModelSet = SHIPPED) -> None:
        """Load the graphs; ModelError if one is missing, damaged or not made for the others."""
        self._start = TfliteModel(model.file(START))
        self._step = TfliteModel(model.file(DECODER))
        self._several = TfliteModel(model.file(DECODER_ROWS)) if model.has(DECODER_ROWS) else None
        if not _fit(self._step, self._several or self._step):
            raise ModelError(f"{DECODER}: expected one latent per call, and a {DECODER_ROWS} for the same memory; "
                             "install Dredge or import the model again")
        self.state_dim = self._start.inputs["start"][1]
        self.latent_dim = self._step.inputs["coded"][1] - 1
        self._memory: Array | None = None

    def start(self, state: Array) -> None:
        """Begin a chunk with the dequantised state float32 [S] of its newest latent."""
        if state.shape != (self.state_dim,):
            raise ValueError(f"state: expected [{self.state_dim}], got {list(state.shape)}")
        start = np.ascontiguousarray(state, np.float32).reshape(1, -1)
        self._memory = self._start(start=start)["memory"]

    def step(self, latent: Array, level: int) -> Array:
        """Decode the next older 40 ms: dequantised latent float32 [L] and level 0 … 15 to float32 [4, 20].

        Rows are oldest first. Raises ValueError for wrong shapes or before `start`.
        """
        return self.steps(latent[np.newaxis], np.array([level]))[0]

    def steps(self, latents: Array, levels: NDArray[np.int32]) -> Array:
        """Decode several latents float32 [n, L], newest first, and their levels [n] to float32 [n, 4, 20].

        It gives what n calls of `step` give, up to the rounding of float32, and costs less. Raises ValueError as `step`
        does.
        """
        if self._memory is None:
            raise ValueError("decoder: start() must come before step()")
        if latents.ndim != 2 or latents.shape[1] != self.latent_dim:
            raise ValueError(f"latent: expected [{self.latent_dim}], got {list(latents.shape[1:])}")
        if len(levels) and not 0 <= min(levels) <= max(levels) < LEVELS:
            raise ValueError(f"level: expected 0 to 15, got {min(levels)} to {max(levels)}")
        coded = np.empty((len(latents), self.latent_dim + 1), np.float32)
        coded[:, :-1] = latents
        coded[:, -1] = levels / 8 - 1
        out = []
        for graph in filter(None, (self._several, self._step)):
            rows = len(coded) - len(coded) % graph.inputs["coded"][0]
            features, self._memory = graph.along("coded", coded[:rows], "features", self._memory)
            coded = coded[rows:]
            out.append(features)
        return np.concatenate(out).reshape(-1, FRAMES_PER_LATENT, FEATURES)

    @property
    def memory(self) -> Array | None:
        """The decoder's memory, to continue a chunk later with `resume`."""
        return self._memory

    def resume(self, memory: Array | None) -> None:
        """Restore a value of `memory`, so that several chunks can share one decoder."""
        self._memory = memory

# SPDX-License-Identifier: BSD-2-Clause
"""The RDO-VAE in plain NumPy from the float16 master weights: the yardstick for the TFLite graphs.

Slow and simple on purpose; the same interfaces as `rdovae`.
"""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dredge_models.registry import ModelError, ModelFile, weight_file

Array = NDArray[np.float32]


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    return (0.5 + 0.5 * np.tanh(0.5 * x)).astype(np.float32)


class _Stages:
    """The GRU + convolution stages of one side, with their memory."""

    def __init__(self, weights: dict[str, Array], side: str, dilations: list[int]) -> None:
        self.weights, self.side, self.dilations = weights, side, dilations
        self.states: list[Array] = []
        self.lines: list[Array] = []
        self.reset()

    def reset(self) -> None:
        """All memory to zero."""
        for i, dilation in enumerate(self.dilations):
            size = self.weights[f"{self.side}.grus.{i}.cell.weight_hh_l0"].shape[1]
            line = np.zeros((dilation, len(self._of(i, "convs", "dense.bias"))), np.float32)
            self.states[i:i + 1] = [np.zeros(size, np.float32)]
            self.lines[i:i + 1] = [line]

    def _of(self, stage: int, kind: str, name: str) -> Array:
        return self.weights[f"{self.side}.{kind}.{stage}.{name}"]

    def _gru(self, stage: int, x: Array) -> Array:
        h = self.states[stage]
        n = len(h)
        given = self._of(stage, "grus", "cell.weight_ih_l0") @ x
        given += self._of(stage, "grus", "cell.bias_ih_l0")
        own = self._of(stage, "grus", "cell.weight_hh_l0") @ h
        own += self._of(stage, "grus", "cell.bias_hh_l0")
        gates = sigmoid(given[: 2 * n] + own[: 2 * n])
        fresh = np.tanh(given[2 * n :] + gates[:n] * own[2 * n :])
        self.states[stage] = fresh + gates[n:] * (h - fresh)
        return self.states[stage]

    def _conv(self, stage: int, x: Array) -> Array:
        now = np.tanh(self._of(stage, "convs", "dense.weight") @ x
                      + self._of(stage, "convs", "dense.bias"))
        line = self.lines[stage]
        taps = np.concatenate([line[0], now])
        self.lines[stage] = np.concatenate([line[1:], now[None]])
        return np.tanh(self._of(stage, "convs", "taps.weight") @ taps
                       + self._of(stage, "convs", "taps.bias"))

    def __call__(self, x: Array) -> Array:
        for i in range(len(self.dilations)):
            y = self._gru(i, x)
            gate = self.weights.get(f"{self.side}.gates.{i}.weight")
            x = np.concatenate([x, y if gate is None else y * sigmoid(gate @ y)])
            x = np.concatenate([x, self._conv(i, x)])
        return x


def load_master(path: Path | None = None) -> tuple[dict[str, Array], dict]:
    """(weights as float32, layer sizes) of a master file, the shipped one by default."""
    file = ModelFile.of(path) if path else weight_file("rdovae.npz")
    arrays = file.arrays()
    try:
        config = json.loads(str(arrays.pop("config")))
        return {name: values.astype(np.float32) for name, values in arrays.items()}, config
    except (KeyError, ValueError) as error:
        raise ModelError(f"{file.name}: not usable as RDO-VAE weights ({error})") from None


class NumpyRdoVaeEncoder:
    """Reference of rdovae.RdoVaeEncoder."""

    def __init__(self, master: Path | None = None) -> None:
        self.weights, config = load_master(master)
        self._stages = _Stages(self.weights, "encoder", list(config["enc_dilations"]))

    def reset(self) -> None:
        """Forgets all past features."""
        self._stages.reset()

    def push(self, features: Array) -> tuple[Array, Array]:
        """features float32 [2, 20] -> (latent [L], state [S])."""
        w = self.weights
        x = np.tanh(w["encoder.dense.weight"] @ features.reshape(-1) + w["encoder.dense.bias"])
        x = self._stages(x)
        hidden = np.tanh(w["encoder.state_hidden.weight"] @ x + w["encoder.state_hidden.bias"])
        return (w["encoder.latent.weight"] @ x + w["encoder.latent.bias"],
                w["encoder.state.weight"] @ hidden + w["encoder.state.bias"])


class NumpyRdoVaeDecoder:
    """Reference of rdovae.RdoVaeDecoder."""

    def __init__(self, master: Path | None = None) -> None:
        self.weights, config = load_master(master)
        self._stages = _Stages(self.weights, "decoder", [1] * config["dec_stages"])

    def start(self, state: Array) -> None:
        """Begins a chunk with the dequantised state [S]."""
        w = self.weights
        hidden = np.tanh(w["decoder.init_hidden.weight"] @ state + w["decoder.init_hidden.bias"])
        states = np.tanh(w["decoder.init.weight"] @ hidden + w["decoder.init.bias"])
        self._stages.reset()
        self._stages.states = list(states.reshape(len(self._stages.dilations), -1))

    def step(self, latent: Array, level: int) -> Array:
        """Next older 40 ms -> float32 [4, 20], oldest first."""
        w = self.weights
        coded = np.append(latent, np.float32(level / 8 - 1)).astype(np.float32)
        x = np.tanh(w["decoder.dense.weight"] @ coded + w["decoder.dense.bias"])
        x = np.concatenate([self._stages(x), latent])
        return (w["decoder.out.weight"] @ x + w["decoder.out.bias"]).reshape(4, 20)

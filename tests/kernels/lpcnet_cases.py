# SPDX-License-Identifier: BSD-2-Clause
"""Random small vocoders, and the sample loop once more in NumPy float32, operation for operation."""

from __future__ import annotations

import numpy as np

F32 = np.float32
SLOTS, LEVELS = 6, 256


def random_matrix(rng: np.random.Generator, name: str, outputs: int, inputs: int, density: float) -> dict:
    used = rng.random((outputs // 8, inputs // 4)) < density
    column = np.broadcast_to(np.arange(inputs // 4, dtype=np.uint8), used.shape)[used]
    blocks = rng.integers(-127, 128, (int(used.sum()), 8, 4)).astype(np.int8)
    scale = rng.uniform(0.2, 1.0, outputs).astype(F32) / F32(127 * 127 * max(1.0, inputs * density / 8))
    return {f"{name}_blocks": blocks, f"{name}_column": column,
            f"{name}_count": used.sum(1).astype(np.uint16), f"{name}_scale": scale}


def random_net(seed: int, a: int = 16, b: int = 8, density: float = 0.5) -> dict:
    """Arrays of a legal vocoder of any size; its output is noise that depends on every array."""
    rng = np.random.default_rng(seed)

    def real(*shape: int, scale: float = 0.3) -> np.ndarray:
        return rng.normal(0, scale, shape).astype(F32)

    c, e = 8, 4
    arrays = {
        "table": rng.integers(-127, 128, (SLOTS, LEVELS, 3 * a)).astype(np.int8),
        "table_scale": rng.uniform(0.001, 0.01, (SLOTS, 3 * a)).astype(F32),
        "bias_a": real(a), "bias_b": real(b),
        "tree": rng.integers(-127, 128, (2, LEVELS, b)).astype(np.int8),
        "tree_scale": np.full((2, LEVELS), 1e-4, F32),
        "tree_bias": real(2, LEVELS), "tree_gain": real(2, LEVELS, scale=1.0),
        "pitch": real(257, e), "conv1": real(3 * (20 + e), c), "conv1_bias": real(c),
        "conv2": real(3 * c, c), "conv2_bias": real(c), "dense1": real(c, c), "dense1_bias": real(c),
        "dense2": real(c, c), "dense2_bias": real(c), "cond_a": real(c, 3 * a), "cond_a_bias": real(3 * a),
        "cond_b": real(c, 3 * b), "cond_b_bias": real(3 * b),
    }
    for name, outputs, inputs in (("recur_a", 3 * a, a), ("input_b", 3 * b, a), ("recur_b", 3 * b, b)):
        arrays |= random_matrix(rng, name, outputs, inputs, density)
    return arrays


def dense(arrays: dict, name: str, inputs: int) -> np.ndarray:
    """The integer matrix [outputs, inputs] that a block list stands for."""
    count = arrays[f"{name}_count"]
    w = np.zeros((8 * len(count), inputs), np.int64)
    n = 0
    for strip, blocks in enumerate(count):
        for _ in range(blocks):
            at = 4 * int(arrays[f"{name}_column"][n])
            w[8 * strip : 8 * strip + 8, at : at + 4] += arrays[f"{name}_blocks"][n]
            n += 1
    return w


def tanh(x: np.ndarray) -> np.ndarray:
    s = x * x
    p = x * (F32(135135) + s * (F32(17325) + s * (F32(378) + s)))
    q = F32(135135) + s * (F32(62370) + s * (F32(3150) + s * F32(28)))
    return np.clip(p / q, F32(-1), F32(1))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return F32(0.5) + F32(0.5) * tanh(F32(0.5) * np.clip(x, F32(-12), F32(12)))


def gru(total: np.ndarray, scale: np.ndarray, x: list, bias: np.ndarray, h: np.ndarray) -> np.ndarray:
    """x: input sums r, z, n; total: integer recurrent sums r, z, n."""
    n = len(h)
    s = total.astype(F32) * scale
    r, z = sigmoid(x[0] + s[:n]), sigmoid(x[1] + s[n : 2 * n])
    new = tanh(np.clip(x[2] + r * (s[2 * n :] + bias), F32(-8), F32(8)))
    return new + z * (h - new)


def quantise(h: np.ndarray) -> np.ndarray:
    return (F32(127) * h + F32(128.5)).astype(np.int32) - 128


class Reference:
    """The network of one sample; conditioning comes in as plain vectors."""

    def __init__(self, arrays: dict) -> None:
        self.w = arrays
        self.a = np.zeros(len(arrays["bias_a"]), F32)
        self.b = np.zeros(len(arrays["bias_b"]), F32)
        self.recur_a, self.input_b = dense(arrays, "recur_a", len(self.a)), dense(arrays, "input_b", len(self.a))
        self.recur_b = dense(arrays, "recur_b", len(self.b))

    def step(self, cond_a: np.ndarray, cond_b: np.ndarray, code: list[int]) -> None:
        w, n, m = self.w, len(self.a), len(self.b)
        x = cond_a.copy()
        for k in range(SLOTS):
            x = x + w["table"][k, code[k]].astype(F32) * w["table_scale"][k]
        gates = [x[n : 2 * n], x[2 * n :], x[:n]]
        self.a = gru(self.recur_a @ quantise(self.a), w["recur_a_scale"], gates, w["bias_a"], self.a)
        y = cond_b + (self.input_b @ quantise(self.a)).astype(F32) * w["input_b_scale"]
        total = self.recur_b @ quantise(self.b)
        self.b = gru(total, w["recur_b_scale"], [y[:m], y[m : 2 * m], y[2 * m :]], w["bias_b"], self.b)

    def branch(self, half: int, node: int) -> np.float32:
        w = self.w
        total = F32(int(w["tree"][half, node].astype(np.int64) @ quantise(self.b)))
        x = np.clip(total * w["tree_scale"][half, node] + w["tree_bias"][half, node], F32(-8), F32(8))
        return w["tree_gain"][half, node] * tanh(x)

    def sample(self, sharpness: np.float32, dice: int, threshold: np.ndarray) -> int:
        node = 1
        for bit in range(8):
            logit = sharpness * (self.branch(0, node) + self.branch(1, node))
            node = 2 * node + int(logit > threshold[(dice >> (8 * bit)) & 255])
        return node - 256

# SPDX-License-Identifier: BSD-2-Clause
"""Random small vocoders, and the sample loop once more in NumPy float32, operation for operation."""

from __future__ import annotations

import numpy as np

from dredge_kernels.lpcnet_weights import WEIGHT

F32 = np.float32
SLOTS_A, ROWS_A, SLOTS_B, LEVELS = 8, 128, 3, 256
TANH_GAIN = F32(32768) / F32(4.5)  # pre-activation -> int16
GAIN = {"r": F32(0.5) * TANH_GAIN, "z": F32(0.5) * TANH_GAIN, "n": TANH_GAIN}
R_TIMES = TANH_GAIN / F32(32768)  # for what is multiplied by r, which comes times 32768
TANH = np.array([
    [0, 8977, 16707, 22540, 26522, 29057, 30601, 31515, 32048, 32356, 32533, 32634, 32691, 32724, 32743, 32754],
    [9314, 8590, 6817, 4817, 3136, 1935, 1156, 677, 392, 225, 129, 74, 42, 24, 14, 8],
    [-325, -858, -987, -839, -604, -394, -243, -145, -85, -49, -28, -16, -9, -5, -3, -2]])


def random_matrix(rng: np.random.Generator, name: str, outputs: int, inputs: int, density: float) -> dict:
    used = rng.random((outputs // 8, inputs // 4)) < density
    column = np.broadcast_to(np.arange(inputs // 4, dtype=np.uint8), used.shape)[used]
    blocks = rng.integers(-WEIGHT, WEIGHT + 1, (int(used.sum()), 8, 4)).astype(np.int8)
    scale = rng.uniform(0.2, 1.0, outputs).astype(F32) / F32(127 * WEIGHT * max(1.0, inputs * density / 8))
    return {f"{name}_blocks": blocks, f"{name}_column": column,
            f"{name}_count": used.sum(1).astype(np.uint16), f"{name}_scale": scale}


def random_net(seed: int, a: int = 32, b: int = 8, density: float = 0.5) -> dict:
    """Arrays of a legal vocoder of any size; its output is noise that depends on every array."""
    rng = np.random.default_rng(seed)

    def real(*shape: int, scale: float = 0.3) -> np.ndarray:
        return rng.normal(0, scale, shape).astype(F32)

    c, e = 8, 4
    arrays = {
        "table": rng.integers(-127, 128, (SLOTS_A, ROWS_A, 3 * a)).astype(np.int8),
        "table_scale": rng.uniform(0.001, 0.01, 3 * a).astype(F32),
        "table_b": rng.integers(-127, 128, (SLOTS_B, LEVELS, 3 * b)).astype(np.int8),
        "table_b_scale": rng.uniform(0.001, 0.01, 3 * b).astype(F32),
        "bias_a": real(a), "bias_b": real(b),
        "tree": rng.integers(-WEIGHT, WEIGHT + 1, (2, LEVELS, b)).astype(np.int8),
        "tree_scale": np.full((2, LEVELS), 1e-4, F32),
        "tree_bias": real(2, LEVELS), "tree_gain": real(2, LEVELS, scale=1.0),
        "pitch": real(257, e).astype(np.float16),
    }
    for name, inputs, outputs in (("conv1", 3 * (20 + e), c), ("conv2", 3 * c, c), ("dense1", c, c), ("dense2", c, c),
                                  ("cond_a", c, 3 * a), ("cond_b", c, 3 * b)):
        arrays |= {name: real(inputs, outputs).astype(np.float16), f"{name}_bias": real(outputs)}
    for name, outputs, inputs in (("recur_a", 3 * a, a), ("input_b", 6 * b, a), ("recur_b", 3 * b, b)):
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


def times(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Rounded product of two Q15 numbers."""
    return (x * y + 0x4000) >> 15


def tanh16(x: np.ndarray) -> np.ndarray:
    """int16 -> 32768 tanh, as integers."""
    size = np.minimum(np.abs(x.astype(np.int64)), 32767)
    i, d = size >> 11, (size & 2047) << 4
    return np.sign(x) * (TANH[0, i] + times(d, TANH[1, i] + times(d, TANH[2, i])))


def to_int16(x: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(x), -32768, 32767).astype(np.int64)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return ((tanh16(to_int16(x)) >> 1) + 16384).astype(F32)


def tanh(x: np.ndarray) -> np.ndarray:
    return tanh16(to_int16(x)).astype(F32)


def scaled(v: np.ndarray, gates: str = "rzn") -> dict[str, np.ndarray]:
    """One third of v per gate, times the gain of its activation."""
    return {g: part * GAIN[g] for g, part in zip(gates, np.split(v, 3), strict=True)}


class Gru:
    """Reset-after; everything times 32768."""

    def __init__(self, arrays: dict, name: str, table: str, gates: str) -> None:
        self.h = np.zeros(len(arrays[f"bias_{name}"]), F32)
        self.table, self.gates = arrays[table], gates
        self.table_scale = scaled(arrays[f"{table}_scale"], gates)
        self.weights = dense(arrays, f"recur_{name}", len(self.h))
        r, z, n = np.split(arrays[f"recur_{name}_scale"], 3)
        self.scale = np.concatenate([r * GAIN["r"], z * GAIN["z"], n * R_TIMES])
        self.bias = arrays[f"bias_{name}"] * R_TIMES

    def inputs(self) -> np.ndarray:
        """What other layers see of the state."""
        return np.rint(self.h * (F32(127) / F32(32768))).astype(np.int64)

    def step(self, outside: dict[str, np.ndarray], code: list[int]) -> None:
        rows = sum(self.table[k, c].astype(np.int64) for k, c in enumerate(code))
        row = dict(zip(self.gates, np.split(rows.astype(F32), 3), strict=True))
        x = {g: outside[g] + row[g] * self.table_scale[g] for g in "rzn"}
        r, z, n = np.split((self.weights @ self.inputs()).astype(F32) * self.scale, 3)
        r, z = sigmoid(x["r"] + r), sigmoid(x["z"] + z) * F32(1 / 32768)
        new = tanh(x["n"] + r * (n + self.bias))
        self.h = new + z * (self.h - new)


class Reference:
    """The networks of two samples; conditioning comes in as plain vectors."""

    def __init__(self, arrays: dict) -> None:
        self.w = arrays
        self.a, self.b = Gru(arrays, "a", "table", "nrz"), Gru(arrays, "b", "table_b", "rzn")
        self.input_b = dense(arrays, "input_b", len(self.a.h))
        self.both: list[dict[str, np.ndarray]] = []

    def pair(self, cond_a: np.ndarray, cond_b: np.ndarray, code: list[int]) -> None:
        self.a.step(scaled(cond_a, "nrz"), [c >> 1 for c in code])
        total, cond = (self.input_b @ self.a.inputs()).astype(F32), scaled(cond_b)
        self.both = []
        for sums, scale in zip(np.split(total, 2), np.split(self.w["input_b_scale"], 2), strict=True):
            part, factor = dict(zip("rzn", np.split(sums, 3), strict=True)), scaled(scale)
            self.both.append({g: cond[g] + part[g] * factor[g] for g in "rzn"})

    def single(self, half: int, code: list[int]) -> None:
        self.b.step(self.both[half], code)

    def branch(self, half: int, node: int) -> np.float32:
        w = self.w
        total = F32(int(w["tree"][half, node].astype(np.int64) @ self.b.inputs()))
        x = total * (w["tree_scale"][half, node] * TANH_GAIN) + w["tree_bias"][half, node] * TANH_GAIN
        return w["tree_gain"][half, node] * F32(1 / 32768) * tanh(np.array([x]))[0]

    def sample(self, sharpness: np.float32, dice: int, threshold: np.ndarray) -> int:
        node = 1
        for bit in range(8):
            logit = sharpness * (self.branch(0, node) + self.branch(1, node))
            node = 2 * node + int(logit > threshold[(dice >> (8 * bit)) & 255])
        return node - 256


def predict(lpc: np.ndarray, memory: np.ndarray) -> np.float32:
    """memory: 16 samples, newest last; sums of halves until one is left, the newest sample at the very end."""
    x = np.concatenate([[F32(0)], memory[:-1] * lpc[:0:-1]]).astype(F32)
    while len(x) > 1:
        x = x[: len(x) // 2] + x[len(x) // 2 :]
    return -(x[0] + lpc[0] * memory[-1])

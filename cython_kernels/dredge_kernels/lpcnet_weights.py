# SPDX-License-Identifier: BSD-2-Clause
"""Checks the arrays of a vocoder model before any compiled code reads them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

SLOTS_A, LEVELS_A = 8, 128  # two mu-law codes share a row
SLOTS_B, LEVELS = 3, 256
NB_FEATURES = 20
MAX_A, MAX_B, MAX_COND = 512, 64, 256
MAX_STRIPS = 3 * MAX_A // 8
DENSE = ("conv1", "conv2", "dense1", "dense2", "cond_a", "cond_b")
WEIGHT = 64  # largest of a matrix or of the tree: the kernels add several products of it in 16 bits
LIMIT = 1024.0  # of each term of a pre-activation: far beyond saturation, small enough for exact conversions

Arrays = Mapping[str, NDArray]


def _fits(got: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    """Whether a shape has the wanted lengths; None stands for any.

    No generator is used: Python 3.13 frees a generator's code once too often when its allocation fails.
    """
    return got == tuple([g if w is None else w for g, w in zip(got, wanted, strict=False)]) and len(got) == len(wanted)


def _need(arrays: Arrays, name: str, dtype: type, shape: tuple[int | None, ...]) -> NDArray:
    if name not in arrays:
        raise ValueError(f"vocoder weights: array {name!r} is missing")
    a = np.array(arrays[name], order="C")  # a copy: what is checked is what is packed
    if not _fits(a.shape, shape) or a.dtype != dtype:
        raise ValueError(
            f"vocoder weights: {name}: expected {np.dtype(dtype)} {shape}, got {a.dtype} {a.shape}"
        )
    if a.dtype == np.int8 and a.size and a.min() < -127:
        raise ValueError(f"vocoder weights: {name}: -128 is not allowed (kernels need [-127, 127])")
    if a.dtype.kind == "f" and not np.isfinite(a).all():
        raise ValueError(f"vocoder weights: {name}: values must be finite")
    return a


def checked_matrix(arrays: Arrays, name: str, inputs: int) -> dict[str, NDArray]:
    """Return the four arrays of one sparse matrix, contiguous, of any number of outputs. Raises ValueError."""
    count = _need(arrays, f"{name}_count", np.uint16, (None,))
    if not 0 < len(count) <= MAX_STRIPS:
        raise ValueError(f"vocoder weights: {name}_count: expected 1 to {MAX_STRIPS} strips, got {len(count)}")
    return _matrix(arrays, name, 8 * len(count), inputs)


def _matrix(arrays: Arrays, name: str, outputs: int, inputs: int) -> dict[str, NDArray]:
    blocks = _need(arrays, f"{name}_blocks", np.int8, (None, 8, 4))
    _small(f"{name}_blocks", blocks)
    column = _need(arrays, f"{name}_column", np.uint8, (len(blocks),))
    count = _need(arrays, f"{name}_count", np.uint16, (outputs // 8,))
    scale = _need(arrays, f"{name}_scale", np.float32, (outputs,))
    if int(count.sum()) != len(blocks):
        raise ValueError(f"vocoder weights: {name}_count: sums to {count.sum()}, but there are {len(blocks)} blocks")
    if len(column) and int(column.max()) * 4 + 4 > inputs:
        raise ValueError(f"vocoder weights: {name}_column: block beyond the {inputs} inputs")
    strips = np.abs(blocks.astype(np.int64)).sum(axis=2)
    rows = np.zeros((outputs // 8, 8), np.int64)
    for row, (first, end) in zip(rows, pairwise(accumulate(count.tolist(), initial=0)), strict=True):
        row += strips[first:end].sum(axis=0)
    _bounded(f"{name}_scale", scale, 127.0 * rows.ravel().astype(np.float64))
    return {f"{name}_blocks": blocks, f"{name}_column": column, f"{name}_count": count, f"{name}_scale": scale}


def _table(arrays: Arrays, name: str, slots: int, levels: int, outputs: int) -> dict[str, NDArray]:
    table = _need(arrays, name, np.int8, (slots, levels, outputs))
    scale = _need(arrays, f"{name}_scale", np.float32, (outputs,))
    _bounded(f"{name}_scale", scale, np.full(outputs, 127.0 * slots))
    return {name: table, f"{name}_scale": scale}


def _tree(arrays: Arrays, b: int) -> dict[str, NDArray]:
    out = {"tree": _need(arrays, "tree", np.int8, (2, LEVELS, b))}
    _small("tree", out["tree"])
    for name in ("tree_scale", "tree_bias", "tree_gain"):
        out[name] = _need(arrays, name, np.float32, (2, LEVELS))
    _bounded("tree_scale", out["tree_scale"], np.full((2, LEVELS), 127.0 * WEIGHT * b))
    _bounded("tree_bias", out["tree_bias"])
    return out


def _small(name: str, weights: NDArray) -> None:
    if weights.size and (weights.max() > WEIGHT or weights.min() < -WEIGHT):
        raise ValueError(f"vocoder weights: {name}: expected [-{WEIGHT}, {WEIGHT}]; export the model again")


def _bounded(name: str, values: NDArray, largest: NDArray | float = 1.0) -> None:
    """Raise ValueError when a value (real numbers) times ``largest`` (float64) is beyond LIMIT.

    NumPy ends the process when an allocation fails in sums of unlike types, np.add.at or np.cumsum: none is used.
    """
    worst = float(np.max(np.abs(values.astype(np.float64)) * largest, initial=0.0))
    if worst > LIMIT:
        raise ValueError(f"vocoder weights: {name}: expected terms up to {LIMIT:g}, but {worst:.4g} is possible")


def _sizes(arrays: Arrays) -> tuple[int, int]:
    a = _need(arrays, "bias_a", np.float32, (None,)).shape[0]
    b = _need(arrays, "bias_b", np.float32, (None,)).shape[0]
    if not (0 < a <= MAX_A and a % 32 == 0):
        raise ValueError(f"vocoder weights: bias_a: expected a multiple of 32 up to {MAX_A} units, got {a}")
    if not (0 < b <= MAX_B and b % 8 == 0):
        raise ValueError(f"vocoder weights: bias_b: expected a multiple of 8 up to {MAX_B} units, got {b}")
    return a, b


def checked(arrays: Arrays) -> dict[str, NDArray]:
    """Return the contiguous arrays of the exact dtypes and shapes the kernels read.

    Matrices of the frame-rate network are float16, other real numbers float32. Raises ValueError naming the array, what
    was expected and what came.
    """
    given = dict(arrays)
    a, b = _sizes(given)
    out = {"bias_a": _need(given, "bias_a", np.float32, (a,)), "bias_b": _need(given, "bias_b", np.float32, (b,))}
    for name, bias in out.items():
        _bounded(name, bias)
    out |= _table(given, "table", SLOTS_A, LEVELS_A, 3 * a)
    out |= _table(given, "table_b", SLOTS_B, LEVELS, 3 * b)
    for name, outputs, inputs in (("recur_a", 3 * a, a), ("input_b", 6 * b, a), ("recur_b", 3 * b, b)):
        out |= _matrix(given, name, outputs, inputs)
    out |= _tree(given, b)
    out["pitch"] = _need(given, "pitch", np.float16, (257, None))
    return out | _frame_layers(given, out["pitch"].shape[1], 3 * a, 3 * b)


def _frame_layers(given: Arrays, embedding: int, outputs_a: int, outputs_b: int) -> dict[str, NDArray]:
    out: dict[str, NDArray] = {}
    inputs = 3 * (NB_FEATURES + embedding)
    for name in DENSE:
        outputs = {"cond_a": outputs_a, "cond_b": outputs_b}.get(name)
        w = _need(given, name, np.float16, (inputs, outputs))
        out[name] = w
        out[f"{name}_bias"] = _need(given, f"{name}_bias", np.float32, (w.shape[1],))
        if name == "conv1":
            inputs = 3 * w.shape[1]
        elif name not in ("cond_a", "cond_b"):
            inputs = w.shape[1]
        if outputs is None and w.shape[1] > MAX_COND:
            raise ValueError(f"vocoder weights: {name}: at most {MAX_COND} units, got {w.shape[1]}")
    if NB_FEATURES + embedding > MAX_COND:
        raise ValueError(f"vocoder weights: pitch: embedding of {embedding} is too wide")
    return out


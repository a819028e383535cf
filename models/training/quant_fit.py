# SPDX-License-Identifier: BSD-2-Clause
"""Fits the probability tables of a trained quantiser to the symbols that it produces.

The entropy coder (dredge_kernels.payload) codes a value as zero/sign with p0/256 for zero, then the
magnitude in base 7 with decay r/256 per unit; fitting its two numbers per dimension and level to
counted symbols costs fewer bits than using the smooth rate model of the training.
"""

import numpy as np

ONE = 32768                        # the coder's 15-bit total


def magnitude_bits(r: np.ndarray) -> np.ndarray:
    """Return the bits of magnitude-1 symbols 0…6 and of the escape (7), [..., 8] for uint8 r [...]."""
    d = r.astype(np.int64) << 7
    tail = [np.full(d.shape, ONE), np.maximum(7, d)]
    for k in range(1, 7):
        tail.append(np.maximum(7 - k, (tail[-1] * d) >> 15))
    tail.append(np.zeros(d.shape, np.int64))
    counts = -np.diff(np.stack(tail, -1), axis=-1)
    return -np.log2(np.maximum(counts, 1) / ONE)


def value_bits(values: np.ndarray, p0: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Return the bits [n, dims] of integer values [n, dims] with tables uint8 [dims].

    Where r is 0 or p0 is 255 nothing is coded (and the value must be 0).
    """
    zero = (p0.astype(np.int64) << 7)
    half = (ONE - zero) // 2
    magnitude = np.abs(values) - 1
    escapes, rest = np.divmod(np.maximum(magnitude, 0), 7)
    table = magnitude_bits(r)
    dims = np.arange(values.shape[1])
    tail = escapes * table[dims, 7] + table[dims, rest]
    sign = -np.log2(np.maximum(np.where(values > 0, ONE - zero - half, half), 1) / ONE)
    bits = np.where(values == 0, -np.log2(np.maximum(zero, 1) / ONE), sign + tail)
    return np.where((r == 0) | (p0 == 255), 0.0, bits)


def fit(values: np.ndarray, drop: float = 0.002) -> tuple[np.ndarray, np.ndarray]:
    """Return (p0, r) uint8 [dims] for integer values [n, dims]; r = 0 where hardly any is nonzero."""
    n = len(values)
    nonzero = (values != 0).sum(0)
    p0 = np.clip(np.round(256 * (n - nonzero) / max(1, n)), 1, 254).astype(np.uint8)
    total = np.abs(values).sum(0)
    # Maximum likelihood of a geometric magnitude 1, 2, …: mean = 1 / (1 - r).
    decay = 1 - nonzero / np.maximum(1, total)
    r = np.clip(np.round(256 * decay), 1, 254).astype(np.uint8)
    r[nonzero <= drop * n] = 0
    return p0, r

# SPDX-License-Identifier: BSD-2-Clause
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

HOP: int
CONTEXT: int

def simd_levels() -> list[str]:
    """Levels this build has and this processor can run, cheapest first."""

def simd_level() -> str:
    """Return the level in use: DREDGE_SIMD if set (ValueError when it is not available), else the fastest."""

class Weights:
    """A network's weights, packed for one SIMD level. Read-only from then on: any number of vocoders in any number of
    threads may share them.
    """

    level: str
    packed_bytes: int

    def __init__(self, arrays: Mapping[str, NDArray], level: str | None = None) -> None:
        """arrays: see lpcnet_weights.checked; they are copied. level: the fastest by default.

        Raises ValueError on wrong arrays or an unavailable level, MemoryError, and RuntimeError if called again.
        """

class Lpcnet:
    """One vocoder: weights, recurrent state and random source. One thread at a time may use it: a call while
    another thread is inside raises RuntimeError.

    All methods take features float32 [n + 4, 20]: two frames of context before and after the n frames of 10 ms
    that are produced or followed. Source: LPCNet (arXiv 1810.11846) with hierarchical sampling (2202.11169) and two
    samples per step of its large layer (2008.04574).
    """

    level: str

    def __init__(self, source: Weights | Mapping[str, NDArray], level: str | None = None) -> None:
        """source: weights to share, or arrays to pack for this object alone.

        Raises ValueError on wrong arrays, an unavailable level, or one that the weights are not packed for.
        """

    @property
    def packed_bytes(self) -> int:
        """Memory of the packed weights, shared or not."""

    def reset(self, seed: int = 1) -> None:
        """Zero state, silent history, random source from the seed."""

    def force(self, features: NDArray[np.float32], pcm: NDArray[np.int16], last: int | None = None) -> None:
        """Run the network along int16 [160 n] real samples, so that it can go on from them.

        last: only along so many of them, an even number (ValueError for others); those before it become excitation
        history, which is cheap. The network's state before them is the one that it had.
        """

    def synthesise(self, features: NDArray[np.float32]) -> NDArray[np.int16]:
        """Generate int16 [160 n]."""

def sparse_product(
    arrays: Mapping[str, NDArray], name: str, x: NDArray[np.int8], level: str | None = None
) -> NDArray[np.int32]:
    """Integer sums of one block-sparse matrix (for tests: every level must agree)."""

def tanh16(x: NDArray[np.int16], level: str | None = None) -> NDArray[np.int16]:
    """Return the activation in integers, 4.5 / 32768 per step -> 32768 tanh (for tests); whole groups of 16 values."""

def to_ulaw(x: float) -> int:
    """8-bit mu-law code of a sample at int16 scale."""

def from_ulaw(u: int) -> float:
    """Sample at int16 scale of an 8-bit mu-law code."""

# SPDX-License-Identifier: BSD-2-Clause
"""Weight matrices of a graph: float32, or int8 with one scale per row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Int8Rows:
    """A weight matrix [out, in] as int8 with one float32 scale per row."""

    values: NDArray[np.int8]
    scales: NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, int]:
        """[out, in]."""
        return self.values.shape[0], self.values.shape[1]

    def take(self, rows: NDArray | slice) -> Int8Rows:
        """Return a matrix of some of the rows, in the order given."""
        return Int8Rows(np.ascontiguousarray(self.values[rows]), self.scales[rows])

    def columns(self, part: slice) -> Int8Rows:
        """Return a matrix of some of the columns, with the same scales."""
        return Int8Rows(np.ascontiguousarray(self.values[:, part]), self.scales)

    def dense(self) -> NDArray[np.float32]:
        """Return the same weights, float32 [out, in]."""
        return self.values.astype(np.float32) * self.scales[:, None]


Matrix = Int8Rows | NDArray[np.float32]

# SPDX-License-Identifier: BSD-2-Clause
"""Tensors of one graph joined and split, along rows and columns.

Needs `flatbuffers` and the schema module inside `ai-edge-litert`, both only when exporting or importing a model
(`dredge extras add import`).
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from dredge_models.tflite.subgraph import Subgraph, Type

Op = schema.BuiltinOperator
Options = schema.BuiltinOptions


class Layout(Subgraph):
    """Operators that only move values."""

    def __init__(self, description: str) -> None:
        super().__init__(description)
        self._axes: dict[int, int] = {}

    def concat(self, tensors: list[int]) -> int:
        """Concatenate tensors of equally many rows along the last axis."""
        return self._joined(tensors, 1, [self.rows(tensors[0]), sum(self.width(t) for t in tensors)])

    def join_rows(self, rows: list[int]) -> int:
        """Concatenate tensors of one width along the first axis."""
        while len(rows) > 1:
            together = 3 if len(rows) % 3 == 0 else 2
            groups = [rows[i : i + together] for i in range(0, len(rows), together)]
            rows = [
                self._joined(group, 0, [sum(self.rows(t) for t in group), self.width(group[0])])
                if len(group) > 1 else group[0] for group in groups
            ]
        return rows[0]

    def split(self, x: int, sizes: list[int]) -> list[int]:
        """Split a tensor along the last axis."""
        if sum(sizes) != self.width(x):
            raise ValueError(f"split: sizes sum to {sum(sizes)}, input has {self.width(x)}")
        if len(sizes) == 1:
            return [x]
        axis = self._axis(1)
        results = [self.tensor([self.rows(x), n]) for n in sizes]
        if len(set(sizes)) == 1 and len(sizes) <= 4:
            # XNNPACK supports SPLIT but not SPLIT_V, so even splits keep the graph in one partition.
            self._even(x, axis, results)
        else:
            uneven = schema.SplitVOptionsT()
            uneven.numSplits = len(sizes)
            counts = self.constant(np.array(sizes, np.int32), Type.INT32)
            self.operator(Op.SPLIT_V, [x, counts, axis], results, uneven, Options.SplitVOptions)
        return results

    def split_rows(self, x: int) -> list[int]:
        """Split a tensor into its rows, in even parts as XNNPACK supports them."""
        rows = self.rows(x)
        if rows == 1:
            return [x]
        parts = next((n for n in (2, 3) if rows % n == 0), None)
        if parts is None:
            raise ValueError(f"split_rows: expected a number of rows with the factors 2 and 3 alone, got {rows}")
        axis = self._axis(0)
        results = [self.tensor([rows // parts, self.width(x)]) for _ in range(parts)]
        self._even(x, axis, results)
        return [row for part in results for row in self.split_rows(part)]

    def _joined(self, tensors: list[int], axis: int, shape: list[int]) -> int:
        options = schema.ConcatenationOptionsT()
        options.axis = axis
        return self.operator(Op.CONCATENATION, tensors, [self.tensor(shape)], options, Options.ConcatenationOptions)

    def _even(self, x: int, axis: int, results: list[int]) -> None:
        even = schema.SplitOptionsT()
        even.numSplits = len(results)
        self.operator(Op.SPLIT, [axis, x], results, even, Options.SplitOptions)

    def _axis(self, axis: int) -> int:
        if axis not in self._axes:
            self._axes[axis] = self.constant(np.array(axis, np.int32), Type.INT32)
        return self._axes[axis]

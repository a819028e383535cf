# SPDX-License-Identifier: BSD-2-Clause
"""Writes small .tflite graphs directly as flatbuffers: without TensorFlow and reproducible byte for byte.

Needs `flatbuffers` and the schema module inside `ai-edge-litert`, both only when exporting or importing a model
(`dredge extras add import`).
Weights are stored as float32, or as int8 with one scale per output row and a DEQUANTIZE node that
the runtime folds when it loads the model ("int8 weights, float maths").
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from dredge_models.tflite.matrix import Int8Rows, Matrix
from dredge_models.tflite.subgraph import Subgraph, Type

Op = schema.BuiltinOperator
Options = schema.BuiltinOptions
SMALL = 4096                   # weights with fewer values stay float32: rounding harms input layers most


class Graph(Subgraph):
    """Layers on top of tensors and operators. int8: larger weights are stored as int8."""

    def __init__(self, description: str, int8: bool) -> None:
        super().__init__(description)
        self.int8 = int8
        self._axis: int | None = None

    def weight(self, matrix: Matrix) -> int:
        """Add a weight [out, in] in the graph's storage type; int8 rows are stored unchanged."""
        if isinstance(matrix, Int8Rows):
            return self._int8(matrix.values, matrix.scales)
        if not self.int8 or matrix.size < SMALL:
            return self.constant(matrix.astype(np.float32))
        return self._int8(*quantise_rows(matrix))

    def _int8(self, values: np.ndarray, scales: np.ndarray) -> int:
        stored = self.constant(values, Type.INT8, scales)
        options = schema.DequantizeOptionsT()
        result = self.tensor(list(values.shape))
        return self.operator(Op.DEQUANTIZE, [stored], [result], options, Options.DequantizeOptions, 5)

    def dense(self, x: int, matrix: Matrix, bias: np.ndarray | None = None) -> int:
        """Add x W^T + b and return it."""
        if matrix.shape[1] != self.width(x):
            raise ValueError(f"dense: weight takes {matrix.shape[1]} values, "
                             f"input has {self.width(x)}")
        offset = -1 if bias is None else self.constant(bias.astype(np.float32))
        inputs = [x, self.weight(matrix), offset]
        return self.operator(Op.FULLY_CONNECTED, inputs, [self.tensor([1, matrix.shape[0]])],
                        schema.FullyConnectedOptionsT(), Options.FullyConnectedOptions,
                        6 if bias is None else 1)

    def tanh(self, x: int) -> int:
        """Add tanh(x) and return it."""
        return self.operator(Op.TANH, [x], [self.tensor([1, self.width(x)])])

    def sigmoid(self, x: int) -> int:
        """Add 1 / (1 + exp(-x)) and return it."""
        return self.operator(Op.LOGISTIC, [x], [self.tensor([1, self.width(x)])])

    def add(self, x: int, y: int) -> int:
        """Add the node x + y and return it."""
        return self._pair(Op.ADD, schema.AddOptionsT(), Options.AddOptions, x, y)

    def sub_(self, x: int, y: int) -> int:
        """Add the node x - y and return it."""
        return self._pair(Op.SUB, schema.SubOptionsT(), Options.SubOptions, x, y)

    def mul(self, x: int, y: int) -> int:
        """Add the node x * y, element by element, and return it."""
        return self._pair(Op.MUL, schema.MulOptionsT(), Options.MulOptions, x, y)

    def concat(self, tensors: list[int]) -> int:
        """Concatenate tensors along the last axis."""
        options = schema.ConcatenationOptionsT()
        options.axis = 1
        result = self.tensor([1, sum(self.width(t) for t in tensors)])
        return self.operator(Op.CONCATENATION, tensors, [result], options, Options.ConcatenationOptions)

    def split(self, x: int, sizes: list[int]) -> list[int]:
        """Split a tensor along the last axis."""
        if sum(sizes) != self.width(x):
            raise ValueError(f"split: sizes sum to {sum(sizes)}, input has {self.width(x)}")
        if len(sizes) == 1:
            return [x]
        if self._axis is None:
            self._axis = self.constant(np.array(1, np.int32), Type.INT32)
        results = [self.tensor([1, n]) for n in sizes]
        if len(set(sizes)) == 1 and len(sizes) <= 4:
            # XNNPACK supports SPLIT but not SPLIT_V, so even splits keep the graph in one partition.
            even = schema.SplitOptionsT()
            even.numSplits = len(sizes)
            self.operator(Op.SPLIT, [self._axis, x], results, even, Options.SplitOptions)
        else:
            uneven = schema.SplitVOptionsT()
            uneven.numSplits = len(sizes)
            counts = self.constant(np.array(sizes, np.int32), Type.INT32)
            self.operator(Op.SPLIT_V, [x, counts, self._axis], results, uneven, Options.SplitVOptions)
        return results

    def gru(self, x: int, h: int, weights: dict[str, np.ndarray]) -> int:
        """Add one GRU step (r, z, n order, reset after the product) with torch.nn.GRU's arrays and return its state."""
        w_in, w_rec = weights["weight_ih_l0"], weights["weight_hh_l0"]
        b_in, b_rec = weights["bias_ih_l0"], weights["bias_hh_l0"]
        n = w_rec.shape[1]
        both = np.concatenate([w_in[: 2 * n], w_rec[: 2 * n]], 1)
        gates = self.sigmoid(self.dense(self.concat([x, h]), both, (b_in + b_rec)[: 2 * n]))
        reset, keep = self.split(gates, [n, n])
        inner = self.mul(reset, self.dense(h, w_rec[2 * n :], b_rec[2 * n :]))
        fresh = self.tanh(self.add(self.dense(x, w_in[2 * n :], b_in[2 * n :]), inner))
        return self.add(fresh, self.mul(keep, self.sub_(h, fresh)))

    def _pair(self, code: int, options: object, options_type: int, x: int, y: int) -> int:
        if self.width(x) != self.width(y):
            raise ValueError(f"widths differ: {self.width(x)} and {self.width(y)}")
        return self.operator(code, [x, y], [self.tensor([1, self.width(x)])], options, options_type)


def quantise_rows(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return int8 [out, in] in -127 … 127 and float32 scales [out], rounded to nearest."""
    scales = np.maximum(np.abs(matrix).max(1) / 127, 1e-9).astype(np.float32)
    values = np.clip(np.round(matrix / scales[:, None]), -127, 127).astype(np.int8)
    return values, scales

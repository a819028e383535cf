# SPDX-License-Identifier: BSD-2-Clause
"""Writes small .tflite graphs directly as flatbuffers: without TensorFlow and reproducible byte for byte.

Needs `flatbuffers` and the schema module inside `ai-edge-litert`, both only when exporting or importing a model
(`dredge extras add import`).
Weights are stored as float32, or as int8 with one scale per output row and a DEQUANTIZE node that
the runtime folds when it loads the model ("int8 weights, float maths").
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from dredge_models.tflite.layout import Layout
from dredge_models.tflite.matrix import Int8Rows, Matrix
from dredge_models.tflite.subgraph import Type

Op = schema.BuiltinOperator
Options = schema.BuiltinOptions
SMALL = 4096                   # weights with fewer values stay float32: rounding harms input layers most


class Graph(Layout):
    """Layers on top of tensors and operators. int8: larger weights are stored as int8."""

    def __init__(self, description: str, int8: bool) -> None:
        super().__init__(description)
        self.int8 = int8

    def stored(self, matrix: Matrix) -> Matrix:
        """Return a weight [out, in] in the graph's storage type; int8 rows are left unchanged."""
        if isinstance(matrix, Int8Rows) or not self.int8 or matrix.size < SMALL:
            return matrix
        return Int8Rows(*quantise_rows(matrix))

    def weight(self, matrix: Matrix) -> int:
        """Add a weight [out, in] in the graph's storage type and return it."""
        stored = self.stored(matrix)
        if isinstance(stored, Int8Rows):
            return self._int8(stored.values, stored.scales)
        return self.constant(stored.astype(np.float32))

    def _int8(self, values: np.ndarray, scales: np.ndarray) -> int:
        stored = self.constant(values, Type.INT8, scales)
        options = schema.DequantizeOptionsT()
        result = self.tensor(list(values.shape))
        return self.operator(Op.DEQUANTIZE, [stored], [result], options, Options.DequantizeOptions, 5)

    def dense(self, x: int, matrix: Matrix | int, bias: np.ndarray | None = None) -> int:
        """Add x W^T + b and return it; matrix: values, or a result of `weight` that several products share."""
        offset = -1 if bias is None else self.constant(bias.astype(np.float32))
        weight = matrix if isinstance(matrix, int) else self.weight(matrix)
        if self.width(weight) != self.width(x):
            raise ValueError(f"dense: weight takes {self.width(weight)} values, "
                             f"input has {self.width(x)}")
        inputs = [x, weight, offset]
        return self.operator(Op.FULLY_CONNECTED, inputs, [self.tensor([self.rows(x), self.rows(weight)])],
                        schema.FullyConnectedOptionsT(), Options.FullyConnectedOptions,
                        6 if bias is None else 1)

    def tanh(self, x: int) -> int:
        """Add tanh(x) and return it."""
        return self.operator(Op.TANH, [x], [self.tensor([self.rows(x), self.width(x)])])

    def sigmoid(self, x: int) -> int:
        """Add 1 / (1 + exp(-x)) and return it."""
        return self.operator(Op.LOGISTIC, [x], [self.tensor([self.rows(x), self.width(x)])])

    def add(self, x: int, y: int) -> int:
        """Add the node x + y and return it."""
        return self._pair(Op.ADD, schema.AddOptionsT(), Options.AddOptions, x, y)

    def sub_(self, x: int, y: int) -> int:
        """Add the node x - y and return it."""
        return self._pair(Op.SUB, schema.SubOptionsT(), Options.SubOptions, x, y)

    def mul(self, x: int, y: int) -> int:
        """Add the node x * y, element by element, and return it."""
        return self._pair(Op.MUL, schema.MulOptionsT(), Options.MulOptions, x, y)

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

    def gru_rows(self, x: int, h: int, weights: dict[str, np.ndarray]) -> list[int]:
        """Add a GRU step for every row of x, one after the other from state h, and return the states.

        The weights are rounded as `gru` rounds them; what does not depend on the state is one product for all rows.
        """
        w_in, w_rec = weights["weight_ih_l0"], weights["weight_hh_l0"]
        b_in, b_rec = weights["bias_ih_l0"], weights["bias_hh_l0"]
        n, wide = w_rec.shape[1], self.width(x)
        into, own = self._columns(np.concatenate([w_in[: 2 * n], w_rec[: 2 * n]], 1), wide)
        own_gates, own_fresh = self.weight(own), self.weight(w_rec[2 * n :])
        gates = self.split_rows(self.dense(x, into, (b_in + b_rec)[: 2 * n]))
        fresh_in = self.split_rows(self.dense(x, w_in[2 * n :], b_in[2 * n :]))
        states = []
        for gate, given in zip(gates, fresh_in, strict=True):
            reset, keep = self.split(self.sigmoid(self.add(gate, self.dense(h, own_gates))), [n, n])
            fresh = self.tanh(self.add(given, self.mul(reset, self.dense(h, own_fresh, b_rec[2 * n :]))))
            h = self.add(fresh, self.mul(keep, self.sub_(h, fresh)))
            states.append(h)
        return states

    def _columns(self, matrix: np.ndarray, at: int) -> tuple[Matrix, Matrix]:
        """Return a weight as it is stored, cut before column `at`."""
        stored = self.stored(matrix)
        if isinstance(stored, Int8Rows):
            return stored.columns(slice(at)), stored.columns(slice(at, None))
        return stored[:, :at], stored[:, at:]

    def _pair(self, code: int, options: object, options_type: int, x: int, y: int) -> int:
        if self.width(x) != self.width(y):
            raise ValueError(f"widths differ: {self.width(x)} and {self.width(y)}")
        return self.operator(code, [x, y], [self.tensor([self.rows(x), self.width(x)])], options, options_type)


def quantise_rows(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return int8 [out, in] in -127 … 127 and float32 scales [out], rounded to nearest."""
    scales = np.maximum(np.abs(matrix).max(1) / 127, 1e-9).astype(np.float32)
    values = np.clip(np.round(matrix / scales[:, None]), -127, 127).astype(np.int8)
    return values, scales

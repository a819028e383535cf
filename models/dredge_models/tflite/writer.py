# SPDX-License-Identifier: BSD-2-Clause
"""Writes small .tflite graphs directly as flatbuffers: no TensorFlow, the same bytes every time.

Needs `flatbuffers` and the schema module inside `ai-edge-litert`, both only when exporting or importing a model
(`dredge extras add import`).
Weights are stored as float32, or as int8 with one scale per output row and a DEQUANTIZE node that
the runtime folds when it loads the model ("int8 weights, float maths").
"""

from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from dredge_models.tflite.matrix import Int8Rows, Matrix

Op = schema.BuiltinOperator
Type = schema.TensorType
Options = schema.BuiltinOptions
SMALL = 4096                   # weights with fewer values stay float32: input layers lose most by rounding


class Graph:
    """One subgraph with batch 1; tensors are int handles, shapes [1, n]."""

    def __init__(self, description: str, int8: bool) -> None:
        self.int8 = int8
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.description = description.encode()
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.sub = schema.SubGraphT()
        self.sub.name = b"main"
        self.sub.tensors, self.sub.operators = [], []
        self.sub.inputs, self.sub.outputs = [], []
        self.model.subgraphs = [self.sub]
        self._codes: dict[tuple[int, int], int] = {}
        self._axis: int | None = None

    # Tensors -----------------------------------------------------------------------------------

    def width(self, tensor: int) -> int:
        """Last dimension of a tensor."""
        return int(self.sub.tensors[tensor].shape[-1])

    def input(self, width: int, name: str) -> int:
        """A graph input, float32 [1, width]."""
        handle = self._tensor([1, width], name=name)
        self.sub.inputs.append(handle)
        return handle

    def output(self, tensor: int, name: str) -> None:
        """Makes a tensor a graph output under `name`."""
        self.sub.tensors[tensor].name = name.encode()
        self.sub.outputs.append(tensor)

    def constant(self, values: np.ndarray, kind: int = Type.FLOAT32,
                 scales: np.ndarray | None = None) -> int:
        """A constant tensor; `scales` are per-row quantisation scales."""
        handle = self._tensor(list(values.shape), kind)
        tensor = self.sub.tensors[handle]
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        tensor.buffer = len(self.model.buffers) - 1
        if scales is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = scales.astype(np.float32)
            tensor.quantization.zeroPoint = np.zeros(len(scales), np.int64)
            tensor.quantization.quantizedDimension = 0
        return handle

    def weight(self, matrix: Matrix) -> int:
        """A weight [out, in] in the graph's storage type; rows that are int8 already stay as they are."""
        if isinstance(matrix, Int8Rows):
            return self._int8(matrix.values, matrix.scales)
        if not self.int8 or matrix.size < SMALL:
            return self.constant(matrix.astype(np.float32))
        return self._int8(*quantise_rows(matrix))

    def _int8(self, values: np.ndarray, scales: np.ndarray) -> int:
        stored = self.constant(values, Type.INT8, scales)
        options = schema.DequantizeOptionsT()
        result = self._tensor(list(values.shape))
        return self._op(Op.DEQUANTIZE, [stored], [result], options, Options.DequantizeOptions, 5)

    # Layers ------------------------------------------------------------------------------------

    def dense(self, x: int, matrix: Matrix, bias: np.ndarray | None = None) -> int:
        """x W^T + b."""
        if matrix.shape[1] != self.width(x):
            raise ValueError(f"dense: weight takes {matrix.shape[1]} values, "
                             f"input has {self.width(x)}")
        offset = -1 if bias is None else self.constant(bias.astype(np.float32))
        inputs = [x, self.weight(matrix), offset]
        return self._op(Op.FULLY_CONNECTED, inputs, [self._tensor([1, matrix.shape[0]])],
                        schema.FullyConnectedOptionsT(), Options.FullyConnectedOptions,
                        6 if bias is None else 1)

    def tanh(self, x: int) -> int:
        """tanh(x)."""
        return self._op(Op.TANH, [x], [self._tensor([1, self.width(x)])])

    def sigmoid(self, x: int) -> int:
        """1 / (1 + exp(-x))."""
        return self._op(Op.LOGISTIC, [x], [self._tensor([1, self.width(x)])])

    def add(self, x: int, y: int) -> int:
        """x + y."""
        return self._pair(Op.ADD, schema.AddOptionsT(), Options.AddOptions, x, y)

    def sub_(self, x: int, y: int) -> int:
        """x - y."""
        return self._pair(Op.SUB, schema.SubOptionsT(), Options.SubOptions, x, y)

    def mul(self, x: int, y: int) -> int:
        """x * y, element by element."""
        return self._pair(Op.MUL, schema.MulOptionsT(), Options.MulOptions, x, y)

    def concat(self, tensors: list[int]) -> int:
        """Joins along the last axis."""
        options = schema.ConcatenationOptionsT()
        options.axis = 1
        result = self._tensor([1, sum(self.width(t) for t in tensors)])
        return self._op(Op.CONCATENATION, tensors, [result], options, Options.ConcatenationOptions)

    def split(self, x: int, sizes: list[int]) -> list[int]:
        """Cuts along the last axis."""
        if sum(sizes) != self.width(x):
            raise ValueError(f"split: sizes sum to {sum(sizes)}, input has {self.width(x)}")
        if len(sizes) == 1:
            return [x]
        if self._axis is None:
            self._axis = self.constant(np.array(1, np.int32), Type.INT32)
        results = [self._tensor([1, n]) for n in sizes]
        if len(set(sizes)) == 1 and len(sizes) <= 4:
            # XNNPACK takes the even split but not SPLIT_V: this keeps the graph in one piece.
            even = schema.SplitOptionsT()
            even.numSplits = len(sizes)
            self._op(Op.SPLIT, [self._axis, x], results, even, Options.SplitOptions)
        else:
            uneven = schema.SplitVOptionsT()
            uneven.numSplits = len(sizes)
            counts = self.constant(np.array(sizes, np.int32), Type.INT32)
            self._op(Op.SPLIT_V, [x, counts, self._axis], results, uneven, Options.SplitVOptions)
        return results

    def gru(self, x: int, h: int, weights: dict[str, np.ndarray]) -> int:
        """One GRU step (r, z, n order, reset after the product) with torch.nn.GRU's arrays."""
        w_in, w_rec = weights["weight_ih_l0"], weights["weight_hh_l0"]
        b_in, b_rec = weights["bias_ih_l0"], weights["bias_hh_l0"]
        n = w_rec.shape[1]
        both = np.concatenate([w_in[: 2 * n], w_rec[: 2 * n]], 1)
        gates = self.sigmoid(self.dense(self.concat([x, h]), both, (b_in + b_rec)[: 2 * n]))
        reset, keep = self.split(gates, [n, n])
        inner = self.mul(reset, self.dense(h, w_rec[2 * n :], b_rec[2 * n :]))
        fresh = self.tanh(self.add(self.dense(x, w_in[2 * n :], b_in[2 * n :]), inner))
        return self.add(fresh, self.mul(keep, self.sub_(h, fresh)))

    # File --------------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """The finished flatbuffer."""
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def save(self, path: Path) -> int:
        """Writes the file; returns its size."""
        return path.write_bytes(self.to_bytes())

    # Plumbing ----------------------------------------------------------------------------------

    def _tensor(self, shape: list[int], kind: int = Type.FLOAT32, name: str = "") -> int:
        tensor = schema.TensorT()
        tensor.shape, tensor.type = [int(n) for n in shape], kind
        tensor.name = (name or f"t{len(self.sub.tensors)}").encode()
        tensor.buffer, tensor.hasRank = 0, True
        self.sub.tensors.append(tensor)
        return len(self.sub.tensors) - 1

    def _op(self, code: int, inputs: list[int], outputs: list[int], options: object = None,
            options_type: int = 0, version: int = 1) -> int:
        if (code, version) not in self._codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode, entry.deprecatedBuiltinCode = code, min(code, 127)
            entry.version = version
            self.model.operatorCodes.append(entry)
            self._codes[code, version] = len(self.model.operatorCodes) - 1
        node = schema.OperatorT()
        node.opcodeIndex = self._codes[code, version]
        node.inputs, node.outputs = list(inputs), list(outputs)
        if options is not None:
            node.builtinOptionsType, node.builtinOptions = options_type, options
        self.sub.operators.append(node)
        return outputs[0]

    def _pair(self, code: int, options: object, options_type: int, x: int, y: int) -> int:
        if self.width(x) != self.width(y):
            raise ValueError(f"widths differ: {self.width(x)} and {self.width(y)}")
        return self._op(code, [x, y], [self._tensor([1, self.width(x)])], options, options_type)


def quantise_rows(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8 [out, in] in -127 … 127 and float32 scales [out], rounded to nearest."""
    scales = np.maximum(np.abs(matrix).max(1) / 127, 1e-9).astype(np.float32)
    values = np.clip(np.round(matrix / scales[:, None]), -127, 127).astype(np.int8)
    return values, scales

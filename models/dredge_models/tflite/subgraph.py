# SPDX-License-Identifier: BSD-2-Clause
"""Tensors and operators of one .tflite graph, and its file.

Needs `flatbuffers` and the schema module inside `ai-edge-litert`, both only when exporting or importing a model
(`dredge extras add import`).
"""

from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

Type = schema.TensorType


class Subgraph:
    """One subgraph; tensors are int handles, shapes [rows, n]."""

    def __init__(self, description: str) -> None:
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

    def width(self, tensor: int) -> int:
        """Return the last dimension of a tensor."""
        return int(self.sub.tensors[tensor].shape[-1])

    def rows(self, tensor: int) -> int:
        """Return the first dimension of a tensor."""
        return int(self.sub.tensors[tensor].shape[0])

    def input(self, width: int, name: str, rows: int = 1) -> int:
        """Add a graph input, float32 [rows, width], and return it."""
        handle = self.tensor([rows, width], name=name)
        self.sub.inputs.append(handle)
        return handle

    def output(self, tensor: int, name: str) -> None:
        """Make a tensor a graph output under `name`."""
        self.sub.tensors[tensor].name = name.encode()
        self.sub.outputs.append(tensor)

    def constant(self, values: np.ndarray, kind: int = Type.FLOAT32,
                 scales: np.ndarray | None = None) -> int:
        """Add a constant tensor and return it; `scales` are per-row quantisation scales."""
        handle = self.tensor(list(values.shape), kind)
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

    def to_bytes(self) -> bytes:
        """Return the finished flatbuffer."""
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def save(self, path: Path) -> int:
        """Write the file; return its size."""
        return path.write_bytes(self.to_bytes())

    def tensor(self, shape: list[int], kind: int = Type.FLOAT32, name: str = "") -> int:
        """Add a tensor and return it."""
        tensor = schema.TensorT()
        tensor.shape, tensor.type = [int(n) for n in shape], kind
        tensor.name = (name or f"t{len(self.sub.tensors)}").encode()
        tensor.buffer, tensor.hasRank = 0, True
        self.sub.tensors.append(tensor)
        return len(self.sub.tensors) - 1

    def operator(self, code: int, inputs: list[int], outputs: list[int], options: object = None,
                 options_type: int = 0, version: int = 1) -> int:
        """Add an operator and return its first output."""
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

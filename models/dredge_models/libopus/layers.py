# SPDX-License-Identifier: BSD-2-Clause
"""Layers of a libopus weight blob as matrices: dense int8, block-sparse int8, float (docs/reference/interop.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dredge_models.libopus.blob import FLOAT, INDEX, INT8, KINDS, BlobError, Record
from dredge_models.tflite.matrix import Int8Rows, Matrix

ROWS, COLUMNS = 8, 4         # of a block, in the dense and in the sparse layout
ACTIVATION_STEPS = 127       # libopus multiplies by round(127 x) and puts the 1/127 into the scales


@dataclass(frozen=True, eq=False)
class Linear:
    """y = W x + b: weight [out, in], bias float32 [out] (zeros if the layer has none)."""

    weight: Matrix
    bias: NDArray[np.float32]

    def take(self, rows: NDArray | slice) -> Linear:
        """Return the layer with some of its outputs, in the order given."""
        weight = self.weight.take(rows) if isinstance(self.weight, Int8Rows) else self.weight[rows]
        return Linear(weight, self.bias[rows])

    def dense(self) -> NDArray[np.float32]:
        """Return the weights as float32 [out, in]."""
        return self.weight.dense() if isinstance(self.weight, Int8Rows) else self.weight


class Layers:
    """The layers of one or several blobs, read by name and size; BlobError names the record."""

    def __init__(self, records: Mapping[str, Record], source: str = "blob") -> None:
        self._records = records
        self._source = source
        self._used: set[str] = set()

    def linear(self, name: str, inputs: int, outputs: int, bias: bool = True) -> Linear:
        """Return the layer `name`; its records are NAME_weights_int8 (and _idx, _scale) or NAME_weights_float,
        NAME_bias.
        """
        if f"{name}_weights_float" in self._records:
            flat = self._take(f"{name}_weights_float", FLOAT, inputs * outputs)
            weight: Matrix = np.ascontiguousarray(flat.reshape(inputs, outputs).T)
        else:
            scales = self._take(f"{name}_scale", FLOAT, outputs)
            odd = scales[(scales < 0) | (scales > 1)]
            if len(odd):
                raise BlobError(f"{self._source}: {name}_scale: expected scales of 0 to 1, got {odd[0]:g}")
            weight = Int8Rows(self._int8(name, inputs, outputs), scales * np.float32(ACTIVATION_STEPS))
        offset = self._take(f"{name}_bias", FLOAT, outputs) if bias else np.zeros(outputs, np.float32)
        self._used.add(f"{name}_subias")     # the same bias for unsigned activations: not needed here
        return Linear(weight, offset)

    def unused(self) -> list[str]:
        """Return the names of records that were not read."""
        return [name for name in self._records if name not in self._used]

    def _int8(self, name: str, inputs: int, outputs: int) -> NDArray[np.int8]:
        weights, index = f"{name}_weights_int8", f"{name}_weights_idx"
        if index in self._records:
            return self._sparse(weights, index, inputs, outputs)
        flat = self._take(weights, INT8, inputs * outputs)
        blocks = flat.reshape(outputs // ROWS, inputs // COLUMNS, ROWS, COLUMNS)
        return np.ascontiguousarray(blocks.transpose(0, 2, 1, 3)).reshape(outputs, inputs)

    def _sparse(self, weights: str, index: str, inputs: int, outputs: int) -> NDArray[np.int8]:
        """Return the dense rows of a sparse matrix; per strip of 8 rows the list has a count and the first column of
        each 8 x 4 block.
        """
        matrix = np.zeros((outputs, inputs), np.int8)
        strips = list(self._strips(index, inputs, outputs))
        flat = self._take(weights, INT8, ROWS * COLUMNS * sum(map(len, strips)))
        blocks = iter(flat.reshape(-1, ROWS, COLUMNS))
        for strip, columns in enumerate(strips):
            for column in columns:
                matrix[ROWS * strip : ROWS * (strip + 1), column : column + COLUMNS] = next(blocks)
        return matrix

    def _strips(self, name: str, inputs: int, outputs: int) -> Iterable[NDArray[np.int32]]:
        values = self._take(name, INDEX)
        at = 0
        for strip in range(outputs // ROWS):
            count = int(values[at]) if at < len(values) else -1
            columns = values[at + 1 : at + 1 + max(count, 0)]
            good = 0 <= count == len(columns) and (columns % COLUMNS == 0).all()
            if not good or (np.diff(columns) <= 0).any() or (columns < 0).any() or (columns >= inputs).any():
                raise BlobError(f"{self._source}: {name}: strip {strip} is no list of columns below {inputs}")
            yield columns
            at += 1 + count
        if at != len(values):
            raise BlobError(f"{self._source}: {name}: expected {at} numbers for {outputs} rows, got {len(values)}")

    def _take(self, name: str, kind: int, count: int | None = None) -> NDArray:
        record = self._records.get(name)
        if record is None:
            raise BlobError(f"{self._source}: record {name} is missing")
        self._used.add(name)
        if record.kind != kind:
            raise BlobError(f"{self._source}: {name}: expected type {KINDS[kind]}, got {KINDS[record.kind]}")
        if count is not None and len(record.values) != count:
            raise BlobError(f"{self._source}: {name}: expected {count} values, got {len(record.values)}")
        return record.values

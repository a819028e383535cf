# SPDX-License-Identifier: BSD-2-Clause
"""Checks that a TFLite file is a graph as tflite/writer.py makes them, before a runtime loads it.

The C++ runtime trusts a file: wrong offsets, shapes or indices crash it. So everything that it relies on is checked
here: one subgraph of ten operators on tensors [rows, n] of few rows, each computed once and before its use, with
shapes that fit each other and constants whose sizes fit their shapes. Field numbers are those of TensorFlow's
schema.fbs, version 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dredge_models.tflite.flatbuffer import FlatbufferError, Table, root

MOST_TENSORS, MOST_BUFFERS, MOST_OPERATORS, MOST_CODES = 2000, 2000, 2000, 64
LARGEST = 1 << 22            # values of one tensor
MOST_ROWS = 16               # of an operand
FLOAT, INT, INT8 = 0, 2, 9
ITEM = {FLOAT: 4, INT: 4, INT8: 1}

ADD, CONCATENATION, DEQUANTIZE, DENSE, LOGISTIC, MUL, TANH, SUB, SPLIT, SPLIT_V = 0, 2, 6, 9, 14, 18, 28, 41, 49, 102
VERSIONS = {ADD: (1,), CONCATENATION: (1,), DEQUANTIZE: (5,), DENSE: (1, 6), LOGISTIC: (1,), MUL: (1,), TANH: (1,),
            SUB: (1,), SPLIT: (1,), SPLIT_V: (1,)}  # fmt: skip
# Operator: the type of its options, and the only field of them that may differ from its default.
OPTIONS = {ADD: (11, None), CONCATENATION: (10, 0), DEQUANTIZE: (38, None), DENSE: (8, None), MUL: (21, None),
           SUB: (28, None), SPLIT: (35, 0), SPLIT_V: (79, 0), LOGISTIC: (0, None), TANH: (0, None)}  # fmt: skip


class GraphError(ValueError):
    """A file is not a graph as tflite/writer.py makes them."""


@dataclass(frozen=True)
class Tensor:
    """shape; type; values: bytes of a constant, None for a computed tensor; scaled: it has quantiser steps."""

    shape: tuple[int, ...]
    type: int
    values: memoryview | None
    scaled: bool

    @property
    def size(self) -> tuple[int, int]:
        """The rows and the width of a float tensor [rows, n]; GraphError for any other."""
        fits = self.type == FLOAT and len(self.shape) == 2 and self.shape[0] <= MOST_ROWS
        _need(fits, f"an operand is not float32 [rows, n] of at most {MOST_ROWS} rows")
        return self.shape[0], self.shape[1]

    def integers(self) -> tuple[int, ...]:
        """Return the values of an int32 constant."""
        if self.type != INT or self.values is None:
            raise GraphError("an operand is no int32 constant")
        return tuple(np.frombuffer(self.values, "<i4").tolist())


def check(content: bytes) -> None:
    """Raise GraphError with a sentence unless the file is a graph as tflite/writer.py makes them."""
    try:
        model = root(content, b"TFL3")
        _need(model.scalar(0, "I") == 3, "its schema version is not 3")
        _need(not model.present() & {5, 6, 7}, "it holds metadata or signatures")
        model.text(3)
        codes = [_code(table) for table in model.tables(1, MOST_CODES)]
        buffers = [_buffer(table) for table in model.tables(4, MOST_BUFFERS)]
        graphs = model.tables(2, 1)
        _need(len(graphs) == 1, "it holds no graph")
        tensors = [_tensor(table, buffers) for table in graphs[0].tables(0, MOST_TENSORS)]
        graphs[0].text(4)
        _follow(graphs[0], tensors, codes)
    except FlatbufferError as error:
        raise GraphError(f"damaged: {error}") from None


def _need(good: bool, text: str) -> None:
    if not good:
        raise GraphError(text)


def _code(table: Table) -> int:
    code = table.scalar(3, "i")
    _need(code in VERSIONS and table.scalar(0, "b") == min(code, 127), f"operator {code} is none of ours")
    _need(table.scalar(2, "i", 1) in VERSIONS[code] and 1 not in table.present(), f"operator {code} of another version")
    return code


def _buffer(table: Table) -> memoryview:
    _need(not table.present() - {0}, "a buffer lies outside the file")
    return table.raw(0)


def _tensor(table: Table, buffers: list[memoryview]) -> Tensor:
    shape, kind, index = table.numbers(0, "i"), table.scalar(1, "b"), table.scalar(2, "I")
    table.text(3)
    _need(not table.present() & {5, 6, 7, 9}, "a tensor is variable, sparse or of no fixed shape")
    _need(kind in ITEM and len(shape) <= 2 and all(n > 0 for n in shape), "a tensor of another type or rank")
    _need(math.prod(shape) <= LARGEST and index < len(buffers), "a tensor that is too large or has no buffer")
    dimensions = tuple(int(n) for n in shape)
    values = buffers[index] if len(buffers[index]) else None
    _need(values is None or len(values) == math.prod(dimensions) * ITEM[kind], "a constant does not fill its shape")
    return Tensor(dimensions, kind, values, _scaled(table.table(4), dimensions, kind))


def _scaled(table: Table | None, shape: tuple[int, ...], kind: int) -> bool:
    """Return whether a tensor has one finite scale per row and no offset, as only int8 constants have."""
    if table is None or not table.present():
        return False
    scales, zeros = table.numbers(2, "f"), table.numbers(3, "q")
    _need(kind == INT8 and len(shape) == 2 and not table.present() - {2, 3, 6}, "a quantiser that is none of ours")
    _need(len(scales) == len(zeros) == shape[0] and not any(zeros), "not one scale per row")
    _need(all(math.isfinite(s) and s >= 0 for s in scales) and table.scalar(6, "i") == 0, "impossible scales")
    return True


def _follow(graph: Table, tensors: list[Tensor], codes: list[int]) -> None:
    """Check the operators in the order in which they run."""
    inputs, outputs = _indices(graph, 1, tensors), _indices(graph, 2, tensors)
    _need(bool(inputs) and bool(outputs), "a graph without inputs or outputs")
    known = {index for index, tensor in enumerate(tensors) if tensor.values is not None}
    for index in inputs:
        _need(index not in known and tensors[index].size > (0, 0), "an input is given twice, or no float32 [rows, n]")
        known.add(index)
    for operator in graph.tables(3, MOST_OPERATORS):
        used, made = _indices(operator, 1, tensors, optional=True), _indices(operator, 2, tensors)
        _need({index for index in used if index >= 0} <= known, "an operator uses what is not known yet")
        _need(not known & set(made) and len(set(made)) == len(made) > 0, "a tensor is made twice")
        _operator(operator, codes, [tensors[i] if i >= 0 else None for i in used], [tensors[i] for i in made])
        known.update(made)
    _need(set(outputs) <= known and all(tensors[i].size for i in outputs), "an output that is never made")


def _indices(table: Table, field: int, tensors: list[Tensor], optional: bool = False) -> list[int]:
    found = [int(index) for index in table.numbers(field, "i")]
    low = -1 if optional else 0
    _need(all(low <= index < len(tensors) for index in found), "an index beyond the tensors")
    return found


def _operator(table: Table, codes: list[int], used: list[Tensor | None], made: list[Tensor]) -> None:
    index = table.scalar(0, "I")
    _need(index < len(codes) and not table.present() - {0, 1, 2, 3, 4}, "an operator that is none of ours")
    code, options = codes[index], table.table(4)
    kind, free = OPTIONS[code]
    _need(table.scalar(3, "B") == kind and (options is not None) == (kind > 0), "options of another operator")
    value = 0
    if options is not None:
        _need(not options.present() - {free}, "options that are none of ours")
        value = options.scalar(0, "i") if free is not None else 0
    if code == DENSE:
        _dense(used, made)
        return
    _need(None not in used, "an operand is missing")
    RULES[code]([tensor for tensor in used if tensor is not None], made, value)


def _dense(used: list[Tensor | None], made: list[Tensor]) -> None:
    _need(len(used) == 3 and len(made) == 1, "a layer without weights or bias")
    x, weight, bias = used
    if x is None or weight is None:
        raise GraphError("a layer without input or weights")
    (rows, width), (made_rows, made_width) = x.size, made[0].size
    fits = weight.type == FLOAT and weight.shape == (made_width, width) and rows == made_rows
    _need(fits, "weights that do not fit their layer")
    good = bias is None or (bias.type == FLOAT and bias.shape == weight.shape[:1] and bias.values is not None)
    _need(good, "a bias that does not fit its layer")


def _dequantise(used: list[Tensor], made: list[Tensor], value: int) -> None:
    _need(len(used) == len(made) == 1 and used[0].scaled and used[0].values is not None, "weights without scales")
    _need(made[0].type == FLOAT and made[0].shape == used[0].shape, "weights of another shape")


def _same(operands: int) -> Callable[[list[Tensor], list[Tensor], int], None]:
    def rule(used: list[Tensor], made: list[Tensor], value: int) -> None:
        _need(len(used) == operands and len(made) == 1, "too many operands, or too few")
        _need({tensor.size for tensor in used} == {made[0].size}, "operands of different sizes")

    return rule


def _joined(used: list[Tensor], made: list[Tensor], value: int) -> None:
    _need(len(used) > 0 and len(made) == 1 and value in (0, 1), "a concatenation along another axis")
    _need(_parts(made[0], used, value), "a concatenation of another size")


def _split(used: list[Tensor], made: list[Tensor], value: int) -> None:
    axis = used[0].integers() if len(used) == 2 and value == len(made) else ()
    _need(axis in ((0,), (1,)), "a split along another axis")
    _need(_parts(used[1], made, axis[0]) and len({t.size for t in made}) == 1, "an uneven split")


def _split_v(used: list[Tensor], made: list[Tensor], value: int) -> None:
    _need(len(used) == 3 and used[2].integers() == (1,) and value == len(made), "a split along another axis")
    widths = tuple(tensor.size[1] for tensor in made)
    _need(used[1].integers() == widths and _parts(used[0], made, 1), "a split of another width")


def _parts(whole: Tensor, parts: list[Tensor], axis: int) -> bool:
    """Return whether the parts, one after the other along an axis, have the size of the whole."""
    along, across = sum(part.size[axis] for part in parts), {part.size[1 - axis] for part in parts}
    return along == whole.size[axis] and across == {whole.size[1 - axis]}


RULES: dict[int, Callable[[list[Tensor], list[Tensor], int], None]] = {
    ADD: _same(2), SUB: _same(2), MUL: _same(2), TANH: _same(1), LOGISTIC: _same(1), DEQUANTIZE: _dequantise,
    CONCATENATION: _joined, SPLIT: _split, SPLIT_V: _split_v,
}  # fmt: skip

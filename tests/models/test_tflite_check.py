# SPDX-License-Identifier: BSD-2-Clause
"""Graphs of our own kind pass; anything else never reaches the runtime."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from dredge_models.registry import ModelError, weight_file
from dredge_models.tflite import writer
from dredge_models.tflite.check import DENSE, GraphError, check
from dredge_models.tflite.flatbuffer import FlatbufferError, Table, root
from dredge_models.tflite.runtime import TfliteModel

SHIPPED = ("rdovae_encoder.tflite", "rdovae_decoder.tflite", "rdovae_decoder_rows.tflite", "rdovae_start.tflite",
           "plc_step.tflite")


def graph():
    """Every operator once, in a few hundred bytes of weights."""
    from dredge_models.tflite.matrix import Int8Rows

    g = writer.Graph("small", int8=True)
    x, h = g.input(6, "x"), g.input(4, "h")
    weight = Int8Rows(np.arange(24, dtype=np.int8).reshape(4, 6), np.full(4, 0.1, np.float32))
    y = g.tanh(g.dense(x, weight, np.zeros(4)))
    a, b = g.split(g.sigmoid(g.add(g.mul(y, h), g.sub_(y, h))), [2, 2])
    c, d, e = g.split(g.concat([a, b, y]), [1, 3, 4])
    rows = g.split_rows(g.dense(g.join_rows([g.concat([c, d, e])] * 6), np.ones((3, 8), np.float32)))
    g.output(g.join_rows(rows[:1] * 2), "out")
    return g


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_graphs_pass(name: str) -> None:
    check(weight_file(name).content)


def test_every_operator_passes_and_runs(tmp_path) -> None:
    path = tmp_path / "g.tflite"
    graph().save(path)
    model = TfliteModel(path)
    out = model(x=np.ones((1, 6), np.float32), h=np.ones((1, 4), np.float32))["out"]
    assert out.shape == (2, 3) and np.isfinite(out).all()


def operator(g, code: int):  # type: ignore[no-untyped-def]
    codes = [entry.builtinCode for entry in g.model.operatorCodes]
    return next(op for op in g.sub.operators if codes[op.opcodeIndex] == code)


def _shape(g, index: int, shape: list[int]) -> None:
    g.sub.tensors[index].shape = shape


EDITS: list[tuple[Callable, str]] = [
    (lambda g: setattr(g.model, "version", 2), "schema version"),
    (lambda g: g.model.subgraphs.append(g.sub), "2 tables in one vector"),
    (lambda g: setattr(g.model, "subgraphs", []), "no graph"),
    (lambda g: setattr(g.model, "metadata", [schema.MetadataT()]), "metadata"),
    (lambda g: setattr(g.model.operatorCodes[0], "builtinCode", 1), "operator 1 is none of ours"),
    (lambda g: setattr(g.model.operatorCodes[0], "version", 9), "another version"),
    (lambda g: setattr(g.model.buffers[1], "offset", 4), "buffer lies outside"),
    (lambda g: setattr(g.sub.tensors[0], "buffer", 99), "no buffer"),
    (lambda g: setattr(g.sub.tensors[0], "isVariable", True), "variable"),
    (lambda g: setattr(g.sub.tensors[0], "type", 1), "another type"),
    (lambda g: setattr(g.sub.tensors[0], "name", b"\xff\xfe"), "no plain text"),
    (lambda g: _shape(g, 0, [1, 1 << 30]), "too large"),
    (lambda g: _shape(g, 0, [1, -6]), "another type or rank"),
    (lambda g: _shape(g, 0, [1, 7]), "weights that do not fit"),
    (lambda g: _shape(g, 2, [4, 7]), "does not fill its shape"),
    (lambda g: g.sub.inputs.append(0), "given twice"),
    (lambda g: g.sub.inputs.clear(), "without inputs"),
    (lambda g: g.sub.inputs.pop(), "not known yet"),
    (lambda g: g.sub.outputs.append(999), "beyond the tensors"),
    (lambda g: g.sub.operators.reverse(), "not known yet"),
    (lambda g: g.sub.operators.append(g.sub.operators[-1]), "made twice"),
    (lambda g: setattr(operator(g, DENSE), "opcodeIndex", 77), "none of ours"),
    (lambda g: setattr(operator(g, DENSE), "builtinOptionsType", 10), "options of another operator"),
    (lambda g: setattr(operator(g, DENSE).builtinOptions, "keepNumDims", True), "options that are none"),
    (lambda g: operator(g, DENSE).inputs.pop(), "without weights or bias"),
    (lambda g: operator(g, 2).builtinOptions.__setattr__("axis", 2), "another axis"),
    (lambda g: operator(g, 2).builtinOptions.__setattr__("axis", 0), "another size"),
    (lambda g: _shape(g, operator(g, DENSE).outputs[0], [2, 4]), "weights that do not fit"),
    (lambda g: _shape(g, 0, [17, 6]), "at most 16 rows"),
    (lambda g: operator(g, 49).builtinOptions.__setattr__("numSplits", 3), "another axis"),
    (lambda g: operator(g, 102).inputs.reverse(), "operand"),
    (lambda g: operator(g, 0).inputs.append(0), "too many operands"),
]


@pytest.mark.parametrize(("edit", "words"), EDITS, ids=[words for _, words in EDITS])
def test_a_graph_that_could_hurt_is_refused(edit: Callable, words: str) -> None:
    g = graph()
    edit(g)
    with pytest.raises(GraphError, match=words):
        check(g.to_bytes())


def test_a_quantiser_of_another_kind_is_refused() -> None:
    g = graph()
    stored = next(t for t in g.sub.tensors if t.quantization is not None)
    stored.quantization.scale = np.array([0.1, np.inf, 0.1, 0.1], np.float32)
    with pytest.raises(GraphError, match="impossible scales"):
        check(g.to_bytes())
    stored.quantization.scale = np.array([0.1], np.float32)
    with pytest.raises(GraphError, match="one scale per row"):
        check(g.to_bytes())


def test_a_row_of_zeros_passes() -> None:
    """libopus' own decoder has such rows; their scale is zero."""
    g = graph()
    stored = next(t for t in g.sub.tensors if t.quantization is not None)
    stored.quantization.scale = np.array([0.1, 0.0, 0.1, 0.1], np.float32)
    check(g.to_bytes())


def test_the_loader_says_so(tmp_path) -> None:
    path = tmp_path / "bad.tflite"
    path.write_bytes(graph().to_bytes()[:200])
    with pytest.raises(ModelError, match=r"bad\.tflite: not a graph of ours \(damaged: "):
        TfliteModel(path)


def test_any_damage_is_refused_or_harmless() -> None:
    """Every byte of a small file once; nothing but GraphError."""
    content, rng, refused = graph().to_bytes(), random.Random(1), 0
    for at in range(len(content)):
        changed = bytearray(content)
        changed[at] ^= 1 << rng.randrange(8)
        try:
            check(bytes(changed))
        except GraphError:
            refused += 1
    assert refused > len(content) // 4


def test_offsets_never_lead_out_of_the_file() -> None:
    for data in (b"", b"\4\0\0\0TFL3", struct.pack("<I4s", 2**31, b"TFL3"), struct.pack("<I4sii", 8, b"TFL3", -4, 0)):
        with pytest.raises(FlatbufferError):
            root(data, b"TFL3").present()
    with pytest.raises(FlatbufferError, match="identifier"):
        root(bytes(20), b"TFL3")
    table = struct.pack("<HHHxxiI", 6, 8, 4, 8, 1000)       # one field, an offset beyond the end
    with pytest.raises(FlatbufferError, match="not in the file"):
        Table(table, 8).raw(0)

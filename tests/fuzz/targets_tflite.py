# SPDX-License-Identifier: BSD-2-Clause
"""TFLite graphs: what our loader lets through must not hurt the runtime, which believes every file."""

from __future__ import annotations

import functools

import numpy as np
from target import Plan, Target, check, in_file

from dredge_models.registry import ModelError, weight_file
from dredge_models.tflite.runtime import TfliteModel

EDITED = ("rdovae_start.tflite", "plc_step.tflite", "rdovae_decoder_rows.tflite")


@functools.cache
def _heavy(name: str) -> list[int]:
    """Where a shipped file has structure: the bytes that belong to no large buffer."""
    content = weight_file(name).content
    plain = [at for at in range(0, len(content) - 64, 64) if len(set(content[at : at + 64])) < 24]
    return [at + k for at in plain for k in range(64)] + list(range(len(content) - 64, len(content)))


def _content(plan: Plan) -> bytes:
    """A file as it is, or a shipped one with some of its offsets, lengths, shapes and indices changed."""
    kind = plan.below(1 + len(EDITED))
    if kind == 0:
        return plan.rest()
    name = EDITED[kind - 1]
    out, places = bytearray(weight_file(name).content), _heavy(name)
    while plan:
        at = places[plan.number(3) % len(places)]
        out[at] = plan.number()
    return bytes(out)


def run_tflite(data: bytes) -> bool:
    """Refused with a ModelError, or a graph that runs."""
    content = _content(Plan(data))
    with in_file(content, "graph.tflite") as path:
        try:
            model = TfliteModel(path)
        except ModelError:
            return False
        outputs = model(**{name: np.zeros(shape, np.float32) for name, shape in model.inputs.items()})
    check(all(outputs[name].shape == shape for name, shape in model.outputs.items()), "an output of another shape")
    return True


@functools.cache
def small_graph() -> bytes:
    """A graph of a few hundred bytes' weights with every operator."""
    from dredge_models.tflite.matrix import Int8Rows
    from dredge_models.tflite.writer import Graph

    graph = Graph("small", int8=True)
    x, h = graph.input(6, "x"), graph.input(4, "h")
    weight = Int8Rows(np.arange(24, dtype=np.int8).reshape(4, 6), np.full(4, 0.1, np.float32))
    y = graph.tanh(graph.dense(x, weight, np.zeros(4)))
    a, b = graph.split(graph.sigmoid(graph.add(graph.mul(y, h), graph.sub_(y, h))), [2, 2])
    c, d, e = graph.split(graph.concat([a, b, y]), [1, 3, 4])
    rows = graph.split_rows(graph.dense(graph.join_rows([graph.concat([c, d, e])] * 6), np.ones((3, 8), np.float32)))
    graph.output(graph.join_rows(rows[:4]), "out")
    return graph.to_bytes()


def seeds_tflite() -> list[bytes]:
    return [b"\0" + small_graph(), b"\1", b"\2", b"\3", bytes([1, 0, 0, 200, 3]), bytes([2, 0, 1, 7, 0, 0, 9, 9, 255])]


TARGETS = (
    Target("tflite", "TFLite graphs through the loader", run_tflite, seeds_tflite, limit=8192, repeat=40),
)  # fmt: skip

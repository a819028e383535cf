# SPDX-License-Identifier: BSD-2-Clause
"""TFLite graphs of an imported RDO-VAE, with the inputs and outputs of our own graphs (rdovae.py).

int8=True keeps the blob's int8 rows and scales unchanged; int8=False writes the same values as float32. Both
calculate in float32, where libopus rounds activations to 1/127 and approximates tanh.
"""

from __future__ import annotations

import numpy as np

from dredge_models.libopus.layers import Linear
from dredge_models.libopus.rdovae import DILATIONS, Decoder, Encoder, Generation, Stage, newest_last
from dredge_models.tflite.writer import Graph

ONES = (1,) * len(DILATIONS)


def encoder_graph(encoder: Encoder, int8: bool = True) -> Graph:
    """Return the graph frames [1, 40], memory -> latent, start, memory_out; one call per 20 ms."""
    build = _Builder("dredge imported rdovae encoder", int8)
    graph = build.graph
    frames = graph.input(encoder.first.weight.shape[1], "frames")
    memory = graph.input(sum(memory_sizes(encoder.stages, DILATIONS)), "memory")
    x, memory_out = build.stages(graph.tanh(build.dense(frames, encoder.first)), encoder.stages, DILATIONS, memory)
    graph.output(build.dense(x, encoder.latent), "latent")
    graph.output(build.dense(graph.tanh(build.dense(x, encoder.state_hidden)), encoder.state), "start")
    graph.output(memory_out, "memory_out")
    return graph


def decoder_graph(decoder: Decoder, generation: Generation, int8: bool = True) -> Graph:
    """Return the graph coded [1, L + 1], memory -> features [1, 80] (oldest frame first), memory_out; one call per
    latent.
    """
    build = _Builder("dredge imported rdovae decoder", int8)
    graph = build.graph
    first = decoder.first.dense()
    if not generation.tells_level:  # our graphs have the level as their last input: here its weights are zero
        first = np.concatenate([first, np.zeros((len(first), 1), np.float32)], 1)
    coded = graph.input(first.shape[1], "coded")
    memory = graph.input(sum(memory_sizes(decoder.stages, ONES)), "memory")
    x, memory_out = build.stages(
        graph.tanh(graph.dense(coded, first, decoder.first.bias)), decoder.stages, ONES, memory
    )
    graph.output(build.dense(x, decoder.out.take(newest_last())), "features")
    graph.output(memory_out, "memory_out")
    return graph


def start_graph(decoder: Decoder, int8: bool = True) -> Graph:
    """Return the graph start [1, S] -> memory of the decoder."""
    build = _Builder("dredge imported rdovae start", int8)
    graph = build.graph
    start = graph.input(decoder.start_hidden.weight.shape[1], "start")
    states = graph.tanh(build.dense(graph.tanh(build.dense(start, decoder.start_hidden)), decoder.start))
    lines = memory_sizes(decoder.stages, ONES)[len(ONES):]
    empty = graph.constant(np.zeros((1, sum(lines)), np.float32))
    graph.output(graph.concat([states, empty]), "memory")
    return graph


def memory_sizes(stages: tuple[Stage, ...], dilations: tuple[int, ...]) -> list[int]:
    """Return the sizes of the parts of `memory`: GRU states, then delay lines of the convolutions."""
    lines = [stage.conv.weight.shape[1] // 2 * d for stage, d in zip(stages, dilations, strict=True)]
    return [stage.gru_own.weight.shape[1] for stage in stages] + lines


class _Builder:
    """Layers of a blob in a graph."""

    def __init__(self, description: str, int8: bool) -> None:
        self.graph = Graph(description, int8=False)   # nothing is quantised again
        self._int8 = int8

    def dense(self, x: int, layer: Linear) -> int:
        return self.graph.dense(x, layer.weight if self._int8 else layer.dense(), layer.bias)

    def stages(self, x: int, stages: tuple[Stage, ...], dilations: tuple[int, ...], memory: int) -> tuple[int, int]:
        """Add the GRU + convolution stages; return everything joined and the new memory."""
        graph = self.graph
        parts = graph.split(memory, memory_sizes(stages, dilations))
        states, lines = [], []
        for i, (stage, dilation) in enumerate(zip(stages, dilations, strict=True)):
            h = self._gru(x, parts[i], stage)
            states.append(h)
            gated = h if stage.gate is None else graph.mul(h, graph.sigmoid(self.dense(h, stage.gate)))
            x = graph.concat([x, gated])
            column = x if stage.narrow is None else graph.tanh(self.dense(x, stage.narrow))
            line = graph.split(parts[len(stages) + i], [graph.width(column)] * dilation)
            lines += [*line[1:], column]
            x = graph.concat([x, graph.tanh(self.dense(graph.concat([line[0], column]), stage.conv))])
        return x, graph.concat(states + lines)

    def _gru(self, x: int, h: int, stage: Stage) -> int:
        """Add one GRU step, reset after the product, and return its state: h <- z h + (1 - z) tanh(W x + r (U h))."""
        graph = self.graph
        n = graph.width(h)
        gates, fresh = slice(2 * n), slice(2 * n, 3 * n)
        both = graph.add(self.dense(x, stage.gru_in.take(gates)), self.dense(h, stage.gru_own.take(gates)))
        keep, reset = graph.split(graph.sigmoid(both), [n, n])
        inner = graph.mul(reset, self.dense(h, stage.gru_own.take(fresh)))
        new = graph.tanh(graph.add(self.dense(x, stage.gru_in.take(fresh)), inner))
        return graph.add(new, graph.mul(keep, graph.sub_(h, new)))

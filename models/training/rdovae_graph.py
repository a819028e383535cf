# SPDX-License-Identifier: BSD-2-Clause
"""The four streaming graphs of the RDO-VAE, built from its named weights (NumPy arrays).

`encoder`:  frames [1, 40], memory -> latent, start, memory_out
`start`:    start [1, S] -> memory of the decoder
`decoder`:  coded [1, L + 1] (latent, level / 8 - 1), memory -> features [1, 80], memory_out
`decoder_rows`: the same for several latents in one call, coded [ROWS, L + 1] -> features [ROWS, 80]

`memory` is one flat tensor: the GRU states of all stages, then the delay lines of the convolutions.
"""

import json
from pathlib import Path

import numpy as np

from dredge_models.tflite.writer import Graph
from models.training.rdovae_net import INPUT_SCALE, LATENT_GAIN

ROWS = 6  # latents per call of the decoder of several

Weights = dict[str, np.ndarray]


def folded(weights: Weights) -> Weights:
    """Return the float32 weights with all constant factors multiplied in.

    After this the encoder takes raw features and emits table-ready latents, the decoder takes dequantised latents and
    emits raw features.
    """
    out = {k: v.astype(np.float32) for k, v in weights.items()}
    scale = INPUT_SCALE.numpy()
    out["encoder.dense.weight"] = out["encoder.dense.weight"] * np.tile(scale, 2)
    for head in ("encoder.latent", "encoder.state"):
        for part in ("weight", "bias"):
            out[f"{head}.{part}"] = out[f"{head}.{part}"] * np.float32(LATENT_GAIN)
    dense = out["decoder.dense.weight"].copy()
    dense[:, :-1] /= np.float32(LATENT_GAIN)
    out["decoder.dense.weight"] = dense
    out["decoder.init_hidden.weight"] = out["decoder.init_hidden.weight"] / np.float32(LATENT_GAIN)
    spread = np.tile(scale, 4)
    last = out["decoder.out.weight"] / spread[:, None]
    last[:, -(dense.shape[1] - 1):] /= np.float32(LATENT_GAIN)
    out["decoder.out.weight"] = last
    out["decoder.out.bias"] = out["decoder.out.bias"] / spread
    return out


def gru_weights(weights: Weights, side: str, stage: int) -> Weights:
    """Return the four arrays of one GRU under torch.nn.GRU's names."""
    prefix = f"{side}.grus.{stage}.cell."
    return {k[len(prefix):]: v for k, v in weights.items() if k.startswith(prefix)}


def memory_sizes(weights: Weights, side: str, dilations: list[int]) -> list[int]:
    """Return the sizes of the parts of `memory`: GRU states, then delay lines."""
    grus = [gru_weights(weights, side, i)["weight_hh_l0"].shape[1] for i in range(len(dilations))]
    convs = [len(weights[f"{side}.convs.{i}.dense.bias"]) * d for i, d in enumerate(dilations)]
    return grus + convs


def _dense(graph: Graph, x: int, weights: Weights, name: str) -> int:
    return graph.dense(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"))


def _stages(graph: Graph, x: int, weights: Weights, side: str, dilations: list[int],
            memory: int) -> tuple[int, int]:
    """Add the GRU + convolution stages; return (joined activations, new memory)."""
    parts = graph.split(memory, memory_sizes(weights, side, dilations))
    states, lines = [], []
    for i, dilation in enumerate(dilations):
        h = graph.gru(x, parts[i], gru_weights(weights, side, i))
        states.append(h)
        gated = h
        if f"{side}.gates.{i}.weight" in weights:
            gated = graph.mul(h, graph.sigmoid(_dense(graph, h, weights, f"{side}.gates.{i}")))
        x = graph.concat([x, gated])
        now = graph.tanh(_dense(graph, x, weights, f"{side}.convs.{i}.dense"))
        line = graph.split(parts[len(dilations) + i], [graph.width(now)] * dilation)
        lines.append(graph.concat([*line[1:], now]) if dilation > 1 else now)
        taps = graph.concat([line[0], now])
        x = graph.concat([x, graph.tanh(_dense(graph, taps, weights, f"{side}.convs.{i}.taps"))])
    return x, graph.concat(states + lines)


def encoder_graph(weights: Weights, dilations: list[int], int8: bool) -> Graph:
    """Return the graph of one encoder step; `weights` already folded."""
    graph = Graph("dredge rdovae encoder", int8)
    frames = graph.input(weights["encoder.dense.weight"].shape[1], "frames")
    memory = graph.input(sum(memory_sizes(weights, "encoder", dilations)), "memory")
    x = graph.tanh(_dense(graph, frames, weights, "encoder.dense"))
    x, memory_out = _stages(graph, x, weights, "encoder", dilations, memory)
    graph.output(_dense(graph, x, weights, "encoder.latent"), "latent")
    hidden = graph.tanh(_dense(graph, x, weights, "encoder.state_hidden"))
    graph.output(_dense(graph, hidden, weights, "encoder.state"), "start")
    graph.output(memory_out, "memory_out")
    return graph


def decoder_graph(weights: Weights, stages: int, int8: bool) -> Graph:
    """Return the graph of one decoder step (one latent, 40 ms); `weights` already folded."""
    graph = Graph("dredge rdovae decoder", int8)
    dilations = [1] * stages
    coded = graph.input(weights["decoder.dense.weight"].shape[1], "coded")
    memory = graph.input(sum(memory_sizes(weights, "decoder", dilations)), "memory")
    x = graph.tanh(_dense(graph, coded, weights, "decoder.dense"))
    x, memory_out = _stages(graph, x, weights, "decoder", dilations, memory)
    _output(graph, coded, x, weights)
    graph.output(memory_out, "memory_out")
    return graph


def decoder_rows_graph(weights: Weights, stages: int, int8: bool, rows: int = ROWS) -> Graph:
    """Return the graph of `rows` decoder steps in one call; `weights` already folded.

    It gives what as many calls of `decoder_graph` give. Layer by layer, everything but the GRUs' recurrence is one
    product for all rows, for which the weights are read once.
    """
    graph = Graph("dredge rdovae decoder, several steps", int8)
    coded = graph.input(weights["decoder.dense.weight"].shape[1], "coded", rows)
    memory = graph.input(sum(memory_sizes(weights, "decoder", [1] * stages)), "memory")
    parts = graph.split(memory, memory_sizes(weights, "decoder", [1] * stages))
    x = graph.tanh(_dense(graph, coded, weights, "decoder.dense"))
    states, lines = [], []
    for i in range(stages):
        each = graph.gru_rows(x, parts[i], gru_weights(weights, "decoder", i))
        states.append(each[-1])
        gated = h = graph.join_rows(each)
        if f"decoder.gates.{i}.weight" in weights:
            gated = graph.mul(h, graph.sigmoid(_dense(graph, h, weights, f"decoder.gates.{i}")))
        x = graph.concat([x, gated])
        now = graph.tanh(_dense(graph, x, weights, f"decoder.convs.{i}.dense"))
        *before, last = graph.split_rows(now)
        lines.append(last)
        taps = graph.concat([graph.join_rows([parts[stages + i], *before]), now])
        x = graph.concat([x, graph.tanh(_dense(graph, taps, weights, f"decoder.convs.{i}.taps"))])
    _output(graph, coded, x, weights)
    graph.output(graph.concat(states + lines), "memory_out")
    return graph


def _output(graph: Graph, coded: int, x: int, weights: Weights) -> None:
    """Add the decoder's last layer."""
    matrix, width = weights["decoder.out.weight"], graph.width(x)
    latents, _ = graph.split(coded, [graph.width(coded) - 1, 1])
    # Two products, so that each part has int8 scales that fit it.
    direct = graph.dense(latents, matrix[:, width:])
    graph.output(graph.add(graph.dense(x, matrix[:, :width], weights["decoder.out.bias"]), direct), "features")


def start_graph(weights: Weights, stages: int, int8: bool) -> Graph:
    """Return the graph from the initial state to the decoder's memory; `weights` already folded."""
    graph = Graph("dredge rdovae start", int8)
    start = graph.input(weights["decoder.init_hidden.weight"].shape[1], "start")
    hidden = graph.tanh(_dense(graph, start, weights, "decoder.init_hidden"))
    states = graph.tanh(_dense(graph, hidden, weights, "decoder.init"))
    sizes = memory_sizes(weights, "decoder", [1] * stages)
    empty = graph.constant(np.zeros((1, sum(sizes[stages:])), np.float32))
    graph.output(graph.concat([states, empty]), "memory")
    return graph


def write_graphs(master: Path, folder: Path, int8: bool = True, suffix: str = "") -> list[str]:
    """Write the four graphs of a master file; return their names."""
    with np.load(master) as file:
        config = json.loads(str(file["config"]))
        weights = {k: file[k].astype(np.float32) for k in file.files if k != "config"}
    graphs = {
        "encoder": encoder_graph(weights, list(config["enc_dilations"]), int8),
        "decoder": decoder_graph(weights, config["dec_stages"], int8),
        "decoder_rows": decoder_rows_graph(weights, config["dec_stages"], int8),
        "start": start_graph(weights, config["dec_stages"], int8),
    }
    names = []
    for name, graph in graphs.items():
        names.append(f"rdovae_{name}{suffix}.tflite")
        graph.save(folder / names[-1])
    return names

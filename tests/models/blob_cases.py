# SPDX-License-Identifier: BSD-2-Clause
"""Writes libopus weight blobs of made-up weights, and runs their layers in plain NumPy."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from dredge_models.libopus.layers import Linear
from dredge_models.libopus.rdovae import GENERATIONS, Decoder, Encoder, Generation, Stage
from dredge_models.libopus.tables import c_name

KIND = {"f": 0, "i": 3}


def record(name: str, values: np.ndarray, kind: int | None = None) -> bytes:
    """One record; int32 becomes an index list, int8 weights, float32 floats."""
    if kind is None:
        kind = 1 if values.dtype == np.int32 else KIND[values.dtype.kind]
    data = np.ascontiguousarray(values).tobytes()
    stored = -(-len(data) // 64) * 64
    return struct.pack("<4siiii44s", b"DNNw", 0, kind, len(data), stored, name.encode()) + data.ljust(stored, b"\0")


def blocks(matrix: np.ndarray) -> np.ndarray:
    """int8 [out, in] as 8 x 4 blocks [out / 8, in / 4, 8, 4]."""
    outputs, inputs = matrix.shape
    return matrix.reshape(outputs // 8, 8, inputs // 4, 4).transpose(0, 2, 1, 3)


class BlobWriter:
    """Collects layers of random weights as records."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.records: dict[str, bytes] = {}

    def add(self, name: str, values: np.ndarray) -> None:
        self.records[name] = record(name, values)

    def floats(self, name: str, inputs: int, outputs: int) -> None:
        spread = self.rng.normal(0, 1 / np.sqrt(inputs), (inputs, outputs)).astype(np.float32)
        self.add(f"{name}_weights_float", spread)
        self.add(f"{name}_bias", self._bias(outputs))

    def dense(self, name: str, inputs: int, outputs: int) -> None:
        self.add(f"{name}_weights_int8", blocks(self._int8(outputs, inputs)))
        self._rest(name, inputs, outputs)

    def sparse(self, name: str, inputs: int, outputs: int) -> None:
        index, kept = [], []
        grid = blocks(self._int8(outputs, inputs))
        for strip in grid:
            columns = np.flatnonzero(self.rng.random(inputs // 4) < 0.4)
            index += [len(columns), *(4 * columns)]
            kept.append(strip[columns].ravel())
        self.add(f"{name}_weights_int8", np.concatenate(kept))
        self.add(f"{name}_weights_idx", np.array(index, np.int32))
        self._rest(name, inputs, outputs)

    def blob(self) -> bytes:
        return b"".join(self.records.values())

    def _int8(self, outputs: int, inputs: int) -> np.ndarray:
        return self.rng.integers(-127, 128, (outputs, inputs)).astype(np.int8)

    def _rest(self, name: str, inputs: int, outputs: int) -> None:
        scale = self.rng.uniform(0.5, 1.5, outputs) / (73 * 127 * np.sqrt(inputs))
        self.add(f"{name}_subias", np.zeros(outputs, np.float32))
        self.add(f"{name}_scale", scale.astype(np.float32))
        self.add(f"{name}_bias", self._bias(outputs))

    def _bias(self, outputs: int) -> np.ndarray:
        return self.rng.normal(0, 0.1, outputs).astype(np.float32)


V10, V12 = GENERATIONS


def made_up_encoder(seed: int = 1, generation: Generation = V10) -> BlobWriter:
    """An encoder of the right shape."""
    writer, side = BlobWriter(seed), generation.encoder
    writer.floats("enc_dense1", 40, 64)
    width = 64
    for k in range(1, 6):
        writer.sparse(f"enc_gru{k}_input", width, 3 * side.units)
        writer.dense(f"enc_gru{k}_recurrent", side.units, 3 * side.units)
        width += side.units
        if side.narrow:
            writer.sparse(f"enc_conv_dense{k}", width, side.narrow)
        writer.dense(f"enc_conv{k}", 2 * (side.narrow or width), side.outputs)
        width += side.outputs
    latents, states = (-(-n // 8) * 8 for n in (generation.latent_dim, generation.state_dim))
    for name, inputs, outputs in (("enc_zdense", width, latents), ("gdense1", width, 128), ("gdense2", 128, states)):
        writer.dense(name, inputs, outputs)
    return writer


def made_up_decoder(seed: int = 2, generation: Generation = V10) -> BlobWriter:
    """A decoder of the right shape."""
    writer, side = BlobWriter(seed), generation.decoder
    writer.floats("dec_dense1", generation.latent_dim + generation.tells_level, 96)
    width = 96
    for k in range(1, 6):
        writer.sparse(f"dec_gru{k}_input", width, 3 * side.units)
        writer.dense(f"dec_gru{k}_recurrent", side.units, 3 * side.units)
        writer.dense(f"dec_glu{k}", side.units, side.units)
        width += side.units
        if side.narrow:
            writer.sparse(f"dec_conv_dense{k}", width, side.narrow)
        writer.dense(f"dec_conv{k}", 2 * (side.narrow or width), side.outputs)
        width += side.outputs
    writer.floats("dec_hidden_init", generation.state_dim, 128)
    writer.dense("dec_gru_init", 128, 5 * side.units)
    writer.dense("dec_output", width, 80)
    return writer


def made_up_tables(seed: int = 3, generation: Generation = V10) -> dict[str, np.ndarray]:
    """uint8 [16, L] and [16, S] under libopus' names."""
    rng = np.random.default_rng(seed)
    ranges = {"scale": (90, 250), "dead_zone": (0, 60), "r": (60, 220), "p0": (5, 120)}
    return {
        c_name(part, kind): rng.integers(low, high, (16, dim)).astype(np.uint8)
        for part, dim in (("latent", generation.latent_dim), ("state", generation.state_dim))
        for kind, (low, high) in ranges.items()
    }


def c_source(tables: dict[str, np.ndarray]) -> str:
    """The tables as a C file."""
    arrays = [
        f"const opus_uint8 {name}[{values.size}] = {{\n  {', '.join(map(str, values.ravel()))},\n}};"
        for name, values in tables.items()
    ]
    return "/* x[2] = { 1, 2 } */\n#include \"stats.h\"\n" + "\n\n".join(arrays) + "\n"


def write_model(folder: Path, generation: Generation = V10) -> list[Path]:
    """The three files a user would have; returns their paths."""
    paths = [folder / "enc.bin", folder / "dec.bin", folder / "stats.c"]
    paths[0].write_bytes(made_up_encoder(1, generation).blob())
    paths[1].write_bytes(made_up_decoder(2, generation).blob())
    paths[2].write_text(c_source(made_up_tables(3, generation)), encoding="utf-8")
    return paths


# --- the same networks in plain NumPy --------------------------------------------------------------


def _y(layer: Linear, x: np.ndarray) -> np.ndarray:
    return layer.dense() @ x + layer.bias


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def _stage(stage: Stage, x: np.ndarray, h: np.ndarray, line: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    n = len(h)
    given, own = _y(stage.gru_in, x), _y(stage.gru_own, h)
    z, r = _sigmoid(given[:n] + own[:n]), _sigmoid(given[n : 2 * n] + own[n : 2 * n])
    h = z * h + (1 - z) * np.tanh(given[2 * n :] + r * own[2 * n :])
    x = np.concatenate([x, h if stage.gate is None else h * _sigmoid(_y(stage.gate, h))])
    column = x if stage.narrow is None else np.tanh(_y(stage.narrow, x))
    line.append(column)
    return np.concatenate([x, np.tanh(_y(stage.conv, np.concatenate([line.pop(0), column])))]), h


def run_encoder(net: Encoder, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float32 [n, 40] -> latents [n, L], states [n, S]."""
    states = [np.zeros(stage.gru_own.weight.shape[1]) for stage in net.stages]
    lines = [
        [np.zeros(stage.conv.weight.shape[1] // 2) for _ in range(d)]
        for stage, d in zip(net.stages, (1, 2, 2, 2, 2), strict=True)
    ]
    latents, starts = [], []
    for frame in frames:
        x = np.tanh(_y(net.first, frame))
        for i, stage in enumerate(net.stages):
            x, states[i] = _stage(stage, x, states[i], lines[i])
        latents.append(_y(net.latent, x))
        starts.append(_y(net.state, np.tanh(_y(net.state_hidden, x))))
    return np.array(latents), np.array(starts)


def run_decoder(net: Decoder, state: np.ndarray, latents: np.ndarray) -> np.ndarray:
    """State [S] and inputs [n, L or L + 1], newest first -> features [4 n, 20], newest first."""
    start = np.tanh(_y(net.start, np.tanh(_y(net.start_hidden, state))))
    states = list(start.reshape(len(net.stages), -1))
    lines = [[np.zeros(stage.conv.weight.shape[1] // 2)] for stage in net.stages]
    out = []
    for latent in latents:
        x = np.tanh(_y(net.first, latent))
        for i, stage in enumerate(net.stages):
            x, states[i] = _stage(stage, x, states[i], lines[i])
        out.append(_y(net.out, x).reshape(4, 20))
    return np.concatenate(out)


def made_up_fargan(seed: int = 4) -> BlobWriter:
    """A FARGAN of the right shape."""
    writer = BlobWriter(seed)
    for name, inputs, outputs in (
        ("cond_net_pembed", 224, 12), ("cond_net_fdense1", 32, 64), ("sig_net_cond_gain_dense", 80, 1),
        ("sig_net_gain_dense_out", 192, 4),
    ):  # fmt: skip
        writer.floats(name, inputs, outputs)
    for name, inputs, outputs in (
        ("cond_net_fconv1", 192, 128), ("cond_net_fdense2", 128, 320), ("sig_net_fwc0_conv", 328, 192),
        ("sig_net_fwc0_glu_gate", 192, 192), ("sig_net_skip_dense", 688, 128), ("sig_net_skip_glu_gate", 128, 128),
        ("sig_net_sig_dense_out", 128, 40),
    ):  # fmt: skip
        writer.dense(name, inputs, outputs)
    for k, inputs, units in ((1, 272, 160), (2, 240, 128), (3, 208, 128)):
        writer.dense(f"sig_net_gru{k}_glu_gate", units, units)
        for part, width in (("input", inputs), ("recurrent", units)):
            writer.dense(f"sig_net_gru{k}_{part}", width, 3 * units)
            del writer.records[f"sig_net_gru{k}_{part}_bias"]
    return writer

# SPDX-License-Identifier: BSD-2-Clause
"""The RDO-VAE of libopus as layers out of a weight blob: DRED version 10 (libopus 1.5) and version 12 (1.6).

Both are five stages of a GRU and a convolution over two columns; version 12 is narrower, has a dense layer before every
convolution, and tells the decoder the quantiser level of each latent (docs/reference/interop.md; sizes from the sources
of libopus 1.5.2 and 1.6.1).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

from dredge_kernels.tables import LIBOPUS_1_5, LIBOPUS_1_6
from dredge_models.libopus.blob import BlobError
from dredge_models.libopus.layers import Layers, Linear
from dredge_models.registry import LIBOPUS_VERSIONS

FEATURES, FRAMES_PER_LATENT = 20, 4
DILATIONS = (1, 2, 2, 2, 2)  # of the encoder's convolutions; the decoder's are all 1
STAGES = len(DILATIONS)
_BLOCK = 8                   # the encoder's heads are padded to whole blocks of rows


@dataclass(frozen=True)
class Side:
    """Widths of an encoder or decoder; narrow: the dense layer before each convolution, 0 where there is none."""

    units: int
    narrow: int
    outputs: int


@dataclass(frozen=True)
class Generation:
    """Sizes of one DRED version's networks."""

    version: int
    release: str
    latent_dim: int
    state_dim: int
    encoder: Side
    decoder: Side
    tells_level: bool        #: the decoder's input ends with the latent's quantiser level


GENERATIONS = (
    Generation(LIBOPUS_1_5, "1.5", 21, 19, Side(64, 0, 96), Side(96, 0, 32), False),
    Generation(LIBOPUS_1_6, "1.6", 25, 50, Side(32, 64, 64), Side(64, 32, 32), True),
)


@dataclass(frozen=True)
class Stage:
    """GRU (gates z, r, h), its output gate (decoder only), the dense layer before the convolution (version 12 only),
    and the convolution over two columns (older one first)."""

    gru_in: Linear
    gru_own: Linear
    gate: Linear | None
    narrow: Linear | None
    conv: Linear


@dataclass(frozen=True)
class Encoder:
    """Layers of the encoder."""

    first: Linear
    stages: tuple[Stage, ...]
    latent: Linear
    state_hidden: Linear
    state: Linear


@dataclass(frozen=True)
class Decoder:
    """Layers of the decoder; its output puts the newest of four frames first."""

    first: Linear
    stages: tuple[Stage, ...]
    out: Linear
    start_hidden: Linear
    start: Linear


def has_encoder(names: Collection[str]) -> bool:
    """Return whether records of these names are the encoder's."""
    return any(name.startswith("enc_dense1") for name in names)


def has_decoder(names: Collection[str]) -> bool:
    """Return whether records of these names are the decoder's."""
    return any(name.startswith("dec_dense1") for name in names)


def generation_of(names: Iterable[str], source: str) -> Generation:
    """Return the generation of a blob's records; BlobError where encoder and decoder are of two generations."""
    names = set(names)
    found = {
        GENERATIONS[f"{side}_conv_dense1_bias" in names]
        for side, there in (("enc", has_encoder(names)), ("dec", has_decoder(names)))
        if there
    }
    if len(found) > 1:
        versions = " and ".join(map(str, LIBOPUS_VERSIONS))
        raise BlobError(f"{source}: encoder and decoder are of two DRED versions, {versions}")
    return found.pop() if found else GENERATIONS[0]


def read_encoder(layers: Layers, generation: Generation) -> Encoder:
    """Return the encoder's layers; BlobError naming the record that is missing or of another size."""
    first = layers.linear("enc_dense1", 2 * FEATURES, 64)
    stages, width = _stages(layers, "enc", 64, generation.encoder)
    latents, states = generation.latent_dim, generation.state_dim
    return Encoder(
        first, stages,
        layers.linear("enc_zdense", width, _padded(latents)).take(slice(latents)),
        layers.linear("gdense1", width, 128),
        layers.linear("gdense2", 128, _padded(states)).take(slice(states)),
    )  # fmt: skip


def read_decoder(layers: Layers, generation: Generation) -> Decoder:
    """Return the decoder's layers; BlobError naming the record that is missing or of another size."""
    first = layers.linear("dec_dense1", generation.latent_dim + generation.tells_level, 96)
    stages, width = _stages(layers, "dec", 96, generation.decoder)
    return Decoder(
        first, stages,
        layers.linear("dec_output", width, FRAMES_PER_LATENT * FEATURES),
        layers.linear("dec_hidden_init", generation.state_dim, 128),
        layers.linear("dec_gru_init", 128, generation.decoder.units * STAGES),
    )  # fmt: skip


def _padded(rows: int) -> int:
    return -(-rows // _BLOCK) * _BLOCK


def _stages(layers: Layers, name: str, width: int, side: Side) -> tuple[tuple[Stage, ...], int]:
    """Return the stages, each fed with the outputs of all before it, and the width of everything joined."""
    stages = []
    for k in range(1, STAGES + 1):
        gru_in = layers.linear(f"{name}_gru{k}_input", width, 3 * side.units)
        gru_own = layers.linear(f"{name}_gru{k}_recurrent", side.units, 3 * side.units)
        gate = layers.linear(f"{name}_glu{k}", side.units, side.units) if name == "dec" else None
        width += side.units
        narrow = layers.linear(f"{name}_conv_dense{k}", width, side.narrow) if side.narrow else None
        conv = layers.linear(f"{name}_conv{k}", 2 * (side.narrow or width), side.outputs)
        stages.append(Stage(gru_in, gru_own, gate, narrow, conv))
        width += side.outputs
    return tuple(stages), width


def newest_last() -> np.ndarray:
    """Return the decoder's output rows reordered so that the oldest frame is first, as in our graphs."""
    return np.arange(FRAMES_PER_LATENT * FEATURES).reshape(FRAMES_PER_LATENT, FEATURES)[::-1].ravel()

# SPDX-License-Identifier: BSD-2-Clause
"""The RDO-VAE of libopus 1.5 (DRED version 10): its layers out of a blob, and the three streaming graphs of them.

The graphs have the inputs and outputs of our own (rdovae.py), so that one object runs both. Topology: FACTS of
the 1.5.2 source; encoder 64 GRU units and 96 convolution outputs per stage, decoder 96 and 32 (docs/interop.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dredge_models.libopus.blob import BlobError
from dredge_models.libopus.layers import Layers, Linear

VERSION = 10
LATENT_DIM, STATE_DIM = 21, 19
PADDED = 24                  # the encoder's heads are padded to whole blocks of 8 rows
FEATURES, FRAMES_PER_LATENT = 20, 4
DILATIONS = (1, 2, 2, 2, 2)  # of the encoder's convolutions; the decoder's are all 1
STAGES = len(DILATIONS)
_LATER = "conv_dense1_bias"  # the convolutions of libopus 1.6 (version 12) have a dense layer in front


@dataclass(frozen=True)
class Stage:
    """GRU (gates z, r, h), its output gate (decoder only), convolution over two columns (older one first)."""

    gru_in: Linear
    gru_own: Linear
    gate: Linear | None
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


def has_encoder(names: list[str]) -> bool:
    """Whether records of these names are the encoder's."""
    return any(name.startswith("enc_dense1") for name in names)


def has_decoder(names: list[str]) -> bool:
    """Whether records of these names are the decoder's."""
    return any(name.startswith("dec_dense1") for name in names)


def check_version(names: list[str], source: str) -> None:
    """BlobError for the records of another model generation."""
    if f"enc_{_LATER}" in names or f"dec_{_LATER}" in names:
        raise BlobError(f"{source}: this is the model of libopus 1.6 (DRED version 12); "
                        f"expected that of libopus 1.5 (version {VERSION})")


def read_encoder(layers: Layers) -> Encoder:
    """The encoder's layers; BlobError naming the record that is missing or of another size."""
    first = layers.linear("enc_dense1", 2 * FEATURES, 64)
    stages, width = _stages(layers, "enc", 64, units=64, outputs=96)
    return Encoder(
        first, stages,
        layers.linear("enc_zdense", width, PADDED).take(slice(LATENT_DIM)),
        layers.linear("gdense1", width, 128),
        layers.linear("gdense2", 128, PADDED).take(slice(STATE_DIM)),
    )  # fmt: skip


def read_decoder(layers: Layers) -> Decoder:
    """The decoder's layers; BlobError naming the record that is missing or of another size."""
    first = layers.linear("dec_dense1", LATENT_DIM, 96)
    stages, width = _stages(layers, "dec", 96, units=96, outputs=32)
    return Decoder(
        first, stages,
        layers.linear("dec_output", width, FRAMES_PER_LATENT * FEATURES),
        layers.linear("dec_hidden_init", STATE_DIM, 128),
        layers.linear("dec_gru_init", 128, 96 * STAGES),
    )  # fmt: skip


def _stages(layers: Layers, side: str, width: int, units: int, outputs: int) -> tuple[tuple[Stage, ...], int]:
    """Every stage hears the outputs of all before it; returns them and the width of everything joined."""
    stages = []
    for k in range(1, STAGES + 1):
        gru_in = layers.linear(f"{side}_gru{k}_input", width, 3 * units)
        gru_own = layers.linear(f"{side}_gru{k}_recurrent", units, 3 * units)
        gate = layers.linear(f"{side}_glu{k}", units, units) if side == "dec" else None
        width += units
        conv = layers.linear(f"{side}_conv{k}", 2 * width, outputs)
        stages.append(Stage(gru_in, gru_own, gate, conv))
        width += outputs
    return tuple(stages), width


def newest_last() -> np.ndarray:
    """Order of the decoder's output rows that puts the oldest frame first, as ours does."""
    return np.arange(FRAMES_PER_LATENT * FEATURES).reshape(FRAMES_PER_LATENT, FEATURES)[::-1].ravel()

# SPDX-License-Identifier: BSD-2-Clause
"""Quantiser tables, made up or libopus', and payload cases for the tests of the codec."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import numpy as np
import pytest

from dredge_kernels.tables import QuantTables

VECTORS = os.environ.get("DREDGE_VECTORS", "")
needs_vectors = pytest.mark.skipif(
    not VECTORS, reason="needs vectors: set DREDGE_VECTORS"
)


def made_up_tables(version: int = 0xD1, latent_dim: int = 9, state_dim: int = 6) -> QuantTables:
    """Tables that get coarser with the level, with some dimensions switched off at high levels."""
    rng = np.random.default_rng(latent_dim * 100 + state_dim)
    arrays = {}
    for part, dim in (("latent", latent_dim), ("state", state_dim)):
        level = np.arange(16)[:, None]
        finest = rng.integers(90, 250, dim)
        r = np.clip(rng.integers(60, 240, dim) - 9 * level, 0, 255)
        p0 = np.clip(rng.integers(5, 120, dim) + 9 * level, 1, 255)
        arrays[f"{part}_scale"] = np.maximum(finest - 5 * level, 1).astype(np.uint8)
        arrays[f"{part}_dead_zone"] = rng.integers(0, 60, (16, dim)).astype(np.uint8)
        arrays[f"{part}_r"] = np.where(r < 20, 0, r).astype(np.uint8)
        arrays[f"{part}_p0"] = p0.astype(np.uint8)
    return QuantTables.from_arrays(version, arrays)


def load(path: str) -> dict[str, np.ndarray]:
    """Every array of one .npz of the vectors."""
    with np.load(Path(VECTORS) / path) as arrays:
        return {name: arrays[name] for name in arrays}


@functools.cache
def libopus_tables() -> QuantTables:
    """Tables of the libopus 1.5.2 model: test data only, not part of the product."""
    arrays = load("weights/rdovae_stats_and_tables.npz")
    kinds = {"scale": "quant_scales", "dead_zone": "dead_zone", "r": "r", "p0": "p0"}
    return QuantTables.from_arrays(
        10,
        {
            f"{part}_{kind}": arrays[f"dred_{part}_{name}_q8"]
            for part in ("latent", "state")
            for kind, name in kinds.items()
        },
    )

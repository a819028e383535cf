# SPDX-License-Identifier: BSD-2-Clause
"""Quantiser tables of libopus' DRED: from the C source that libopus compiles in, or from an .npz of the same arrays.

The tables are not part of libopus' weight blobs; `dred_rdovae_stats_data.c` of a release has them.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from dredge_kernels.tables import KINDS, LEVELS, QuantTables
from dredge_models.libopus.blob import BlobError
from dredge_models.libopus.rdovae import GENERATIONS
from dredge_models.npz import read_arrays

PARTS = ("latent", "state")
_C_NAMES = {"scale": "quant_scales", "dead_zone": "dead_zone", "r": "r", "p0": "p0"}
_ARRAY = re.compile(r"\b(\w+)\s*\[\s*(\d*)\s*\]\s*=\s*\{([^}]*)\}")
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


def c_name(part: str, kind: str) -> str:
    """Return the name that libopus gives to a table."""
    return f"dred_{part}_{_C_NAMES[kind]}_q8"


def is_tables(data: bytes) -> bool:
    """Return whether a file looks like one of the two forms."""
    return data[:2] == b"PK" or c_name("latent", "scale").encode() in data


def read_tables(data: bytes, source: str = "tables") -> QuantTables:
    """Return the tables of either form, with the DRED version that their widths belong to.

    Raises BlobError naming the table that is missing or wrong.
    """
    arrays = _from_npz(data, source) if data[:2] == b"PK" else _from_c(data, source)
    named = {}
    for part in PARTS:
        for kind in KINDS:
            name = c_name(part, kind)
            if name not in arrays:
                raise BlobError(f"{source}: table {name} is missing")
            named[f"{part}_{kind}"] = _bytes(arrays[name], f"{source}: {name}")
    widths = named["latent_scale"].shape[1], named["state_scale"].shape[1]
    versions = {(g.latent_dim, g.state_dim): g.version for g in GENERATIONS}
    if widths not in versions:
        known = " or ".join(f"{latent} and {state} (version {v})" for (latent, state), v in versions.items())
        raise BlobError(f"{source}: expected latents and states of {known} values, got {widths[0]} and {widths[1]}")
    try:
        return QuantTables.from_arrays(versions[widths], named)
    except ValueError as error:
        raise BlobError(f"{source}: {error}") from None


def _bytes(values: NDArray, where: str) -> NDArray[np.uint8]:
    if values.size == 0 or values.size % LEVELS:
        raise BlobError(f"{where}: expected {LEVELS} rows, got {values.size} numbers")
    if values.dtype.kind not in "iu" or values.min() < 0 or values.max() > 255:
        raise BlobError(f"{where}: expected integers of 0 to 255")
    return values.astype(np.uint8).reshape(LEVELS, -1)


def _from_npz(data: bytes, source: str) -> dict[str, NDArray]:
    try:
        return read_arrays(data, "dred_")
    except ValueError as error:
        raise BlobError(f"{source}: not a readable .npz ({error})") from None


def _from_c(data: bytes, source: str) -> dict[str, NDArray]:
    text = _COMMENT.sub(" ", data.decode("utf-8", "replace"))
    arrays = {}
    for name, size, body in _ARRAY.findall(text):
        items = [item.strip() for item in body.split(",")]
        if items[-1] == "":
            items.pop()
        if not all(item.isascii() and item.isdigit() and len(item) <= 9 for item in items):
            raise BlobError(f"{source}: {name}: expected plain integers")
        if size and int(size) != len(items):
            raise BlobError(f"{source}: {name}: expected {size} numbers, got {len(items)}")
        arrays[name] = np.array([int(item) for item in items], np.int64)
    return arrays

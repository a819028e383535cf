# SPDX-License-Identifier: BSD-2-Clause
"""The parameters of a payload codec that a model defines: version byte and quantiser tables of 16 levels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

#: Version bytes whose payload format is known: libopus 1.5.x, libopus 1.6.x, and our own.
LIBOPUS_1_5 = 10
LIBOPUS_1_6 = 12
DREDGE = 0xD1
VERSIONS = (LIBOPUS_1_5, LIBOPUS_1_6, DREDGE)

LEVELS = 16
MAX_DIM = 256

#: Kinds of table, in the order of the first axis of QuantTables.latent and QuantTables.state.
KINDS = ("scale", "dead_zone", "r", "p0")


def check_version(version: int) -> int:
    """Return the version byte itself. Raises ValueError for one whose payload format is not known."""
    if version not in VERSIONS:
        known = ", ".join(str(v) for v in VERSIONS)
        raise ValueError(f"version: expected one of {known}, got {version}")
    return int(version)


class QuantTables:
    """Quantiser tables of one model: scale, dead zone, r and p0 per level and dimension.

    All are uint8 [16, dim] in units of 1/256; a scale of 0 stands for 1 (there is no such step in
    a trained table). A dimension with r = 0 or p0 = 255 at some level is always zero there.
    Instances are immutable. ValueError for wrong shapes, dtypes or an impossible p0.
    """

    __slots__ = ("latent", "latent_dim", "state", "state_dim", "version")

    #: uint8 [4, 16, dim] in the order of KINDS, C-contiguous and read-only: what the kernels read.
    latent: npt.NDArray[np.uint8]
    state: npt.NDArray[np.uint8]
    version: int
    latent_dim: int
    state_dim: int

    def __init__(
        self,
        version: int,
        *,
        latent_scale: npt.ArrayLike,
        latent_dead_zone: npt.ArrayLike,
        latent_r: npt.ArrayLike,
        latent_p0: npt.ArrayLike,
        state_scale: npt.ArrayLike,
        state_dead_zone: npt.ArrayLike,
        state_r: npt.ArrayLike,
        state_p0: npt.ArrayLike,
    ) -> None:
        latent = _stack("latent", (latent_scale, latent_dead_zone, latent_r, latent_p0))
        state = _stack("state", (state_scale, state_dead_zone, state_r, state_p0))
        for name, value in (
            ("version", check_version(version)),
            ("latent", latent),
            ("state", state),
            ("latent_dim", latent.shape[2]),
            ("state_dim", state.shape[2]),
        ):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"QuantTables is immutable: cannot set {name}")

    def __repr__(self) -> str:
        return (
            f"QuantTables(version={self.version}, latent_dim={self.latent_dim}, "
            f"state_dim={self.state_dim})"
        )

    @classmethod
    def from_arrays(cls, version: int, arrays: Mapping[str, Any]) -> QuantTables:
        """Return the tables of named arrays (an opened .npz): latent_scale ... state_p0; others are ignored."""
        names = [f"{part}_{kind}" for part in ("latent", "state") for kind in KINDS]
        missing = [name for name in names if name not in arrays]
        if missing:
            raise ValueError(f"tables: expected {', '.join(names)}, got none of {missing}")
        return cls(version, **{name: arrays[name] for name in names})

    def to_arrays(self) -> dict[str, npt.NDArray[np.uint8]]:
        """Return the eight tables by name, as from_arrays takes them."""
        parts = {"latent": self.latent, "state": self.state}
        return {f"{p}_{k}": a[i].copy() for p, a in parts.items() for i, k in enumerate(KINDS)}

    def steps(self, part: str) -> npt.NDArray[np.float32]:
        """Return the width of one quantiser step, float32 [16, dim]; part is "latent" or "state"."""
        if part not in ("latent", "state"):
            raise ValueError(f"part: expected latent or state, got {part!r}")
        scale = (self.latent if part == "latent" else self.state)[0]
        return (np.float32(256.0) / np.maximum(scale, 1)).astype(np.float32)


def _stack(part: str, tables: tuple[npt.ArrayLike, ...]) -> npt.NDArray[np.uint8]:
    arrays = [_table(f"{part}_{kind}", t) for kind, t in zip(KINDS, tables, strict=True)]
    shapes = {a.shape for a in arrays}
    if len(shapes) != 1:
        got = ", ".join(f"{k} {a.shape}" for k, a in zip(KINDS, arrays, strict=True))
        raise ValueError(f"{part}: expected four tables of one shape, got {got}")
    if (arrays[3] == 0).any():
        level, dim = np.argwhere(arrays[3] == 0)[0]
        raise ValueError(f"{part}_p0[{level}, {dim}]: expected 1 to 255, got 0")
    stacked = np.stack(arrays)
    return np.frombuffer(stacked.tobytes(), np.uint8).reshape(stacked.shape)  # never writable


def _table(name: str, values: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    array = np.asarray(values)
    if array.dtype != np.uint8:
        raise ValueError(f"{name}: expected uint8, got {array.dtype}")
    if array.ndim != 2 or array.shape[0] != LEVELS or not 1 <= array.shape[1] <= MAX_DIM:
        raise ValueError(
            f"{name}: expected [{LEVELS}, 1 to {MAX_DIM}], got {list(array.shape)}"
        )
    return array

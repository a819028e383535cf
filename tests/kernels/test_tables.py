# SPDX-License-Identifier: BSD-2-Clause
"""QuantTables: what is accepted, what is refused with which sentence."""

from __future__ import annotations

import numpy as np
import pytest
from payload_cases import made_up_tables

from dredge_kernels.tables import KINDS, QuantTables, check_version


def test_tables_are_stacked_in_the_order_of_kinds_and_read_only() -> None:
    tables = made_up_tables(10, 7, 4)
    arrays = tables.to_arrays()
    assert (tables.version, tables.latent_dim, tables.state_dim) == (10, 7, 4)
    assert tables.latent.shape == (4, 16, 7) and tables.state.shape == (4, 16, 4)
    for index, kind in enumerate(KINDS):
        np.testing.assert_array_equal(tables.latent[index], arrays[f"latent_{kind}"])
        np.testing.assert_array_equal(tables.state[index], arrays[f"state_{kind}"])
    with pytest.raises(ValueError, match="read-only"):
        tables.latent[0, 0, 0] = 1
    with pytest.raises(AttributeError, match="immutable: cannot set version"):
        tables.version = 12  # type: ignore[misc]


def test_changing_the_source_changes_nothing() -> None:
    arrays = made_up_tables().to_arrays()
    tables = QuantTables.from_arrays(0xD1, arrays)
    before = tables.latent.copy()
    arrays["latent_scale"][:] = 3
    np.testing.assert_array_equal(tables.latent, before)


def test_steps_are_256_over_scale_and_a_scale_of_zero_counts_as_one() -> None:
    arrays = made_up_tables().to_arrays()
    arrays["state_scale"][2, 1] = 0
    steps = QuantTables.from_arrays(0xD1, arrays).steps("state")
    assert steps[2, 1] == 256.0
    assert steps[0, 0] == np.float32(256.0 / arrays["state_scale"][0, 0])
    with pytest.raises(ValueError, match="part: expected latent or state, got 'other'"):
        QuantTables.from_arrays(0xD1, arrays).steps("other")


def broken(change: str) -> dict[str, np.ndarray]:
    arrays = made_up_tables(latent_dim=5, state_dim=3).to_arrays()
    if change == "dtype":
        arrays["latent_r"] = arrays["latent_r"].astype(np.int16)
    elif change == "levels":
        arrays["state_p0"] = arrays["state_p0"][:15]
    elif change == "dims":
        arrays["latent_scale"] = arrays["latent_scale"][:, :4]
    elif change == "empty":
        arrays["state_r"] = arrays["state_r"][:, :0]
    elif change == "p0":
        arrays["latent_p0"][7, 2] = 0
    elif change == "missing":
        del arrays["state_dead_zone"]
    return arrays


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("dtype", "latent_r: expected uint8, got int16"),
        ("levels", r"state_p0: expected \[16, 1 to 256\], got \[15, 3\]"),
        ("dims", r"latent: expected four tables of one shape, got scale \(16, 4\), dead_zone"),
        ("empty", r"state_r: expected \[16, 1 to 256\], got \[16, 0\]"),
        ("p0", r"latent_p0\[7, 2\]: expected 1 to 255, got 0"),
        ("missing", r"tables: expected latent_scale, .*, got none of \['state_dead_zone'\]"),
    ],
)
def test_wrong_tables_are_refused(change: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        QuantTables.from_arrays(10, broken(change))


@pytest.mark.parametrize("version", [10, 12, 0xD1])
def test_known_versions(version: int) -> None:
    assert check_version(version) == version


@pytest.mark.parametrize("version", [0, 9, 11, 13, 0xD0, 256])
def test_unknown_versions_are_refused(version: int) -> None:
    with pytest.raises(ValueError, match=f"version: expected one of 10, 12, 209, got {version}"):
        check_version(version)

# SPDX-License-Identifier: BSD-2-Clause
"""Quantiser tables of libopus out of C source and .npz; damaged ones refused by name."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pytest
from blob_cases import c_source, made_up_tables
from hypothesis import given, settings
from hypothesis import strategies as st

from dredge_models.libopus.blob import BlobError
from dredge_models.libopus.tables import is_tables, read_tables

TABLES = made_up_tables()


def npz(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def test_both_forms_give_the_same_tables() -> None:
    forms = [c_source(TABLES).encode(), npz(TABLES), npz({k: v.astype(np.int64).ravel() for k, v in TABLES.items()})]
    for data in forms:
        assert is_tables(data)
        tables = read_tables(data)
        assert (tables.version, tables.latent_dim, tables.state_dim) == (10, 21, 19)
        np.testing.assert_array_equal(tables.latent[0], TABLES["dred_latent_quant_scales_q8"])
        np.testing.assert_array_equal(tables.latent[1], TABLES["dred_latent_dead_zone_q8"])
        np.testing.assert_array_equal(tables.state[2], TABLES["dred_state_r_q8"])
        np.testing.assert_array_equal(tables.state[3], TABLES["dred_state_p0_q8"])


def test_other_files_are_no_tables() -> None:
    assert not is_tables(b"int main(void) { return 0; }")
    assert not is_tables(b"DNNw")


def changed(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    return {**TABLES, name: values}


P0 = "dred_state_p0_q8"
DEFECTS = {
    "missing": (c_source({k: v for k, v in TABLES.items() if k != P0}).encode(), f"t.c: table {P0} is missing"),
    "ragged": (c_source(changed(P0, np.ones(15, int))).encode(), f"{P0}: expected 16 rows, got 15 numbers"),
    "empty": (npz(changed(P0, np.ones(0, np.uint8))), f"{P0}: expected 16 rows, got 0 numbers"),
    "too_large": (c_source(changed(P0, np.full((16, 19), 256))).encode(), f"{P0}: expected integers of 0 to 255"),
    "floats": (npz(changed(P0, np.ones((16, 19)))), f"{P0}: expected integers of 0 to 255"),
    "zero_p0": (c_source(changed(P0, np.zeros((16, 19), int))).encode(), r"state_p0\[0, 0\]: expected 1 to 255, got 0"),
    "other_width": (npz(changed(P0, np.ones((16, 20), np.uint8))), "state: expected four tables of one shape"),
    "count_wrong": (c_source(TABLES).replace("[304]", "[305]").encode(), "expected 305 numbers, got 304"),
    "no_integers": (c_source(TABLES).replace("{\n  ", "{\n  0x10, ").encode(), "expected plain integers"),
    "npz_cut": (npz(TABLES)[:-40], "t.c: not a readable .npz"),
    "npz_pickle": (npz(changed(P0, np.array([object()]))), "t.c: not a readable .npz"),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_every_defect_is_named(name: str) -> None:
    data, message = DEFECTS[name]
    with pytest.raises(BlobError, match=message):
        read_tables(data, "t.c")


def test_an_array_larger_than_memory_is_refused() -> None:
    head = b"{'descr': '|u1', 'fortran_order': False, 'shape': (9000000000000000,), }"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head) + 1) + head + b"\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"{P0}.npy", array)
    with pytest.raises(BlobError, match="not a readable"):
        read_tables(buffer.getvalue())


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from([c_source(TABLES).encode(), npz(TABLES)]))
def test_mutated_tables_are_read_or_refused(data: st.DataObject, good: bytes) -> None:
    changed = bytearray(good)
    for _ in range(data.draw(st.integers(1, 5))):
        changed[data.draw(st.integers(2, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert read_tables(bytes(changed)).version == 10
    except BlobError as error:
        assert str(error).startswith("tables: ")

# SPDX-License-Identifier: BSD-2-Clause
"""Weight blobs: what a good one gives, and the sentence that each defect gets."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from blob_cases import made_up_encoder, record
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dredge_models.libopus.blob import MAX_FILE, BlobError, is_blob, read_blob, read_file

A = record("a_bias", np.array([1.5, -2], np.float32))
B = record("b_weights_int8", np.arange(-4, 96, dtype=np.int8))
C = record("c_weights_idx", np.array([1, 0], np.int32))


def header(magic=b"DNNw", version=0, kind=0, size=8, stored=64, name=b"a_bias", data=bytes(64)) -> bytes:
    return struct.pack("<4siiii44s", magic, version, kind, size, stored, name) + data


def test_records_by_name_with_their_values() -> None:
    found = read_blob(A + B + C)
    assert list(found) == ["a_bias", "b_weights_int8", "c_weights_idx"]
    np.testing.assert_array_equal(found["a_bias"].values, np.array([1.5, -2], np.float32))
    np.testing.assert_array_equal(found["b_weights_int8"].values, np.arange(-4, 96))
    assert found["c_weights_idx"].values.tolist() == [1, 0]
    assert [r.values.dtype for r in found.values()] == [np.float32, np.int8, np.int32]


def test_values_are_copies_that_outlive_the_file() -> None:
    data = bytearray(A)
    values = read_blob(bytes(data))["a_bias"].values
    data[64:72] = bytes(8)
    assert values.tolist() == [1.5, -2]


def test_only_blobs_look_like_blobs() -> None:
    assert is_blob(A)
    assert not is_blob(b"") and not is_blob(b"DNN") and not is_blob(b"PK\3\4")


DEFECTS = {
    "empty": (b"", "x.bin: expected a weight blob, got an empty file"),
    "header_cut": (A + B[:63], "x.bin: record 2: expected a header of 64 bytes, got the last 63"),
    "data_cut": (A + B[:-1], r"record 2 \(b_weights_int8\): expected 128 bytes of data, got the last 127"),
    "over_long": (A + b"\0" * 64, "record 2: expected DNNw at byte 128, got 00 00 00 00"),
    "trailing_byte": (A + b"x", "record 2: expected a header of 64 bytes, got the last 1 of the file"),
    "other_magic": (header(magic=b"DNNx"), "record 1: expected DNNw at byte 0, got 44 4e 4e 78"),
    "other_format": (header(version=1), r"record 1 \(a_bias\): expected format version 0, got 1"),
    "packed_type": (header(kind=2), r"expected type 0 \(float\), 1 \(index\), 3 \(int8\), got 2"),
    "unknown_type": (header(kind=-1), "got -1"),
    "negative_size": (header(size=-4), "expected -4 bytes padded to a multiple of 64, got 64"),
    "stored_too_small": (header(size=80), "expected 80 bytes padded to a multiple of 64, got 64"),
    "stored_too_large": (header(size=8, stored=128, data=bytes(128)), "expected 8 bytes padded .* got 128"),
    "stored_huge": (header(size=2**31 - 1, stored=2**31 - 1), "expected 2147483647 bytes of data, got the last 64"),
    "half_a_float": (header(size=6), "expected values of 4 bytes, got 6 bytes"),
    "name_endless": (header(name=b"n" * 44), "record 1: expected a name of letters, digits and _"),
    "name_empty": (header(name=b""), "expected a name of letters, digits and _, got b'"),
    "name_binary": (header(name=b"\xff\xfe"), "expected a name"),
    "name_path": (header(name=b"../etc"), "expected a name"),
    "twice": (A + B + A, r"record 3 \(a_bias\): a record of this name came before"),
    "nan": (header(data=struct.pack("<ff", 1, np.nan).ljust(64, b"\0")), r"\(a_bias\): value 1 is not finite"),
    "infinite": (header(data=struct.pack("<ff", np.inf, 0).ljust(64, b"\0")), "value 0 is not finite"),
    "minus_128": (header(kind=3, data=b"\1\x80" + bytes(62)), "expected weights of -127 to 127, got -128"),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_every_defect_is_named_with_its_record(name: str) -> None:
    data, message = DEFECTS[name]
    with pytest.raises(BlobError, match=message):
        read_blob(data, "x.bin")


def test_absurd_files_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "big.bin"
    with path.open("wb") as file:
        file.truncate(MAX_FILE + (1 << 20))
    with pytest.raises(BlobError, match=r"big\.bin: expected a weight file of at most 64 MiB, got 65 MiB"):
        read_file(path)
    path.write_bytes(A)
    assert read_file(path) == A


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
@example(b"DNNw" + bytes(60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = read_blob(data)
    except BlobError as error:
        assert "blob" in str(error)
        return
    assert sum(r.values.nbytes for r in found.values()) <= len(data)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutated_blobs_are_read_or_refused(data: st.DataObject) -> None:
    """Bytes changed, removed or inserted anywhere in a small blob."""
    blob = bytearray(A + B + C)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(blob) - 1))
        action = data.draw(st.sampled_from("cri"))
        if action == "c":
            blob[at] = data.draw(st.integers(0, 255))
        elif action == "r":
            del blob[at : at + data.draw(st.integers(1, 70))]
        else:
            blob[at:at] = data.draw(st.binary(min_size=1, max_size=70))
        if not blob:
            return
    try:
        found = read_blob(bytes(blob))
    except BlobError:
        return
    for entry in found.values():
        assert entry.values.dtype.kind != "f" or np.isfinite(entry.values).all()


def test_a_whole_model_cut_anywhere_is_refused() -> None:
    blob = made_up_encoder().blob()
    for size in range(1, len(blob), 9973):
        with pytest.raises(BlobError, match="x: record"):
            read_blob(blob[:size], "x")

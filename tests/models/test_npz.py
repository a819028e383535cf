# SPDX-License-Identifier: BSD-2-Clause
"""Arrays of .npz files: what NumPy writes is read, what could fill the memory or run code is refused."""

from __future__ import annotations

import io
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dredge_models import npz, registry
from dredge_models.npz import read_arrays
from dredge_models.registry import ModelError


def saved(compressed: bool = False, **arrays: object) -> bytes:
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


def member(content: bytes, name: str = "a.npy") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def head(text: str, version: int = 1) -> bytes:
    size = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + text.encode()


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["i1", "u1", "u2", "f2", "f4", "f8", "<i4", ">i4", "U7"])
def test_what_numpy_saves_is_read(compressed: bool, dtype: str) -> None:
    values = np.arange(24).reshape(2, 3, 4).astype(dtype)
    found = read_arrays(saved(compressed, a=values, b=np.asfortranarray(values), c=np.array(3), none=values[:0]))
    assert list(found) == ["a", "b", "c", "none"]
    for name in ("a", "b"):
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype and found[name].flags.writeable
    assert found["c"].shape == () and found["none"].shape == (0, 3, 4)


def test_only_asked_for_names_are_read() -> None:
    content = saved(dred_a=np.zeros(2), other=np.array([object()]))
    assert list(read_arrays(content, "dred_")) == ["dred_a"]


class Trap:
    def __reduce__(self):  # type: ignore[no-untyped-def]
        return pytest.fail, ("unpickled",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a zip"),
        (b"PK\3\4" + bytes(30), "not a zip"),
        (saved(a=np.zeros(9))[:-40], "not a zip"),
        (saved(a=np.array([Trap()], object)), "expected numbers or text, got object"),
        (member(pickle.dumps(Trap())), "magic"),
        (member(head("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }\n") + bytes(8)),
         "does not take 8 bytes"),
        (member(head("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }\n") + bytes(4)), "."),
        (member(head("{'descr': '|S0', 'fortran_order': False, 'shape': (5,), }\n")), "expected numbers or text"),
        (member(head("[" * 5000)), "."),
        (member(head("{}")), "."),
        (member(head("", 3)), "version 1 or 2, got 3"),
    ],
)  # fmt: skip
def test_anything_else_is_a_sentence(content: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        read_arrays(content)
    assert "\n" not in str(caught.value)


def test_a_small_file_cannot_unpack_to_a_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    content = saved(True, a=np.zeros(200_000, np.int8))
    assert len(content) < 2000
    monkeypatch.setattr(npz, "LARGEST", 100_000)
    with pytest.raises(ValueError, match="bytes of arrays, expected at most 100000"):
        read_arrays(content)


@given(st.integers(0, 400), st.binary(min_size=1, max_size=4))
def test_damage_is_a_sentence_or_arrays(at: int, noise: bytes) -> None:
    content = bytearray(saved(True, a=np.arange(40), b=np.zeros((2, 2), np.int8)))
    content[at % len(content) : at % len(content) + len(noise)] = noise
    try:
        found = read_arrays(bytes(content))
    except ValueError:
        return
    assert not any(array.dtype.hasobject for array in found.values())


def test_a_manifest_nested_too_deeply_is_a_model_error(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "manifest.json").write_text("[" * 100_000)
    with pytest.raises(ModelError, match="damaged"):
        registry.read_manifest(tmp_path)

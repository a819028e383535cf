# SPDX-License-Identifier: BSD-2-Clause
"""Layers out of records: layouts by hand, and the record named in every complaint."""

from __future__ import annotations

import numpy as np
import pytest
from blob_cases import BlobWriter, record
from hypothesis import given, settings
from hypothesis import strategies as st

from dredge_models.libopus.blob import BlobError, read_blob
from dredge_models.libopus.layers import Layers
from dredge_models.tflite.matrix import Int8Rows


def layers(*records: bytes) -> Layers:
    return Layers(read_blob(b"".join(records)), "m.bin")


def test_dense_blocks_hold_8_rows_of_4_columns() -> None:
    flat = np.arange(8 * 8, dtype=np.int8)     # two blocks beside each other
    layer = layers(
        record("l_weights_int8", flat),
        record("l_scale", np.full(8, 0.01, np.float32)),
        record("l_bias", np.arange(8, dtype=np.float32)),
    ).linear("l", 8, 8)
    assert isinstance(layer.weight, Int8Rows)
    assert layer.weight.values[0].tolist() == [0, 1, 2, 3, 32, 33, 34, 35]
    assert layer.weight.values[7].tolist() == [28, 29, 30, 31, 60, 61, 62, 63]
    np.testing.assert_allclose(layer.dense()[1], np.array([4, 5, 6, 7, 36, 37, 38, 39]) * 1.27, rtol=1e-6)
    assert layer.bias.tolist() == list(range(8))


def test_sparse_strips_hold_their_blocks_only() -> None:
    index = np.array([1, 8, 2, 0, 4], np.int32)      # strip 0: columns 8-11; strip 1: 0-3 and 4-7
    flat = np.repeat(np.array([1, 2, 3], np.int8), 32)
    layer = layers(
        record("l_weights_int8", flat),
        record("l_weights_idx", index),
        record("l_scale", np.ones(16, np.float32)),
        record("l_bias", np.zeros(16, np.float32)),
    ).linear("l", 12, 16)
    assert isinstance(layer.weight, Int8Rows)
    expected = np.zeros((16, 12), int)
    expected[:8, 8:] = 1
    expected[8:, :4] = 2
    expected[8:, 4:8] = 3
    np.testing.assert_array_equal(layer.weight.values, expected)


def test_float_layers_are_stored_input_by_input() -> None:
    layer = layers(
        record("l_weights_float", np.arange(6, dtype=np.float32)), record("l_bias", np.zeros(2, np.float32))
    ).linear("l", 3, 2)
    assert layer.dense().tolist() == [[0, 2, 4], [1, 3, 5]]


def test_rows_can_be_taken_and_reordered() -> None:
    writer = BlobWriter(1)
    writer.dense("l", 8, 16)
    layer = layers(writer.blob()).linear("l", 8, 16)
    part = layer.take(np.array([9, 3]))
    np.testing.assert_array_equal(part.dense(), layer.dense()[[9, 3]])
    np.testing.assert_array_equal(part.bias, layer.bias[[9, 3]])
    assert part.weight.shape == (2, 8)


def test_a_layer_without_bias_adds_nothing() -> None:
    writer = BlobWriter(1)
    writer.dense("l", 8, 16)
    del writer.records["l_bias"]
    assert not layers(writer.blob()).linear("l", 8, 16, bias=False).bias.any()


def test_records_nobody_asked_for_are_told() -> None:
    writer = BlobWriter(1)
    writer.dense("l", 8, 16)
    writer.floats("stranger", 2, 3)
    reader = layers(writer.blob())
    reader.linear("l", 8, 16)
    assert reader.unused() == ["stranger_weights_float", "stranger_bias"]


def sparse_with(index: list[int], blocks: int = 2, scale: float = 0.01) -> Layers:
    return layers(
        record("l_weights_int8", np.ones(32 * blocks, np.int8)),
        record("l_weights_idx", np.array(index, np.int32)),
        record("l_scale", np.full(16, scale, np.float32)),
        record("l_bias", np.zeros(16, np.float32)),
    )


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ([1, 0], "strip 1 is no list of columns below 12"),          # ends after the first strip
        ([1, 0, 2, 4], "strip 1 is no list of columns"),             # count beyond the end
        ([-1, 0, 1, 4], "strip 0 is no list of columns"),
        ([1, 2, 1, 4], "strip 0 is no list of columns"),             # not a multiple of 4
        ([1, 12, 1, 4], "strip 0 is no list of columns below 12"),   # column beyond the matrix
        ([1, -4, 1, 4], "strip 0 is no list of columns"),
        ([2, 4, 4, 0], "strip 0 is no list of columns"),             # twice the same
        ([2, 8, 4, 0], "strip 0 is no list of columns"),             # not in order
        ([1, 0, 1, 4, 7], "expected 4 numbers for 16 rows, got 5"),
        ([2**31 - 1, 0, 1, 4], "strip 0 is no list of columns"),
        ([], "strip 0 is no list of columns"),
    ],
)
def test_index_lists_that_lead_nowhere(index: list[int], message: str) -> None:
    with pytest.raises(BlobError, match=f"m.bin: l_weights_idx: {message}"):
        sparse_with(index).linear("l", 12, 16)


def test_other_complaints_name_their_record() -> None:
    good = [1, 0, 1, 4]
    assert sparse_with(good).linear("l", 12, 16).weight.shape == (16, 12)
    with pytest.raises(BlobError, match="l_weights_int8: expected 64 values, got 96"):
        sparse_with(good, blocks=3).linear("l", 12, 16)
    with pytest.raises(BlobError, match=r"l_scale: expected scales of 0 to 1, got -0\.01"):
        sparse_with(good, scale=-0.01).linear("l", 12, 16)
    with pytest.raises(BlobError, match=r"m\.bin: record other_scale is missing"):
        sparse_with(good).linear("other", 12, 16)
    with pytest.raises(BlobError, match="l_scale: expected 8 values, got 16"):
        sparse_with(good).linear("l", 12, 8)
    wrong = layers(record("l_weights_float", np.ones(8, np.int8)), record("l_bias", np.zeros(2, np.float32)))
    with pytest.raises(BlobError, match="l_weights_float: expected type float, got int8"):
        wrong.linear("l", 4, 2)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(-5, 20) | st.integers(-(2**31), 2**31 - 1), max_size=12), st.integers(0, 4))
def test_any_index_list_is_followed_or_refused(index: list[int], blocks: int) -> None:
    try:
        weight = sparse_with(index, blocks).linear("l", 12, 16).weight
    except BlobError as error:
        assert "l_weights" in str(error)
        return
    assert isinstance(weight, Int8Rows) and int(weight.values.sum()) == 32 * blocks

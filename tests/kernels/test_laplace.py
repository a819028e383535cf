# SPDX-License-Identifier: BSD-2-Clause
"""Laplace symbols: against a second implementation on exact arithmetic, and by their statistics."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laplace_reference import get_reference, magnitude_icdf, put_reference
from range_reference import ReferenceDecoder, ReferenceEncoder

from dredge_kernels.laplace import decode_laplace, encode_laplace
from dredge_kernels.rangecoder import RangeDecoder, RangeEncoder

VALUES = st.tuples(st.integers(-40, 40), st.integers(0, 255), st.integers(1, 255))


@settings(max_examples=120, deadline=None)
@given(st.lists(VALUES, max_size=40))
def test_round_trip_in_lockstep_with_the_reference(values: list[tuple[int, int, int]]) -> None:
    values = [(0 if r == 0 or p0 == 255 else v, r, p0) for v, r, p0 in values]
    ours, reference = RangeEncoder(8192), ReferenceEncoder()
    for value, r, p0 in values:
        encode_laplace(ours, value, r, p0)
        put_reference(reference, value, r, p0)
        assert ours.state_dict()["rng"] == reference.rng
        assert ours.tell() == reference.tell()
    data = ours.finish()
    assert data.rstrip(b"\0") == reference.finish().rstrip(b"\0")
    reader = RangeDecoder(data)
    assert [decode_laplace(reader, r, p0) for _, r, p0 in values] == [v for v, _, _ in values]


TABLES = st.lists(st.tuples(st.integers(0, 255), st.integers(1, 255)), max_size=40)


@settings(max_examples=120, deadline=None)
@given(st.binary(max_size=40), TABLES)
def test_any_bytes_decode_like_the_reference(data: bytes, tables: list[tuple[int, int]]) -> None:
    ours, reference = RangeDecoder(data), ReferenceDecoder(data)
    for r, p0 in tables:
        assert decode_laplace(ours, r, p0) == get_reference(reference, r, p0)
        assert ours.tell() == reference.tell()


@pytest.mark.parametrize(("r", "p0"), [(0, 100), (200, 255), (0, 255)])
def test_a_known_zero_costs_nothing(r: int, p0: int) -> None:
    encoder = RangeEncoder(8)
    encode_laplace(encoder, 0, r, p0)
    assert encoder.tell() == 1
    message = f"value: expected one that r={r}, p0={p0} can code, got 1"
    with pytest.raises(ValueError, match=message):
        encode_laplace(encoder, 1, r, p0)


@pytest.mark.parametrize("value", [0, 1, -1, 3, -8, 20])
@pytest.mark.parametrize(("r", "p0"), [(100, 60), (220, 12), (40, 200)])
def test_cost_is_the_information_of_the_value(value: int, r: int, p0: int) -> None:
    encoder = RangeEncoder(8192)
    for _ in range(200):
        encode_laplace(encoder, value, r, p0)
    p = p0 / 256
    if value:
        table = [32768, *magnitude_icdf(r)]
        sevens, rest = divmod(abs(value) - 1, 7)
        p = (1 - p) / 2 * ((table[7]) / 32768) ** sevens
        p *= (table[rest] - table[rest + 1]) / 32768
    assert encoder.tell() / 200 == pytest.approx(-math.log2(p), rel=0.01, abs=0.02)


@pytest.mark.parametrize("value", [32767, -32767])
def test_the_largest_values_round_trip(value: int) -> None:
    encoder = RangeEncoder(1 << 16)
    encode_laplace(encoder, value, 250, 3)
    assert decode_laplace(RangeDecoder(encoder.finish()), 250, 3) == value
    with pytest.raises(ValueError, match="value: expected"):
        encode_laplace(RangeEncoder(8), 2 * value, 250, 3)


@pytest.mark.parametrize(
    ("r", "p0", "message"),
    [
        (256, 10, "r: expected 0 to 255, got 256"),
        (-1, 10, "r: expected 0 to 255, got -1"),
        (10, 0, "p0: expected 1 to 255, got 0"),
        (10, 256, "p0: expected 1 to 255, got 256"),
    ],
)
def test_impossible_tables_are_refused(r: int, p0: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode_laplace(RangeEncoder(8), 0, r, p0)
    with pytest.raises(ValueError, match=message):
        decode_laplace(RangeDecoder(b"12345678"), r, p0)

# SPDX-License-Identifier: BSD-2-Clause
"""DRED payload on made-up tables: round trips, budgets, the latent count, malformed input."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from payload_cases import made_up_tables

from dredge_kernels.payload import decode_payload, encode_payload, encode_symbols, parse_header
from dredge_kernels.payloadheader import MAX_OFFSET, MIN_OFFSET, check_fields
from dredge_kernels.rangecoder import RangeEncoder
from dredge_kernels.tables import QuantTables

OURS = made_up_tables(0xD1)
STOCK = made_up_tables(10)
SLOPE = (0, 2, 3, 4, 6, 8, 12, 16)


@st.composite
def headers(draw: st.DrawFn) -> tuple[int, int, int, int]:
    q0, dq = draw(st.integers(0, 15)), draw(st.integers(0, 7))
    low = q0 + 1 if dq and q0 < 14 else q0
    return q0, dq, draw(st.integers(low, 15)), draw(st.integers(MIN_OFFSET, MAX_OFFSET))


def levels(q0: int, dq: int, qmax: int, n: int) -> list[int]:
    top = qmax if dq and q0 < 14 else 15
    return [min(top, q0 + (SLOPE[dq] * i + 8) // 16) for i in range(n)]


def symbols(seed: int, table: np.ndarray, level: int) -> np.ndarray:
    """Random symbols that this table can code."""
    rng = np.random.default_rng(seed)
    values = np.round(rng.laplace(0, 2, table.shape[2])).astype(np.int32)
    values[(table[2, level] == 0) | (table[3, level] == 255)] = 0
    return values


def case(tables: QuantTables, header: tuple, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rows = [symbols(seed + i, tables.latent, q) for i, q in enumerate(levels(*header[:3], n))]
    return np.array(rows, np.int32).reshape(n, -1), symbols(seed - 1, tables.state, header[0])


@settings(max_examples=150, deadline=None)
@given(headers(), st.integers(1, 26), st.integers(1, 1 << 30))
def test_our_version_returns_exactly_what_was_sent(header: tuple, n: int, seed: int) -> None:
    q, q_state = case(OURS, header, n, seed)
    data = encode_symbols(q, q_state, OURS, *header)
    decoded = decode_payload(data, OURS)
    assert (decoded.q0, decoded.dq, decoded.offset) == (header[0], header[1], header[3])
    assert decoded.header.latents == n
    assert decoded.levels.tolist() == levels(*header[:3], n)
    np.testing.assert_array_equal(decoded.latent_symbols, q)
    np.testing.assert_array_equal(decoded.state_symbols, q_state)
    assert len(data) == (decoded.bits_used + 7) // 8
    scale = OURS.latent[0].astype(np.float32)[decoded.levels]
    np.testing.assert_array_equal(decoded.latents, q.astype(np.float32) * np.float32(256) / scale)


@settings(max_examples=80, deadline=None)
@given(headers(), st.integers(1, 26), st.integers(1, 1 << 30))
def test_stock_version_invents_nothing_and_loses_only_what_hides_in_7_bits(
    header: tuple, n: int, seed: int
) -> None:
    q, q_state = case(STOCK, header, n, seed)
    decoded = decode_payload(encode_symbols(q, q_state, STOCK, *header), STOCK)
    got = len(decoded.latents)
    assert decoded.header.latents is None and got <= n
    np.testing.assert_array_equal(decoded.latent_symbols, q[:got])
    if got < n:
        rest = encode_symbols(q, q_state, STOCK, *header)
        assert 8 * len(rest) - decoded.bits_used <= 7


def test_trailing_silence_survives_only_where_it_is_counted() -> None:
    """Latents of zeros cost next to nothing; the stock rule drops them, our count keeps them."""
    arrays = made_up_tables().to_arrays()
    for part in ("latent", "state"):
        arrays[f"{part}_p0"][:] = 254
        arrays[f"{part}_r"][:] = 100
    state, latents = np.zeros(6, np.float32), np.zeros((12, 9), np.float32)
    counts = {}
    for version in (10, 0xD1):
        tables = QuantTables.from_arrays(version, arrays)
        data = encode_payload(latents, state, tables, 3, 5)
        counts[version] = len(decode_payload(data, tables).latents)
        padded = decode_payload(data + bytes(30), tables)
        counts[-version] = len(padded.latents)
    assert counts[0xD1] == counts[-0xD1] == 12
    assert counts[10] < 12 and counts[-10] == 26


def quantised(x: np.ndarray, table: np.ndarray, level: int) -> np.ndarray:
    """The quantiser once more, in float64: scale, soft dead zone, round half up."""
    scale, zone, r, p0 = table[:, level].astype(float)
    y = x.astype(float) * np.maximum(scale, 1) / 256
    zone /= 256
    y -= zone * np.tanh(y / (zone + 0.1))
    return np.where((r == 0) | (p0 == 255), 0, np.floor(y + 0.5)).astype(int)


@pytest.mark.parametrize("seed", range(8))
def test_floats_are_quantised_by_scale_and_dead_zone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    latents = rng.normal(0, 4, (20, OURS.latent_dim)).astype(np.float32)
    state = rng.normal(0, 4, OURS.state_dim).astype(np.float32)
    decoded = decode_payload(encode_payload(latents, state, OURS, seed, 5), OURS)
    assert len(decoded.latents) == 20
    np.testing.assert_array_equal(decoded.state_symbols, quantised(state, OURS.state, seed))
    for row, x, level in zip(decoded.latent_symbols, latents, decoded.levels, strict=True):
        np.testing.assert_array_equal(row, quantised(x, OURS.latent, level))
    step = OURS.steps("latent")[decoded.levels]
    zone = OURS.latent[1][decoded.levels] / 256
    coded = (OURS.latent[2] != 0)[decoded.levels]
    error = np.abs(decoded.latents - latents) / step
    assert (error <= 0.5 + zone + 1e-4)[coded].all()


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 120), st.integers(0, 15), st.integers(1, 26), st.integers(1, 99))
def test_a_byte_budget_keeps_the_newest_latents(budget: int, q0: int, n: int, seed: int) -> None:
    for tables in (OURS, STOCK):
        header = (q0, 2, 15, 8)
        q, q_state = case(tables, header, n, seed)
        data = encode_symbols(q, q_state, tables, *header, max_bytes=budget)
        assert len(data) <= budget
        sizes = [len(encode_symbols(q[:k], q_state, tables, *header)) for k in range(1, n + 1)]
        fitting = sum(size <= budget for size in sizes)
        if tables is OURS:
            assert data == (encode_symbols(q[:fitting], q_state, OURS, *header) if fitting else b"")
        else:
            assert (len(data) > 0) == (fitting > 0)


def test_nothing_to_send_is_empty() -> None:
    assert encode_payload(np.zeros((0, 9), np.float32), np.zeros(6, np.float32), OURS, 6, 5) == b""
    q, q_state = case(OURS, (0, 0, 15, 8), 3, 5)
    assert encode_symbols(q, q_state, OURS, 0, 0, max_bytes=2) == b""


def test_fewer_latents_on_request_are_the_newest() -> None:
    q, q_state = case(OURS, (4, 5, 15, 8), 20, 1)
    data = encode_symbols(q, q_state, OURS, 4, 5)
    for wanted in (0, 1, 7, 20, 26):
        decoded = decode_payload(data, OURS, wanted)
        np.testing.assert_array_equal(decoded.latent_symbols, q[:wanted])
        assert decoded.header.latents == 20
        assert len(decoded.tells) == min(wanted, 20) + 1


@settings(max_examples=100, deadline=None)
@given(headers())
def test_header_round_trip(header: tuple) -> None:
    q, q_state = case(OURS, header, 2, 7)
    parsed = parse_header(encode_symbols(q, q_state, OURS, *header), 0xD1)
    assert (parsed.q0, parsed.dq, parsed.offset) == (header[0], header[1], header[3])
    assert parsed.qmax == check_fields(*header)


@pytest.mark.parametrize("offset", [16, 15, -15, -16, -17, -47, -48, -8175])
def test_offsets_at_the_edges_of_the_extra_symbol(offset: int) -> None:
    q, q_state = case(OURS, (6, 5, 15, 8), 1, 3)
    data = encode_symbols(q, q_state, OURS, 6, 5, offset=offset)
    assert parse_header(data, 0xD1).offset == offset


def test_random_bytes_decode_or_are_refused_with_a_sentence() -> None:
    """Fuzz: any bytes give finite values in range or ValueError, for both kinds of stop rule."""
    random_bytes = random.Random(20)
    refused = decoded_latents = 0
    for _ in range(3000):
        data = random_bytes.randbytes(random_bytes.randrange(80))
        for tables in (OURS, STOCK):
            try:
                decoded = decode_payload(data, tables)
            except ValueError as error:
                refused += 1
                assert "expected" in str(error) and "got" in str(error)
                continue
            assert MIN_OFFSET <= decoded.offset <= MAX_OFFSET
            assert 0 <= decoded.q0 <= decoded.qmax <= 15
            assert len(decoded.latents) <= 26 and np.isfinite(decoded.latents).all()
            assert np.isfinite(decoded.state).all()
            decoded_latents += len(decoded.latents)
            if tables is OURS:
                assert decoded.bits_used <= 8 * len(data)
    assert refused > 100 and decoded_latents > 1000


def test_every_truncation_is_noticed_by_our_version() -> None:
    q, q_state = case(OURS, (5, 4, 12, -20), 15, 9)
    data = encode_symbols(q, q_state, OURS, 5, 4, 12, -20)
    for size in range(len(data)):
        with pytest.raises(ValueError, match="payload: expected"):
            decode_payload(data[:size], OURS)


def test_an_impossible_count_is_refused() -> None:
    encoder = RangeEncoder(16)
    for value, total in ((15, 16), (0, 8), (0, 2), (8, 32), (27, 32)):
        encoder.encode_uniform(value, total)
    with pytest.raises(ValueError, match="latents: expected 0 to 26, got 27"):
        decode_payload(encoder.finish() + bytes(8), OURS)


F32 = np.float32
BAD = [
    (dict(q0=16), "q0: expected 0 to 15, got 16"),
    (dict(q0=-1), "q0: expected 0 to 15, got -1"),
    (dict(dq=8), "dq: expected 0 to 7, got 8"),
    (dict(qmax=5), "qmax: expected 6 to 15, got 5"),
    (dict(qmax=6), r"qmax: expected 7 to 15 \(or dq = 0\), got 6"),
    (dict(offset=17), "offset: expected -8175 to 16, got 17"),
    (dict(offset=-8176), "offset: expected -8175 to 16, got -8176"),
    (dict(max_bytes=0), "max_bytes: expected 1 to 1000, got 0"),
    (dict(max_bytes=1001), "max_bytes: expected 1 to 1000, got 1001"),
    (dict(latents=np.zeros((2, 8), F32)), r"latents: expected shape \['n', 9\], got \[2, 8\]"),
    (dict(latents=np.zeros((27, 9), F32)), "latents: expected at most 26, got 27"),
    (dict(latents=np.zeros((2, 9))), "latents: expected float32, got float64"),
    (dict(latents=np.full((2, 9), np.nan, F32)), "latents: expected finite values"),
    (dict(state=np.zeros(7, F32)), r"state: expected shape \[6\], got \[7\]"),
    (dict(state=np.full(6, np.inf, F32)), "state: expected finite values"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_wrong_arguments_are_refused(change: dict, message: str) -> None:
    good = dict(latents=np.ones((2, 9), F32), state=np.ones(6, F32), q0=6, dq=5)
    assert encode_payload(tables=OURS, **good)
    with pytest.raises(ValueError, match=message):
        encode_payload(tables=OURS, **{**good, **change})


def test_symbols_that_the_tables_forbid_are_refused() -> None:
    level = 15
    silent = int(np.flatnonzero(OURS.latent[2, level] == 0)[0])
    q, q_state = case(OURS, (level, 0, 15, 8), 1, 2)
    q[0, silent] = 1
    with pytest.raises(ValueError, match=rf"latents\[0\]\[{silent}\]: expected a symbol .* got 1"):
        encode_symbols(q, q_state, OURS, level, 0)
    q[0, silent] = 0
    q_state[:] = 0
    q_state[int(np.flatnonzero(OURS.state[2, level])[0])] = -32768
    with pytest.raises(ValueError, match=r"state\[\d\]: expected a symbol"):
        encode_symbols(q, q_state, OURS, level, 0)


def test_huge_values_are_clipped_and_end() -> None:
    state, latents = np.full(6, 3e38, F32), np.full((1, 9), -3e38, F32)
    assert encode_payload(latents, state, OURS, 0, 0) == b""


@pytest.mark.parametrize("size", [0, 65536])
def test_payload_length_is_checked(size: int) -> None:
    with pytest.raises(ValueError, match=f"payload: expected 1 to 65535 bytes, got {size}"):
        decode_payload(bytes(size), OURS)


def test_max_latents_is_checked() -> None:
    with pytest.raises(ValueError, match="max_latents: expected 0 to 26, got 27"):
        decode_payload(b"12345678", OURS, 27)

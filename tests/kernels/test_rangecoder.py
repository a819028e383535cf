# SPDX-License-Identifier: BSD-2-Clause
"""Range coder: in lockstep with exact arithmetic, state by state."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from range_reference import ReferenceDecoder, ReferenceEncoder

from dredge_kernels.rangecoder import RangeDecoder, RangeEncoder


@st.composite
def spans(draw: st.DrawFn) -> tuple:
    total = draw(st.integers(1, 65536) | st.sampled_from([2, 8, 16, 32, 256]))
    first = draw(st.integers(0, total - 1))
    return ("span", first, draw(st.integers(first + 1, total)), total)


@st.composite
def icdf_symbols(draw: st.DrawFn) -> tuple:
    """A distribution whose symbols may be as rare as 1 in 32768, and one of its symbols."""
    cuts = draw(st.sets(st.integers(1, 32767), min_size=1, max_size=9))
    icdf = [*sorted(cuts, reverse=True), 0]
    return ("icdf", draw(st.integers(0, len(icdf) - 1)), icdf)


OPERATIONS = st.lists(spans() | icdf_symbols(), max_size=50)


def put(encoder: RangeEncoder | ReferenceEncoder, operation: tuple) -> None:
    if operation[0] == "icdf":
        own = isinstance(encoder, RangeEncoder)
        (encoder.encode_icdf if own else encoder.icdf)(*operation[1:])
    else:
        own = isinstance(encoder, RangeEncoder)
        (encoder.encode_span if own else encoder.span)(*operation[1:])


def assert_same_encoder(ours: RangeEncoder, reference: ReferenceEncoder) -> None:
    state = ours.state_dict()
    assert state["rng"] == reference.rng
    assert state["low"] & 0x7FFFFFFF == reference.low & 0x7FFFFFFF  # bit 31 is a carry to come
    assert state["bits"] == 33 + 8 * reference.shifts
    assert ours.tell() == reference.tell()
    held = 1 if state["held"] >= 0 else 0
    assert state["offs"] + state["pending"] + held == reference.shifts


def assert_same_decoder(ours: RangeDecoder, reference: ReferenceDecoder) -> None:
    state = ours.state_dict()
    assert (state["rng"], state["gap"]) == (reference.rng, reference.gap())
    assert ours.tell() == reference.tell()


@settings(max_examples=150, deadline=None)
@given(OPERATIONS)
def test_lockstep_with_exact_arithmetic(operations: list[tuple]) -> None:
    ours, reference = RangeEncoder(4096), ReferenceEncoder()
    for operation in operations:
        put(ours, operation)
        put(reference, operation)
        assert_same_encoder(ours, reference)
    tell = ours.tell()
    data = ours.finish()
    assert data.rstrip(b"\0") == reference.finish().rstrip(b"\0")
    assert len(data) <= (tell + 7) // 8

    reader, check = RangeDecoder(data), ReferenceDecoder(data)
    for operation in operations:
        assert_same_decoder(reader, check)
        if operation[0] == "icdf":
            assert reader.decode_icdf(operation[2]) == check.icdf(operation[2]) == operation[1]
        else:
            first, end, total = operation[1:]
            assert first <= reader.peek(total) < end
            assert reader.peek(total) == check.peek(total)
            reader.take(first, end, total)
            check.span(first, end, total)
    assert_same_decoder(reader, check)
    assert reader.tell() == tell


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60), st.lists(st.integers(1, 65536) | st.none(), max_size=60))
def test_any_bytes_decode_as_by_exact_arithmetic(data: bytes, totals: list[int | None]) -> None:
    ours, reference = RangeDecoder(data), ReferenceDecoder(data)
    icdf = [32760, 20000, 300, 1, 0]
    for total in totals:
        if total is None:
            assert ours.decode_icdf(icdf) == reference.icdf(icdf)
        else:
            assert ours.decode_uniform(total) == reference.uniform(total)
        assert_same_decoder(ours, reference)
    assert ours.state_dict()["offs"] <= len(data)


def test_carry_runs_through_a_long_row_of_full_bytes() -> None:
    """A code word of 0x7FFF... that the last symbol pushes over: every kept-back byte changes."""
    ours, reference = RangeEncoder(64), ReferenceEncoder()
    operations = [("span", 127, 128, 256)] + [("span", 255, 256, 256)] * 20
    longest = 0
    for operation in [*operations, ("span", 65535, 65536, 65536)]:
        put(ours, operation)
        put(reference, operation)
        longest = max(longest, ours.state_dict()["pending"])
        assert_same_encoder(ours, reference)
    assert longest >= 15
    assert ours.finish().rstrip(b"\0") == reference.finish().rstrip(b"\0")


def test_behind_the_end_the_stream_is_zeros() -> None:
    padded, short = RangeDecoder(b"\x9c\x31" + bytes(40)), RangeDecoder(b"\x9c\x31")
    for _ in range(50):
        assert padded.decode_uniform(7) == short.decode_uniform(7)
    assert short.tell() > 16


def test_saved_state_undoes_what_followed() -> None:
    with_detour, without = RangeEncoder(64), RangeEncoder(64)
    for value in range(30):
        with_detour.encode_uniform(value, 31)
        without.encode_uniform(value, 31)
    saved = with_detour.save()
    for _ in range(20):
        with_detour.encode_uniform(255, 256)
    with_detour.restore(saved)
    for encoder in (with_detour, without):
        encoder.encode_uniform(3, 5)
    assert with_detour.state_dict() == without.state_dict()
    assert with_detour.finish() == without.finish()


def test_restoring_takes_back_an_overflow() -> None:
    encoder = RangeEncoder(4)
    encoder.encode_uniform(7, 256)
    saved = encoder.save()
    for _ in range(9):
        encoder.encode_uniform(200, 256)
    assert encoder.overflow
    encoder.restore(saved)
    assert not encoder.overflow
    assert RangeDecoder(encoder.finish()).decode_uniform(256) == 7


def test_a_full_buffer_is_reported_and_nothing_is_written_beyond() -> None:
    encoder = RangeEncoder(3)
    for _ in range(40):
        encoder.encode_uniform(199, 256)
    assert encoder.overflow
    assert encoder.state_dict()["offs"] == 3
    with pytest.raises(OverflowError, match="room for the stream, got 3 bytes"):
        encoder.finish()


def test_a_new_stream_counts_one_bit() -> None:
    assert RangeEncoder(1).tell() == 1
    assert RangeDecoder(b"").tell() == 1
    assert RangeEncoder(1).finish() in (b"", b"\0")


BAD_CALLS = [
    (lambda e: e.encode_span(3, 3, 8), r"span: expected 0 <= first < end <= 8, got \[3, 3\)"),
    (lambda e: e.encode_span(-1, 3, 8), r"span: .* got \[-1, 3\)"),
    (lambda e: e.encode_span(7, 9, 8), r"span: .* got \[7, 9\)"),
    (lambda e: e.encode_uniform(0, 0), "total: expected 1 to 65536, got 0"),
    (lambda e: e.encode_uniform(0, 65537), "total: expected 1 to 65536, got 65537"),
    (lambda e: e.encode_icdf(0, []), "icdf: expected 1 to 64 values, got 0"),
    (lambda e: e.encode_icdf(0, [5, 9, 0]), r"icdf\[1\]: expected falling values .* got 9"),
    (lambda e: e.encode_icdf(0, [9, 5]), r"icdf\[1\]: expected 0 at the end, got 5"),
    (lambda e: e.encode_icdf(2, [9, 0]), "symbol: expected 0 to 1, got 2"),
    (lambda e: e.encode_icdf(1, [9, 9, 0]), "symbol: expected one with a probability, got 1"),
    (lambda e: e.encode_icdf(0, [32768, 0]), "symbol: expected one with a probability, got 0"),
    (lambda e: e.restore(RangeEncoder(8).save()), "saved: expected a state of this encoder"),
]


@pytest.mark.parametrize(("call", "message"), BAD_CALLS)
def test_what_cannot_be_coded_is_refused(call, message: str) -> None:
    encoder = RangeEncoder(8)
    before = encoder.state_dict()
    with pytest.raises(ValueError, match=message):
        call(encoder)
    assert encoder.state_dict() == before


def test_a_finished_stream_stays_finished() -> None:
    encoder = RangeEncoder(8)
    encoder.finish()
    with pytest.raises(ValueError, match="expected an open stream, got a finished one"):
        encoder.encode_uniform(0, 2)
    with pytest.raises(ValueError, match="finished"):
        encoder.finish()


def test_taking_the_wrong_span_is_refused() -> None:
    with pytest.raises(ValueError, match=r"span: expected one around 0 of 16, got \[4, 5\)"):
        RangeDecoder(b"").take(4, 5, 16)


@pytest.mark.parametrize("size", [0, -1, (1 << 20) + 1])
def test_buffer_size_is_checked(size: int) -> None:
    with pytest.raises(ValueError, match=f"size: expected 1 to 1048576 bytes, got {size}"):
        RangeEncoder(size)

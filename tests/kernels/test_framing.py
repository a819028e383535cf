# SPDX-License-Identifier: BSD-2-Clause
"""Opus packets of every code taken apart and rebuilt; malformed ones named by their defect."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dredge_kernels.framing import build_packet, frame_samples_48k, parse_packet
from dredge_kernels.opus import OpusError, packet_samples

WB20 = 9 << 3  # SILK wideband, 20 ms, mono


def body(size: int, seed: int = 1) -> bytes:
    return bytes((seed * 37 + i * 11) & 0xFF for i in range(size))


@pytest.mark.parametrize("config", range(32))
def test_frame_durations_are_those_of_libopus(config: int) -> None:
    toc = config << 3
    assert frame_samples_48k(toc) == 3 * packet_samples(bytes([toc, 1, 2, 3]))


SIZES = st.integers(0, 300) | st.sampled_from([250, 251, 252, 253, 255, 256, 1020, 1275])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(SIZES, min_size=1, max_size=6),
    st.none() | st.integers(0, 800) | st.sampled_from([253, 254, 255, 508, 509]),
    st.booleans(),
)
def test_build_then_parse(sizes: list[int], pad: int | None, equal: bool) -> None:
    frames = [body(sizes[0] if equal else size, i) for i, size in enumerate(sizes)]
    padding = None if pad is None else body(pad)
    packet = build_packet(WB20, frames, padding)
    parsed = parse_packet(packet)
    assert parsed.frames == tuple(frames)
    assert parsed.padding == padding
    assert parsed.toc & 0xFC == WB20
    assert packet_samples(packet) == 320 * len(frames) == parsed.samples_48k // 3
    rebuilt = build_packet(parsed.toc, parsed.frames, parsed.padding)
    assert rebuilt == packet


@pytest.mark.parametrize(
    ("frames", "code", "overhead"),
    [((7,), 0, 1), ((7, 7), 1, 1), ((7, 9), 2, 2), ((300, 9), 2, 3), ((7, 7, 7), 3, 2)],
)
def test_the_smallest_code_is_chosen(frames: tuple[int, ...], code: int, overhead: int) -> None:
    packet = build_packet(WB20 | 3, [body(size) for size in frames])
    assert packet[0] & 3 == code
    assert len(packet) == sum(frames) + overhead


@pytest.mark.parametrize(
    ("pad", "length_bytes"),
    [(0, "00"), (1, "01"), (254, "fe"), (255, "ff01"), (508, "fffe"), (509, "ffff01")],
)
def test_padding_length_counts_254_per_full_byte(pad: int, length_bytes: str) -> None:
    packet = build_packet(WB20, [body(5)], bytes(pad))
    assert packet[2:].startswith(bytes.fromhex(length_bytes))
    assert len(packet) == 2 + len(length_bytes) // 2 + 5 + pad


MALFORMED = {
    "empty": ("", "packet: expected at least 1 byte, got 0"),
    "code1_odd": ("49aabbcc", "code 1 packet: expected two equal frames, got 3 bytes"),
    "code2_no_length": ("4a", "frame length: expected a byte, got the end of the packet"),
    "code2_half_length": ("4afc", "frame length: expected a second byte, got the end"),
    "code2_too_long": ("4a05aabb", "frame length: expected at most 2 bytes, got 5"),
    "code3_no_count": ("4b", "frame count: expected a byte, got the end of the packet"),
    "code3_no_frames": ("4b00", "frame count: expected 1 to 48 frames of at most 120 ms, got 0"),
    "code3_160_ms": ("4b08" + "00" * 8, "frame count: expected .* 120 ms, got 8"),
    "code3_no_padding_length": ("4b41", "padding length: expected a byte, got the end"),
    "code3_padding_cut": ("4b41ff", "padding length: expected a byte, got the end"),
    "code3_padding_too_long": ("4b4105aabb", "padding: expected at most 2 bytes, got 5"),
    "code3_unequal": ("4b02aabbcc", "frames: expected 2 of one size, got 3 bytes"),
    "code3_vbr_too_long": ("4b8209aabb", "padding: expected at most 2 bytes, got 9"),
    "code3_vbr_no_length": ("4b82", "frame length: expected a byte, got the end of the packet"),
    "code0_1276_bytes": ("48" + "00" * 1276, "frame: expected at most 1275 bytes, got 1276"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_packets(name: str) -> None:
    data, message = MALFORMED[name]
    with pytest.raises(ValueError, match=message):
        parse_packet(bytes.fromhex(data))


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_taken_apart_as_libopus_does(data: bytes) -> None:
    """Where both accept, they agree on the duration; we refuse everything that libopus refuses."""
    try:
        parsed = parse_packet(data)
    except ValueError:
        return
    assert 3 * packet_samples(data) == parsed.samples_48k
    total = sum(map(len, parsed.frames)) + len(parsed.padding or b"")
    assert total < len(data)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "frames: expected 1 to 48, got 0"),
        ([b""] * 7, "frames: expected at most 120 ms, got 7 frames"),
        ([bytes(1276)], "frame: expected at most 1275 bytes, got 1276"),
    ],
)
def test_packets_that_opus_forbids_are_not_built(frames: list[bytes], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_packet(WB20, frames)


def test_libopus_refuses_an_empty_packet_too() -> None:
    with pytest.raises(OpusError):
        packet_samples(b"")

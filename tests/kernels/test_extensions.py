# SPDX-License-Identifier: BSD-2-Clause
"""Extensions in the padding: bytes by hand, round trips, what libopus wrote, malformed padding."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from payload_cases import VECTORS, load, needs_vectors

from dredge_kernels.extensions import (
    MAX_EXTENSIONS,
    Extension,
    add_extension,
    build_extensions,
    parse_extensions,
    read_extensions,
    strip_padding,
)
from dredge_kernels.framing import build_packet, parse_packet

WB20 = 9 << 3

BY_HAND = {
    "none": ("", 1, []),
    "one_long_to_the_end": ("fc4401aa", 1, [(126, 0, "4401aa")]),
    "filler_first": ("0101fc44", 1, [(126, 0, "44")]),
    "rest_is_padding": ("410000fc44", 1, [(32, 0, "")]),
    "zeros_only": ("00000000", 1, []),
    "short_without_byte": ("06fc", 1, [(3, 0, ""), (126, 0, "")]),
    "short_with_byte": ("3faa", 1, [(31, 0, "aa")]),
    "long_with_length": ("fd02aabbfc01", 1, [(126, 0, "aabb"), (126, 0, "01")]),
    "length_of_255": ("fdff00" + "07" * 255, 1, [(126, 0, "07" * 255)]),
    "length_of_256": ("41ff01" + "07" * 256, 1, [(32, 0, "07" * 256)]),
    "next_frame": ("02fc01", 2, [(126, 1, "01")]),
    "two_frames_on": ("fd0105" + "0302fc06", 3, [(126, 0, "05"), (126, 2, "06")]),
    "increment_of_zero": ("0300fc06", 1, [(126, 0, "06")]),
    "repeated_to_the_end": ("fd02aabb04ccdd", 2, [(126, 0, "aabb"), (126, 1, "ccdd")]),
    "repeated_with_length": ("fd02aabb0501ccfc11", 2, [(126, 0, "aabb"), (126, 1, "cc"), (126, 0, "11")]),
    "repeated_short": ("07aa05bb", 2, [(3, 0, "aa"), (3, 1, "bb")]),
    "repeated_short_without_byte": ("0605", 3, [(3, 0, ""), (3, 1, ""), (3, 2, "")]),
    "repeated_long_before_short": (
        "fd01aa07bb04ccddee", 2, [(126, 0, "aa"), (3, 0, "bb"), (126, 1, "ccdd"), (3, 1, "ee")],
    ),
    "repeated_twice": ("fd01aa0401bbcc", 3, [(126, 0, "aa"), (126, 1, "bb"), (126, 2, "cc")]),
    "repeated_then_on_in_the_next_frame": (
        "07aa04bbcc09dd", 3, [(3, 0, "aa"), (3, 1, "bb"), (3, 2, "cc"), (4, 1, "dd")],
    ),
    "repeated_since_the_separator": ("07aa0209bb05cc", 3, [(3, 0, "aa"), (4, 1, "bb"), (4, 2, "cc")]),
    "repeated_over_filler_and_increment_zero": ("0107aa030004bb", 2, [(3, 0, "aa"), (3, 1, "bb")]),
    "repeated_once_only": ("07aa05bb05", 2, [(3, 0, "aa"), (3, 1, "bb")]),
    "nothing_to_repeat_in_the_last_frame": ("04fc01", 1, []),
    "nothing_to_repeat_and_on": ("05fc01", 1, [(126, 0, "01")]),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_padding_written_by_hand(name: str) -> None:
    padding, frames, expected = BY_HAND[name]
    found = parse_extensions(bytes.fromhex(padding), frames)
    assert found == [Extension(i, f, bytes.fromhex(d)) for i, f, d in expected]


MALFORMED = {
    "no_length": ("fd", "extension length: expected a byte, got the end of the padding"),
    "length_goes_on": ("fdff", "extension length: expected a byte, got the end of the padding"),
    "too_long": ("fd05aabb", "extension 126: expected at most 2 bytes, got 5"),
    "short_cut": ("07", "extension 3: expected at most 0 bytes, got 1"),
    "frame_beyond": ("02fc01", "frame separator: expected a frame below 1, got 1"),
    "jump_beyond": ("0330fc", "frame separator: expected a frame below 1, got 48"),
    "repeat_cut": ("07aa05", "extension 3: expected at most 0 bytes, got 1", 2),
    "repeat_without_room": ("fd01aa07bb04", "extension 126: expected at most 0 bytes, got 1", 2),
    "no_increment": ("03", "frame separator: expected an increment, got the end of the padding"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_padding(name: str) -> None:
    padding, message, *more = MALFORMED[name]
    frames = more[0] if more else 1
    with pytest.raises(ValueError, match=message):
        parse_extensions(bytes.fromhex(padding), frames)
    with pytest.raises(ValueError, match=message):
        read_extensions(build_packet(WB20, [b"abc"] * frames, bytes.fromhex(padding)))


def test_a_repetition_cannot_make_memory_out_of_nothing() -> None:
    with pytest.raises(ValueError, match=f"expected at most {MAX_EXTENSIONS}, got more"):
        parse_extensions(b"\x06" * 1000 + b"\x04", 48)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_what_a_merging_sender_repeats_is_read_back(data: st.DataObject) -> None:
    """Every frame carries the same kinds; the writer says them once, as a repacketizer does."""
    frames = data.draw(st.integers(2, 6))
    kinds = data.draw(st.lists(st.integers(3, 127), min_size=1, max_size=4))
    short_sizes = [data.draw(st.integers(0, 1)) for _ in kinds]
    open_end = data.draw(st.booleans())

    def payload(kind: int, size: int) -> bytes:
        return data.draw(st.binary(min_size=size, max_size=size) if kind < 32 else st.binary(max_size=300))

    contents = [[payload(kind, size) for kind, size in zip(kinds, short_sizes, strict=True)] for _ in range(frames)]
    longs = [i for i, kind in enumerate(kinds) if kind >= 32]
    out = bytearray()
    for kind, content in zip(kinds, contents[0], strict=True):
        out.append(kind << 1 | (len(content) if kind < 32 else 1))
        out += (laced(content) if kind >= 32 else b"") + content
    out.append(2 << 1 | (not open_end))
    for frame in range(1, frames):
        for i, (kind, content) in enumerate(zip(kinds, contents[frame], strict=True)):
            last = open_end and frame == frames - 1 and longs and i == longs[-1]
            out += (laced(content) if kind >= 32 and not last else b"") + content
    found = parse_extensions(bytes(out), frames)
    assert found == [
        Extension(kind, frame, contents[frame][i]) for frame in range(frames) for i, kind in enumerate(kinds)
    ]


def laced(content: bytes) -> bytes:
    return b"\xff" * (len(content) // 255) + bytes([len(content) % 255])


@st.composite
def lists_of_extensions(draw: st.DrawFn) -> tuple[list[Extension], int]:
    frames = draw(st.integers(1, 6))
    out = []
    for _ in range(draw(st.integers(0, 6))):
        ident = draw(st.integers(3, 127))
        size = draw(st.integers(0, 1) if ident < 32 else st.integers(0, 600))
        frame = draw(st.integers(0, frames - 1))
        out.append(Extension(ident, frame, bytes((ident + k) & 0xFF for k in range(size))))
    return out, frames


@settings(max_examples=200, deadline=None)
@given(lists_of_extensions())
def test_build_then_parse(case: tuple[list[Extension], int]) -> None:
    extensions, frames = case
    padding = build_extensions(extensions, frames)
    assert parse_extensions(padding, frames) == sorted(extensions, key=lambda e: e.frame)


@settings(max_examples=200, deadline=None)
@given(lists_of_extensions(), st.booleans())
def test_added_one_by_one_to_a_packet(case: tuple[list[Extension], int], equal: bool) -> None:
    extensions, count = case
    frames = [bytes([k]) * (9 if equal else 9 + k) for k in range(count)]
    plain = build_packet(WB20, frames)
    packet = plain
    for extension in extensions:
        packet = add_extension(packet, extension.id, extension.data, extension.frame)
        assert packet[0] & 3 == 3
    assert read_extensions(packet) == sorted(extensions, key=lambda e: e.frame)
    assert parse_packet(packet).frames == tuple(frames)
    assert strip_padding(packet) == plain
    if extensions:
        assert packet == build_packet(WB20, frames, build_extensions(extensions, count))


@pytest.mark.parametrize("size", [0, 1, 60, 251, 252, 253, 254, 506, 1000])
def test_one_extension_costs_its_bytes_and_the_framing_only(size: int) -> None:
    speech = bytes([WB20]) + bytes(range(60))
    packet = add_extension(speech, 126, bytes(size))
    padding = 1 + size
    length_bytes = 1 + (padding - 1) // 254
    assert len(packet) == len(speech) + 1 + length_bytes + padding


def test_padding_of_zeros_makes_room_for_extensions() -> None:
    padded = build_packet(WB20, [b"speech"], bytes(50))
    assert read_extensions(padded) == []
    assert len(add_extension(padded, 126, b"D")) < len(padded)


def test_a_packet_without_padding_is_returned_as_it_is() -> None:
    vbr_of_equal_sizes = bytes([WB20 | 3, 0x82, 2]) + b"aabb"
    assert strip_padding(vbr_of_equal_sizes) == vbr_of_equal_sizes
    assert read_extensions(vbr_of_equal_sizes) == []


@pytest.mark.parametrize(
    ("ident", "data", "frame", "message"),
    [
        (1, b"", 0, "extension id: expected 3 to 127, got 1"),
        (128, b"", 0, "extension id: expected 3 to 127, got 128"),
        (31, b"ab", 0, "extension 31: expected 0 or 1 byte, got 2"),
        (126, b"ab", 1, "extension frame: expected 0 to 0, got 1"),
        (126, b"ab", -1, "extension frame: expected 0 to 0, got -1"),
    ],
)
def test_extensions_that_do_not_fit_are_refused(
    ident: int, data: bytes, frame: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        add_extension(bytes([WB20, 1, 2, 3]), ident, data, frame)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.integers(1, 6))
def test_any_padding_parses_or_is_refused_and_what_parses_is_rebuilt(
    padding: bytes, frames: int
) -> None:
    try:
        found = parse_extensions(padding, frames)
    except ValueError as error:
        assert "expected" in str(error) and "got" in str(error)
        return
    rebuilt = build_extensions(found, frames)
    if not {4, 5} & set(padding):  # nothing is repeated: what is written anew says each only once
        assert len(rebuilt) <= len(padding) + 1
    assert parse_extensions(rebuilt, frames) == sorted(found, key=lambda e: e.frame)


def packets_of(case: str) -> list[bytes]:
    """Packets of an opus_demo file: u32 length, u32 range (both big endian), bytes."""
    data, at, out = (Path(VECTORS) / case / "packets.bit").read_bytes(), 0, []
    while at < len(data):
        size, _ = struct.unpack_from(">II", data, at)
        out.append(data[at + 8 : at + 8 + size])
        at += 8 + size
    return out


@needs_vectors
@pytest.mark.vectors
@pytest.mark.parametrize("case", ["v4_A24k20", "v4_B44k30", "v1_C60ms", "v1_G_lbrr48"])
def test_what_libopus_wrote(case: str) -> None:
    arrays, packets = load(f"{case}/pkt.npz"), packets_of(case)
    assert len(packets) == len(arrays["pkt_len"])
    seen = 0
    for row, packet in enumerate(packets):
        found = read_extensions(packet)
        start, size = arrays["pkt_ext_data_offset"][row], arrays["pkt_ext_data_len"][row]
        if start < 0:
            assert found == []
            continue
        seen += 1
        assert found == [Extension(126, arrays["pkt_ext_frame"][row], packet[start : start + size])]
        rebuilt = add_extension(strip_padding(packet), *found[0][::2], frame=found[0].frame)
        assert rebuilt == packet
    assert seen > 100

# SPDX-License-Identifier: BSD-2-Clause
"""RTP packets, running sequence numbers, and who the sender is."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dredge_device import rtp


def test_build_is_the_layout_of_rfc_3550():
    data = rtp.build(0x1234, 0x89ABCDEF, 0xCAFEBABE, b"xyz", payload_type=96, marker=True)
    assert data == bytes.fromhex("80e0123489abcdefcafebabe") + b"xyz"


@given(
    st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF),
    st.binary(max_size=60), st.integers(0, 127), st.booleans(),
)  # fmt: skip
def test_round_trip(sequence, timestamp, ssrc, payload, kind, marker):
    packet = rtp.parse(rtp.build(sequence, timestamp, ssrc, payload, kind, marker))
    assert (packet.sequence, packet.timestamp, packet.ssrc) == (sequence, timestamp, ssrc)
    assert (packet.payload, packet.payload_type, packet.marker) == (payload, kind, marker)


def test_numbers_wrap_when_built():
    packet = rtp.parse(rtp.build(65536 + 5, (1 << 32) + 7, 1, b""))
    assert (packet.sequence, packet.timestamp) == (5, 7)


def test_csrcs_extension_and_padding_are_taken_off():
    head = struct.pack(">BBHII", 0x80 | 0x20 | 0x10 | 2, 111, 1, 2, 3)
    extension = struct.pack(">HHI", 0xBEDE, 1, 0xAAAAAAAA)
    data = head + b"c" * 8 + extension + b"payload" + b"\0\0\3"
    assert rtp.parse(data).payload == b"payload"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "RTP packet is shorter than its header: 0 of 12 bytes"),
        (b"\x80" * 11, "RTP packet is shorter than its header: 11 of 12 bytes"),
        (b"\x40" + bytes(11), "RTP version is 1, expected 2"),
        (b"\x81" + bytes(11), "RTP packet ends inside its CSRC list"),
        (b"\x90" + bytes(11), "RTP packet ends inside its header extension"),
        (b"\x90" + bytes(13) + b"\0\1", "RTP packet ends inside its header extension"),
        (b"\xa0" + bytes(11), "RTP padding of 0 bytes does not fit the packet"),
        (b"\xa0" + bytes(11) + b"\5", "RTP padding of 5 bytes does not fit the packet"),
    ],
)
def test_defects_are_named(data, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        rtp.parse(data)


def test_payload_type_is_checked():
    with pytest.raises(ValueError, match="payload type 128"):
        rtp.build(0, 0, 0, b"", payload_type=128)


@given(st.binary(max_size=80))
def test_any_bytes_parse_or_raise_value_error(data):
    try:
        packet = rtp.parse(data)
    except ValueError:
        return
    assert len(packet.payload) <= len(data) - 12


@given(st.integers(0, 0xFFFF), st.integers(-32768, 32767))
def test_distance_inverts_wrapped_addition(old, delta):
    assert rtp.distance((old + delta) & 0xFFFF, old) == delta


def test_rtcp_is_told_from_rtp_by_its_type():
    assert rtp.is_rtcp(bytes([0x80, 200])) and rtp.is_rtcp(bytes([0x80, 204]))
    assert not rtp.is_rtcp(rtp.build(1, 2, 3, b"", payload_type=127))
    assert not rtp.is_rtcp(b"\x80")


def test_marker_with_payload_type_72_would_look_like_rtcp():
    """Why dynamic types below 96 are not used (RFC 5761 section 4)."""
    assert rtp.is_rtcp(rtp.build(1, 2, 3, b"", payload_type=72, marker=True))
    assert not rtp.is_rtcp(rtp.build(1, 2, 3, b"", payload_type=111, marker=True))


@given(st.integers(0, 0xFFFF), st.lists(st.integers(-40, 200), max_size=400))
def test_tracker_follows_a_stream_over_the_wrap(start, steps):
    tracker = rtp.StreamTracker()
    true = highest = start
    assert tracker.admit(7, start) == start
    for step in steps:
        true = max(highest + step, start)
        highest = max(highest, true)
        assert tracker.admit(7, true & 0xFFFF) == true
    assert tracker.generation == 1


def test_tracker_keeps_old_packets_of_the_first_moment():
    tracker = rtp.StreamTracker()
    tracker.admit(7, 0)
    assert tracker.admit(7, 65535) == -1


def test_one_stray_packet_changes_nothing():
    tracker = rtp.StreamTracker()
    tracker.admit(7, 100)
    assert tracker.admit(8, 5000) is None
    assert tracker.admit(7, 101) == 101
    assert tracker.admit(8, 5001) is None  # the proof must follow at once
    assert (tracker.ssrc, tracker.generation) == (7, 1)


@pytest.mark.parametrize(("ssrc", "first"), [(8, 40000), (7, 40000), (7, 65000)])
def test_two_packets_in_a_row_are_a_new_start(ssrc, first):
    tracker = rtp.StreamTracker()
    tracker.admit(7, 100)
    assert tracker.admit(ssrc, first) is None
    assert tracker.admit(ssrc, first + 1) == first + 1
    assert (tracker.ssrc, tracker.generation) == (ssrc, 2)

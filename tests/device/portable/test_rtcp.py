# SPDX-License-Identifier: BSD-2-Clause
"""RTCP: compound datagrams, receiver reports, APP packets."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dredge_device import rtcp


def test_app_is_the_layout_of_rfc_3550():
    data = rtcp.build_app(3, 0x01020304, b"DRDG", b"abcde")
    assert data == bytes.fromhex("83cc0004 01020304".replace(" ", "")) + b"DRDGabcde\0\0\0"


@given(st.integers(0, 31), st.integers(0, 0xFFFFFFFF), st.binary(max_size=100))
def test_app_round_trip(subtype, ssrc, data):
    (packet,) = rtcp.split(rtcp.build_app(subtype, ssrc, b"NAME", data))
    assert packet.count == subtype
    got_ssrc, name, got = rtcp.parse_app(packet)
    assert (got_ssrc, name) == (ssrc, b"NAME")
    assert got == data + bytes(-len(data) % 4)


@given(
    st.integers(0, 255), st.integers(-0x800000, 0x7FFFFF),
    st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF),
)  # fmt: skip
def test_receiver_report_round_trip(fraction, lost, highest, jitter):
    (packet,) = rtcp.split(rtcp.build_receiver_report(1, 2, fraction, lost, highest, jitter))
    assert rtcp.parse_receiver_report(packet) == {
        "source": 2, "fraction_256": fraction, "lost": lost, "highest": highest, "jitter": jitter,
    }  # fmt: skip


def test_receiver_report_clamps_what_does_not_fit():
    (packet,) = rtcp.split(rtcp.build_receiver_report(1, 2, 300, 1 << 30, 0, 0))
    report = rtcp.parse_receiver_report(packet)
    assert (report["fraction_256"], report["lost"]) == (255, 0x7FFFFF)


def test_compound_datagram_keeps_order_and_takes_padding_off():
    first = rtcp.build_receiver_report(1, 2, 0, 0, 0, 0)
    padded = struct.pack(">BBHI", 0xA0 | 5, rtcp.APP, 4, 9) + b"NAME" + b"data" + b"\0\0\0\4"
    kinds = rtcp.split(first + padded)
    assert [packet.kind for packet in kinds] == [rtcp.RECEIVER_REPORT, rtcp.APP]
    assert rtcp.parse_app(kinds[1]) == (9, b"NAME", b"data")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "RTCP datagram is empty"),
        (b"\x80\xcc\0", "RTCP packet is shorter than its header: 3 of 8 bytes"),
        (b"\x40\xcc\0\1" + bytes(4), "RTCP version is 1, expected 2"),
        (b"\x80\xcc\0\2" + bytes(4), "RTCP length of 2 words does not fit the datagram"),
        (b"\x80\xcc\0\0" + bytes(4), "RTCP length of 0 words does not fit the datagram"),
        (b"\xa0\xcc\0\1" + bytes(4), "RTCP padding of 0 bytes does not fit the packet"),
        (b"\xa0\xcc\0\2" + bytes(7) + b"\x09", "RTCP padding of 9 bytes does not fit the packet"),
    ],
)
def test_defects_are_named(data, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        rtcp.split(data)


def test_short_bodies_are_refused():
    (packet,) = rtcp.split(struct.pack(">BBHI", 0x80, rtcp.APP, 1, 9))
    with pytest.raises(ValueError, match="no name"):
        rtcp.parse_app(packet)
    with pytest.raises(ValueError, match="expected a receiver report"):
        rtcp.parse_receiver_report(packet)
    (packet,) = rtcp.split(struct.pack(">BBHI", 0x81, rtcp.RECEIVER_REPORT, 1, 9))
    with pytest.raises(ValueError, match="no report block"):
        rtcp.parse_receiver_report(packet)
    with pytest.raises(ValueError, match=r"expected APP"):
        rtcp.parse_app(packet)


def test_app_checks_its_arguments():
    with pytest.raises(ValueError, match="subtype 32"):
        rtcp.build_app(32, 0, b"DRDG", b"")
    with pytest.raises(ValueError, match="too long"):
        rtcp.build_app(0, 0, b"DRDG", bytes(4 * 0x10000))


@given(st.binary(max_size=120))
def test_any_bytes_split_or_raise_value_error(data):
    try:
        packets = rtcp.split(data)
    except ValueError:
        return
    assert 4 * len(packets) + sum(len(p.body) for p in packets) <= len(data)

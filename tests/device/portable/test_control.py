# SPDX-License-Identifier: BSD-2-Clause
"""DRDG messages: layout, defects, fuzz."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dredge_device import control, rtcp

VALUES = st.integers() | st.booleans() | st.none() | st.text(max_size=20)
DOCUMENTS = st.dictionaries(st.text(max_size=8), VALUES, max_size=5)


def test_layout_is_that_of_the_protocol_page():
    message = control.Message(control.CONFIGURE, 0x0203, b"{}", control.REPLY, 0x0A0B0C0D)
    expected = "81cc00050a0b0c0d4452444701010203000200007b7d0000"
    assert bytes(message) == bytes.fromhex(expected)


@given(st.sampled_from(range(5)), st.integers(0, 65535), DOCUMENTS, st.integers(0, 255))
def test_document_round_trip(kind, number, document, flags):
    data = control.build(control.with_document(kind, number, document, flags, 99))
    (message,) = control.parse(data)
    assert (message.kind, message.number, message.flags) == (kind, number, flags)
    assert message.ssrc == 99
    assert message.document() == document


@given(st.integers(0, 65535), st.integers(1, 65535), st.data(), st.binary(max_size=60))
def test_chunk_round_trip(report, count, data, body):
    index = data.draw(st.integers(0, count - 1))
    message = control.with_chunk(control.REPORT, 1, report, index, count, body)
    (back,) = control.parse(control.build(message))
    assert back.chunk() == (report, index, count, body)


def test_empty_body_is_an_empty_document():
    assert control.Message(control.BYE).document() == {}


def test_foreign_packets_in_a_compound_are_skipped():
    data = (
        rtcp.build_receiver_report(1, 2, 0, 0, 0, 0)
        + rtcp.build_app(1, 1, b"OTHR", b"whatever")
        + control.build(control.Message(control.HELLO, 5))
    )
    (message,) = control.parse(data)
    assert (message.kind, message.number) == (control.HELLO, 5)


def test_other_version_is_told_by_its_own_error():
    data = rtcp.build_app(0, 1, b"DRDG", struct.pack(">BBHHH", 9, 0, 0, 0, 0))
    with pytest.raises(control.VersionError, match="version is 9, expected 1") as caught:
        control.parse(data)
    assert caught.value.version == 9


@pytest.mark.parametrize(
    ("subtype", "data", "sentence"),
    [
        (0, b"\1\0\0\0", "DRDG message is shorter than its header: 4 of 8 bytes"),
        (6, struct.pack(">BBHHH", 1, 0, 0, 0, 0), "DRDG message kind 6 is unknown"),
        (
            0,
            struct.pack(">BBHHH", 1, 0, 0, 5, 0) + b"abcd",
            "DRDG message body of 5 bytes does not fit the packet",
        ),
    ],
)
def test_defects_are_named(subtype, data, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        control.parse(rtcp.build_app(subtype, 1, b"DRDG", data))


@pytest.mark.parametrize("body", [b"[1]", b"{", b"\xff\xfe", b"1", b"[" * 60000])
def test_body_must_be_a_json_object(body):
    with pytest.raises(ValueError, match="hello message holds no JSON"):
        control.Message(control.HELLO, 0, body).document()


def test_chunk_header_is_checked():
    with pytest.raises(ValueError, match="ends inside its chunk header"):
        control.Message(control.REPORT, 0, b"12345").chunk()
    with pytest.raises(ValueError, match="chunk 3 of 3 does not exist"):
        control.with_chunk(control.REPORT, 0, 1, 3, 3).chunk()


def test_body_longer_than_its_length_field_is_refused():
    with pytest.raises(ValueError, match="too long"):
        control.build(control.Message(control.REPORT, 0, bytes(65536)))


@given(st.binary(max_size=120))
def test_any_bytes_parse_or_raise_value_error(data):
    with contextlib.suppress(ValueError):
        control.parse(data)


@given(st.integers(0, 31), st.binary(max_size=80))
def test_any_drdg_body_is_read_or_raises_value_error(subtype, data):
    """With the carrier intact the message parser itself is reached."""
    try:
        messages = control.parse(rtcp.build_app(subtype, 1, b"DRDG", b"\1" + data))
    except ValueError:
        return
    for message in messages:
        for read in (message.document, message.chunk):
            with contextlib.suppress(ValueError):
                read()

# SPDX-License-Identifier: BSD-2-Clause
"""Captures of every format give the same packets; damaged ones a sentence or what is complete."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
from capture_cases import ETHERNET, SSRC, datagrams, every_format, frame, pcap, pcapng, rtpdump, udp4
from hypothesis import given, settings
from hypothesis import strategies as st
from ogg_opus import ogg_opus

from dredge_device import rtp
from dredge_host.capture import ogg, opus_demo, writer
from dredge_host.capture import pcap as capture_pcap
from dredge_host.capture import rtpdump as capture_rtpdump
from dredge_host.capture.packets import ANY, MAX_BYTES, Capture, Choice
from dredge_host.capture.reader import is_capture, read_capture
from dredge_host.errors import InputError

PACKETS = [bytes([0x48]) + bytes((7 * i + k) & 0xFF for k in range(20 + 37 * i)) for i in range(10)]
FILES = every_format(PACKETS)


def read(tmp_path: Path, data: bytes, ssrc: int | None = None, name: str = "capture") -> Capture:
    path = tmp_path / name
    path.write_bytes(data)
    return read_capture(path, Choice(ssrc))


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_packets(tmp_path: Path, name: str) -> None:
    capture = read(tmp_path, FILES[name])
    assert [p.data for p in capture.packets] == PACKETS
    with_rtp = name.startswith(("pcap", "rtpdump"))
    if with_rtp:
        assert [p.sequence for p in capture.packets] == list(range(65534, 65544))
        times = [p.time_s for p in capture.packets]
        assert [round(t - times[0], 6) for t in times] == [round(0.02 * i, 6) for i in range(10)]
    assert capture.ssrc == (SSRC if with_rtp else None) and capture.lost == 0
    assert capture.notes == []


def test_losses_duplicates_and_disorder(tmp_path: Path) -> None:
    sent = datagrams(PACKETS)
    order = [sent[i] for i in (0, 1, 4, 3, 3, 5, 9)]
    capture = read(tmp_path, rtpdump(order))
    assert [p.data for p in capture.packets] == [PACKETS[i] for i in (0, 1, 3, 4, 5, 9)]
    assert capture.lost == 4
    assert capture.notes == ["left out: 1 duplicates"]
    assert [p.timestamp for p in capture.packets] == [960 * i for i in (0, 1, 3, 4, 5, 9)]


def test_one_stream_of_several_is_chosen(tmp_path: Path) -> None:
    other = datagrams(PACKETS[:4], ssrc=0xABCD)
    junk = [b"", b"hello", bytes(12), rtp.build(1, 0, 5, b"pcmu", payload_type=0), b"\x80\xc8" + bytes(26)]
    data = rtpdump([*other, *datagrams(PACKETS), *junk])
    capture = read(tmp_path, data)
    assert len(capture.packets) == 10
    assert capture.notes[0] == "left out: stream 1: 4 packets of SSRC 0x0000abcd, type 111; see --stream"
    assert "left out: 1 datagrams of other payload types" in capture.notes
    assert "left out: 1 datagrams of RTCP" in capture.notes
    assert len(read(tmp_path, data, ssrc=0xABCD).packets) == 4
    with pytest.raises(InputError, match=r"no RTP stream with SSRC 0x00000007 \(there are: 0x0000abcd, 0x44524447"):
        read(tmp_path, data, ssrc=7)


def test_what_is_no_udp_is_passed_over(tmp_path: Path) -> None:
    sent = datagrams(PACKETS[:3])
    frames = [frame(ETHERNET, udp4(d)) for d in sent]
    tcp = frame(ETHERNET, udp4(sent[0], protocol=6))
    fragment = frame(ETHERNET, udp4(sent[1], fragment=0x2000))
    arp = bytes(12) + b"\x08\x06" + bytes(28)
    capture = read(tmp_path, pcap([tcp, frames[0], fragment, arp, frames[1], bytes(6), b"", frames[2]]))
    assert [p.data for p in capture.packets] == PACKETS[:3]


def test_ogg_packets_across_pages_and_other_streams(tmp_path: Path) -> None:
    long = bytes([0x48]) * 700
    whole = ogg_opus([b"\x48ab"])
    head_end = whole.index(b"OggS", whole.index(b"OggS", 4) + 4)

    def page(serial: int, flags: int, lacing: bytes, body: bytes) -> bytes:
        raw = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, 0, serial, 9, 0, len(lacing)) + lacing + body
        return raw[:22] + struct.pack("<I", ogg.crc(raw)) + raw[26:]

    serial = struct.unpack_from("<I", whole, 14)[0]
    data = whole[:head_end]
    data += page(serial ^ 1, 2, b"\x05", b"video")
    data += page(serial, 0, b"\xff\xff", long[:510]) + page(serial ^ 1, 0, b"\x03", b"abc")
    data += page(serial, 1, bytes([190, 3, 255]), long[510:] + b"\x48xy" + bytes(255))
    capture = read(tmp_path, data)
    assert [p.data for p in capture.packets] == [long, b"\x48xy"]
    assert capture.notes == ["the file ends inside a packet", "left out: 1 other streams of the file"]


def test_the_ogg_checksum_is_that_of_the_standard() -> None:
    """Check value of CRC-32 with this polynomial, not reflected, without inversion."""
    assert ogg.crc(b"123456789") == 0x89A1897F


SENTENCES = {
    "empty": (b"", "no Opus packet in this opus_demo file"),
    "text": (b"hello, this is no capture", "not pcap, pcapng, rtpdump, Ogg Opus, opus_demo"),
    "short": (b"\0\0", "not pcap"),
    "wav": (b"RIFF" + bytes(40), "a WAV file"),
    "noise": (b"XIFF" + bytes(40), "not pcap.* at byte 0 a packet of 1481197126 bytes"),
    "ogg_version": (b"OggS\1" + bytes(40), "an Ogg file without an Opus stream"),
    "ogg_other": (b"OggS" + bytes(22) + b"\0", "an Ogg file without an Opus stream"),
    "rtpdump_line": (b"#!rtpplay1.0 " + bytes(300), "expected a first line"),
    "rtpdump_record": (rtpdump([])[:44] + b"\0\3\0\0" + bytes(8), "a record of 3 bytes, expected 8 or more"),
    "pcap_link": (pcap([b"x"], 147), "no Opus packet in this pcap file, but 1 frames of link type 147"),
    "pcap_head": (b"\xd4\xc3\xb2\xa1abc", "not a readable pcap file"),
    "pcapng_head": (b"\x0a\x0d\x0d\x0aabc", "not a readable pcapng file"),
    "pcap_empty": (pcap([]), "no Opus packet in this pcap file"),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_what_cannot_be_read_is_one_sentence(tmp_path: Path, name: str) -> None:
    data, message = SENTENCES[name]
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, data)
    assert str(tmp_path / "capture") in str(caught.value)


def test_missing_and_oversized_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such capture file"):
        read_capture(tmp_path / "none.pcap")
    with pytest.raises(InputError, match="this is a folder"):
        read_capture(tmp_path)
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(InputError, match="at most 256 MiB"):
        read_capture(big)


@pytest.mark.parametrize("name", ["bit", "ogg", "rtpdump", "pcapng", "pcap vlan"])
def test_files_that_end_too_early_give_what_is_complete(tmp_path: Path, name: str) -> None:
    data = FILES[name]
    capture = read(tmp_path, data[:-5])
    assert [p.data for p in capture.packets] == PACKETS[: len(capture.packets)]
    assert len(capture.packets) >= 9
    assert len(capture.notes) == 1 and ("ends inside" in capture.notes[0] or "not complete" in capture.notes[0])


def test_frames_cut_by_the_capture_length_are_left_out(tmp_path: Path) -> None:
    frames = [frame(ETHERNET, udp4(d)) for d in datagrams(PACKETS[:3])]
    capture = read(tmp_path, pcap([frames[0], frames[1][:60], frames[2]]))
    assert [p.data for p in capture.packets] == [PACKETS[0], PACKETS[2]]
    assert capture.lost == 1
    assert capture.notes == ["left out: 1 frames that are damaged"]


def test_captures_are_told_from_audio(tmp_path: Path) -> None:
    for name, data, expected in (
        ("a.pcap", FILES["pcap link 1"], True), ("b", FILES["pcapng"], True), ("c", FILES["rtpdump"], True),
        ("d.bit", FILES["bit"], True), ("e.opus", FILES["ogg"], False), ("f.wav", b"RIFF", False), ("g", b"", False),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(data)
        assert is_capture(tmp_path / name) is expected, name
    assert not is_capture(tmp_path / "none")


def test_an_ssrc_needs_rtp(tmp_path: Path) -> None:
    for name in ("bit", "ogg"):
        with pytest.raises(InputError, match="has no SSRC"):
            read(tmp_path, FILES[name], ssrc=1)


READERS = {
    "bit": opus_demo.read, "ogg": ogg.read, "rtpdump": capture_rtpdump.read,
    "pcapng": capture_pcap.read, "pcap link 1": capture_pcap.read, "pcap link 276 IPv6": capture_pcap.read,
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), changes=st.integers(1, 8))
def test_mutated_captures_are_read_or_refused(name: str, seed: int, changes: int) -> None:
    """Nothing but ValueError, and never more bytes of packets than the file has."""
    data, rng = bytearray(FILES[name][:1500]), random.Random(seed)
    for _ in range(changes):
        at = rng.randrange(len(data))
        action = rng.randrange(4)
        if action == 0:
            del data[at : at + rng.randrange(1, 40)]
        elif action == 1:
            data[at:at] = rng.randbytes(rng.randrange(1, 40))
        else:
            data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    try:
        capture = READERS[name](bytes(data), ANY)
    except ValueError as error:
        assert str(error)
        return
    assert sum(len(p.data) for p in capture.packets) <= len(data)


HEADS = [b"", b"OggS\0", b"#!rtpplay1.0 x\n" + bytes(16), FILES["pcap link 1"][:24], FILES["pcapng"][:56]]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(HEADS), st.binary(max_size=200))
def test_any_bytes_behind_a_good_beginning(head: bytes, rest: bytes) -> None:
    for reader in (opus_demo.read, ogg.read, capture_rtpdump.read, capture_pcap.read):
        try:
            capture = reader(head + rest, ANY)
        except ValueError:
            continue
        assert sum(len(p.data) for p in capture.packets) <= len(head + rest)


def test_pcapng_and_pcap_agree_on_time(tmp_path: Path) -> None:
    frames = [frame(ETHERNET, udp4(d)) for d in datagrams(PACKETS)]
    one, two = read(tmp_path, pcap(frames)), read(tmp_path, pcapng(frames))
    assert [p.data for p in one.packets] == [p.data for p in two.packets]
    assert all(abs(a.time_s - b.time_s) < 2e-6 for a, b in zip(one.packets, two.packets, strict=True))
    assert (one.format, two.format) == ("pcap", "pcapng")


def test_our_own_captures(tmp_path: Path) -> None:
    """What `dredge stream --capture` writes, control messages between."""
    sent = datagrams(PACKETS)
    with writer.Capture(tmp_path / "own.pcap", ("127.0.0.1", 5004)) as file:
        for datagram in sent:
            file.sent(datagram)
            file.received(b"\x80\xcc\0\1" + bytes(4))
    capture = read_capture(tmp_path / "own.pcap")
    assert [p.data for p in capture.packets] == PACKETS and capture.ssrc == SSRC
    assert capture.notes == ["left out: 10 datagrams of RTCP"]
    assert is_capture(tmp_path / "own.pcap")

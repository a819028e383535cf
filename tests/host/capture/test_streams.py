# SPDX-License-Identifier: BSD-2-Clause
"""Captures from real networks: many streams, tunnels, fragments, restarts, damage; what is left out is said."""

import gzip
import os
import random
import struct
import threading

import pytest
from capture_cases import ETHERNET, RAW, _block, datagrams, frame, pcap, rtpdump, udp4, udp6

from dredge_device import rtp
from dredge_host.capture import ogg, red
from dredge_host.capture.packets import Choice
from dredge_host.capture.reader import read_capture
from dredge_host.capture.rtp_stream import RtpStreams
from dredge_host.errors import InputError

PACKETS = [bytes([0x48]) + bytes((7 * i + k) & 0xFF for k in range(20 + 3 * i)) for i in range(40)]


def read(tmp_path, data, choice=None):
    (tmp_path / "capture").write_bytes(data)
    return read_capture(tmp_path / "capture", choice or Choice())


def data_of(capture):
    return [packet.data for packet in capture.packets]


def addressed(payload, source=1, port=5004):
    """IPv4 and UDP from 10.0.0.source:port."""
    raw = bytearray(udp4(payload))
    raw[12:20] = bytes([10, 0, 0, source, 10, 0, 0, 99])
    raw[20:22] = struct.pack(">H", port)
    return bytes(raw)


# Streams -------------------------------------------------------------------------------------------


def test_the_stream_that_is_opus_is_chosen_not_the_longest(tmp_path):
    rng = random.Random(1)
    video = [rtp.build(i, 3000 * (i // 4), 9, rng.randbytes(900), payload_type=96) for i in range(400)]
    sent = [frame(ETHERNET, addressed(d, 1)) for d in video]
    sent += [frame(ETHERNET, addressed(d, 2)) for d in datagrams(PACKETS)]
    capture = read(tmp_path, pcap(sent))
    assert data_of(capture) == PACKETS and not capture.doubt
    assert "400 packets of SSRC 0x00000009, type 96, no Opus, 10.0.0.1:5004 > 10.0.0.99:5006" in capture.notes[0]
    video_read = read(tmp_path, pcap(sent), Choice(stream=1))
    assert len(video_read.packets) == 400 and "does not read as Opus" in video_read.doubt
    with pytest.raises(InputError, match=r"there is no stream 3 \(there are 2\)"):
        read(tmp_path, pcap(sent), Choice(stream=3))


def test_equal_ssrcs_from_two_hosts_are_two_streams(tmp_path):
    mixed = [frame(RAW, addressed(d, host)) for d in datagrams(PACKETS) for host in (1, 2)]
    capture = read(tmp_path, pcap(mixed[:-1], RAW))
    assert data_of(capture) == PACKETS and capture.lost == 0
    assert "39 packets of SSRC" in capture.notes[0]


@pytest.mark.parametrize(("first", "stamp"), [(5, 0), (30000, 7), (0, 2**31)])
def test_a_sender_that_starts_again_is_another_stream(first, stamp):
    streams = RtpStreams()
    for number, packet in enumerate(PACKETS):
        streams.add(rtp.build(100 + number, 960 * number, 1, packet), 0.02 * number)
    for number, packet in enumerate(PACKETS[:20]):
        streams.add(rtp.build(first + number, stamp + 960 * number, 1, packet), 20 + 0.02 * number)
    capture = streams.choose("test")
    assert data_of(capture) == PACKETS and capture.lost == 0
    assert [len(s.packets) for s in streams.streams()] == [40, 20]


def test_wraps_and_disorder_are_no_restart():
    streams, rng = RtpStreams(), random.Random(2)
    sent = [(rtp.build(65520 + n, 2**32 - 9000 + 960 * n, 1, p), 0.02 * n) for n, p in enumerate(PACKETS)]
    order = sorted(range(40), key=lambda n: n + rng.uniform(0, 8))
    for n in [*order, 3, 17]:
        streams.add(sent[n][0], 0.02 * max(n, 30))
    capture = streams.choose("test")
    assert data_of(capture) == PACKETS and capture.lost == 0
    assert [p.timestamp for p in capture.packets] == [960 * n for n in range(40)]
    assert capture.notes == ["left out: 2 duplicates"]


def test_a_pause_is_no_loss_and_no_restart():
    streams = RtpStreams()
    for number, packet in enumerate(PACKETS):
        pause = 30 if number >= 20 else 0
        streams.add(rtp.build(number, 960 * number + 48000 * pause, 1, packet), 0.02 * number + pause)
    capture = streams.choose("test")
    assert len(streams.streams()) == 1 and capture.lost == 0
    assert capture.packets[20].timestamp == 960 * 20 + 48000 * 30


def test_probes_and_other_types_between_are_no_loss():
    """Padding-only probes and telephone events have numbers of the same sequence."""
    streams, number = RtpStreams(), 0
    for index, packet in enumerate(PACKETS):
        streams.add(rtp.build(number, 960 * index, 1, packet), 0.02 * index)
        number += 1
        if index % 10 == 5:
            probe = bytearray(rtp.build(number, 960 * index, 1, bytes(7) + b"\x08"))
            probe[0] |= 0x20
            streams.add(bytes(probe), 0.02 * index)
            streams.add(rtp.build(number + 1, 960 * index, 1, b"\1\2\3\4", payload_type=101), 0.02 * index)
            number += 2
    capture = streams.choose("test")
    assert data_of(capture) == PACKETS and capture.lost == 0
    assert any("4 packets that are padding only" in note for note in capture.notes)


def test_encrypted_payload_is_recognised(tmp_path):
    rng = random.Random(4)
    capture = read(tmp_path, rtpdump(datagrams([rng.randbytes(90) for _ in range(100)])))
    assert "encrypted (SRTP)" in capture.doubt and capture.doubt in capture.notes[0]


def test_redundant_audio_data_is_unwrapped_and_used():
    def wrapped(n):
        older = PACKETS[n - 1] if n else b""
        head = (0x80 | 111) << 24 | (960 << 10) | len(older)
        return (head.to_bytes(4, "big") if n else b"") + bytes([111]) + older + PACKETS[n]

    streams = RtpStreams()
    for n in range(40):
        if n not in (7, 20, 21):
            streams.add(rtp.build(n, 960 * n, 1, wrapped(n), payload_type=63), 0.02 * n)
    capture = streams.choose("test")
    assert data_of(capture) == [p for n, p in enumerate(PACKETS) if n != 20] and capture.lost == 1
    assert "2 lost packets were taken from copies" in capture.notes[0]


@pytest.mark.parametrize("payload", [b"", b"\xef", b"\xef\0\0", b"\xef\xff\xff\xff", b"\xef\0\0\x05\x6fab"])
def test_damaged_redundant_data_is_refused(payload):
    with pytest.raises(ValueError, match="RED payload"):
        red.split(0, payload)


# Links ---------------------------------------------------------------------------------------------


def pieces4(packet, size):
    """An IPv4 packet in fragments of `size` bytes."""
    head, body = packet[:20], packet[20:]
    for at in range(0, len(body), size):
        more = 0x2000 if at + size < len(body) else 0
        part = body[at : at + size]
        size_field, place = struct.pack(">H", 20 + len(part)), struct.pack(">H", more | at // 8)
        yield head[:2] + size_field + head[4:6] + place + head[8:] + part


def pieces6(packet, size, number):
    head, body = packet[:40], packet[40:]
    for at in range(0, len(body), size):
        part = body[at : at + size]
        extension = struct.pack(">BBHI", 17, 0, at | (at + size < len(body)), number)
        yield head[:4] + struct.pack(">H", 8 + len(part)) + b"\x2c" + head[7:] + extension + part


@pytest.mark.parametrize("order", ["in order", "backwards"])
@pytest.mark.parametrize("version", [4, 6])
def test_fragments_are_put_together(tmp_path, version, order):
    frames = []
    for number, datagram in enumerate(datagrams(PACKETS)):
        if version == 4:
            packet = bytearray(addressed(datagram))
            packet[4:6] = struct.pack(">H", number)
            parts = list(pieces4(bytes(packet), 24))
        else:
            parts = list(pieces6(udp6(datagram), 24, number))
        frames += [frame(ETHERNET, p) for p in (parts if order == "in order" else parts[::-1])]
    capture = read(tmp_path, pcap(frames))
    assert data_of(capture) == PACKETS and not capture.notes
    capture = read(tmp_path, pcap(frames[1:]))
    assert data_of(capture) == PACKETS[1:] and "IP fragments without their other parts" in capture.notes[-1]


def vlan(packet):
    return frame(ETHERNET, packet, vlan=True)


def pppoe(packet):
    return bytes(12) + b"\x88\x64" + struct.pack(">BBHHH", 0x11, 0, 1, len(packet) + 2, 0x0021) + packet


def gre(packet):
    outer = struct.pack(">BBHHHBBH8s", 0x45, 0, 24 + len(packet), 1, 0, 64, 47, 0, bytes(8))
    return frame(ETHERNET, outer + struct.pack(">HH", 0, 0x0800) + packet)


def ip_in_ip(packet):
    return frame(ETHERNET, struct.pack(">BBHHHBBH8s", 0x45, 0, 20 + len(packet), 1, 0, 64, 4, 0, bytes(8)) + packet)


@pytest.mark.parametrize("wrap", [vlan, pppoe, gre, ip_in_ip])
def test_tunnels(tmp_path, wrap):
    assert data_of(read(tmp_path, pcap([wrap(addressed(d)) for d in datagrams(PACKETS)]))) == PACKETS


@pytest.mark.parametrize("link", [105, 127])
@pytest.mark.parametrize("quality", [False, True])
def test_wifi_in_the_open_and_encrypted(tmp_path, link, quality):
    tap = struct.pack("<BBHI", 0, 0, 8, 0) if link == 127 else b""
    head = bytes([0x88 if quality else 0x08]) + b"\1" + bytes(22 + 2 * quality) + b"\xaa\xaa\3\0\0\0\x08\0"
    frames = [tap + head + addressed(d) for d in datagrams(PACKETS)]
    assert data_of(read(tmp_path, pcap(frames, link))) == PACKETS
    secret = [tap + head[:1] + b"\x41" + head[2:] + addressed(d) for d in datagrams(PACKETS)]
    with pytest.raises(InputError, match="but 40 encrypted Wi-Fi frames"):
        read(tmp_path, pcap(secret, link))


def channel(payload):
    return struct.pack(">HH", 0x4001, len(payload)) + payload + bytes(-len(payload) % 4)


def indication(payload):
    attribute = struct.pack(">HH", 0x13, len(payload)) + payload + bytes(-len(payload) % 4)
    return struct.pack(">HHI12s", 0x17, len(attribute), 0x2112A442, bytes(12)) + attribute


@pytest.mark.parametrize("relay", [channel, indication])
def test_what_a_relay_carries(tmp_path, relay):
    assert data_of(read(tmp_path, pcap([frame(RAW, addressed(relay(d))) for d in datagrams(PACKETS)], RAW))) == PACKETS


@pytest.mark.parametrize("tick", [6, 9, 0x80 | 20])
def test_interfaces_of_one_pcapng_have_their_own_link_types_and_clocks(tmp_path, tick):
    out = _block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    option = struct.pack("<HHB3xHH", 9, 1, tick, 0, 0)
    out += _block(1, struct.pack("<HHI", ETHERNET, 0, 65535)) + _block(1, struct.pack("<HHI", RAW, 0, 65535) + option)
    scale = {6: 1e6, 9: 1e9, 0x80 | 20: 2.0**20}[tick]
    for i, datagram in enumerate(datagrams(PACKETS)):
        second = i % 2
        packet = addressed(datagram) if second else frame(ETHERNET, addressed(datagram))
        time = int((100 + 0.02 * i) * (scale if second else 1e6))
        head = struct.pack("<IIIII", second, time >> 32, time & 0xFFFFFFFF, len(packet), len(packet))
        out += _block(6, head + packet + bytes(-len(packet) % 4))
    capture = read(tmp_path, out)
    assert data_of(capture) == PACKETS
    assert all(abs(p.time_s - 100 - 0.02 * i) < 1e-5 for i, p in enumerate(capture.packets))


# Why nothing was found -----------------------------------------------------------------------------


def cut(frames, size):
    """A pcap whose frames were cut by `tcpdump -s`."""
    out = pcap([])
    for data in frames:
        out += struct.pack("<IIII", 1, 0, min(size, len(data)), len(data)) + data[:size]
    return out


WHYS = {
    "tcpdump -s": (cut([frame(ETHERNET, addressed(d)) for d in datagrams(PACKETS)], 56), "40 frames cut off by"),
    "tcp": (pcap([frame(ETHERNET, udp4(b"", protocol=6)) for _ in range(3)]), "3 frames without UDP"),
    "link": (pcap([b"abc"] * 2, 147), "2 frames of link type 147"),
    "dtls": (pcap([frame(ETHERNET, addressed(b"\x17" + bytes(30)))]), r"1 DTLS datagrams \(keys\)"),
    "stun": (pcap([frame(ETHERNET, addressed(b"\0\1\0\0\x21\x12\xa4\x42" + bytes(12)))]), "1 STUN datagrams"),
    "rtcp": (pcap([frame(ETHERNET, addressed(b"\x80\xc8\0\1" + bytes(4)))]), "1 datagrams of RTCP"),
    "pcmu": (pcap([frame(ETHERNET, addressed(rtp.build(1, 1, 1, b"a", payload_type=0)))]), "1 datagrams of other"),
    "headers": (rtpdump([])[:44] + struct.pack(">HHI", 20, 60, 0) + bytes(12), "1 records cut off by the recorder"),
    "ascii": (b"0.000000 RTP len=55 from=10.0.0.1:5004 v=2\n", "rtpdump's text, which holds no packets"),
    "flac": (b"fLaC" + bytes(40), "a FLAC file"),
    "sdp": (b"v=0\r\no=- 0 0 IN IP4 1.2.3.4\r\n", "an SDP file"),
}


@pytest.mark.parametrize("name", WHYS)
def test_when_nothing_is_found_the_reasons_are_told(tmp_path, name):
    data, words = WHYS[name]
    with pytest.raises(InputError, match=words) as caught:
        read(tmp_path, data)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


# Packing and pipes ---------------------------------------------------------------------------------


def test_gzip_and_pipes(tmp_path):
    data = pcap([frame(ETHERNET, addressed(d)) for d in datagrams(PACKETS)])
    packed = gzip.compress(data)
    assert data_of(read(tmp_path, packed)) == PACKETS
    short = read(tmp_path, packed[: len(packed) - 20])
    assert data_of(short) == PACKETS[: len(short.packets)] and "cut short" in short.notes[0]
    os.mkfifo(tmp_path / "fifo")
    writer = threading.Thread(target=lambda: (tmp_path / "fifo").write_bytes(packed))
    writer.start()
    assert data_of(read_capture(tmp_path / "fifo")) == PACKETS
    writer.join()


# Ogg -----------------------------------------------------------------------------------------------


def page(serial, number, flags, position, packets):
    lacing = b"".join(b"\xff" * (len(p) // 255) + bytes([len(p) % 255]) for p in packets)
    raw = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, position, serial, number, 0, len(lacing)) + lacing
    raw += b"".join(packets)
    return raw[:22] + struct.pack("<I", ogg.crc(raw)) + raw[26:]


def link(packets, serial=1, each=4, head=b"OpusHead\1\1" + bytes(9)):
    pages = [page(serial, 0, 2, 0, [head]), page(serial, 1, 0, 0, [b"OpusTags" + bytes(8)])]
    for n in range(0, len(packets), each):
        pages.append(page(serial, 2 + n // each, 0, 960 * (n + each), packets[n : n + each]))
    return pages


@pytest.mark.parametrize("serials", [(1, 2), (1, 1), (5, 4, 5)])
def test_links_that_follow_each_other_are_one_stream(tmp_path, serials):
    capture = read(tmp_path, b"".join(b"".join(link(PACKETS, serial)) for serial in serials))
    assert data_of(capture) == PACKETS * len(serials) and capture.lost == 0
    assert [p.timestamp for p in capture.packets] == [960 * n for n in range(40 * len(serials))]
    assert f"{len(serials)} links follow each other" in capture.notes[-1]


@pytest.mark.parametrize("harm", ["lost", "damaged", "lost twice", "head of tags lost"])
def test_pages_cost_their_packets_and_the_time_stays(tmp_path, harm):
    pages = link(PACKETS)
    gone = {"lost": [5], "damaged": [5], "lost twice": [5, 6], "head of tags lost": [1]}[harm]
    for number in reversed(gone):
        if harm == "damaged":
            pages[number] = pages[number][:-1] + bytes([pages[number][-1] ^ 1])
        else:
            del pages[number]
    capture = read(tmp_path, b"".join(pages))
    missing = set(range(4 * (gone[0] - 2), 4 * (gone[-1] - 1))) if gone[0] > 1 else set()
    assert data_of(capture) == [p for n, p in enumerate(PACKETS) if n not in missing]
    assert [p.timestamp for p in capture.packets] == [960 * n for n in range(40) if n not in missing]
    assert capture.lost == len(missing)


def test_what_lies_between_and_behind_pages_is_passed_over(tmp_path):
    pages = link(PACKETS)
    data = b"junk" + b"".join(pages[:3]) + b"OggS damaged" + b"".join(pages[3:]) + b"TAG" + bytes(125)
    assert data_of(read(tmp_path, b"".join(pages) + b"TAG" + bytes(125))) == PACKETS
    capture = read(tmp_path, data[4:])
    assert data_of(capture) == PACKETS and "bytes that belong to no page" in capture.notes[0]


def test_a_packet_of_speech_may_look_like_tags(tmp_path):
    packets = [*PACKETS[:8], b"OpusTags is audio", *PACKETS[9:]]
    assert data_of(read(tmp_path, b"".join(link(packets)))) == packets


def test_multistream_is_refused_with_its_channels(tmp_path):
    head = b"OpusHead\1\6" + bytes(8) + bytes([1, 4, 2, 0, 4, 1, 2, 3, 5])
    with pytest.raises(InputError, match=r"Opus multistream, 6 channels in 4 streams \(mapping family 1\)"):
        read(tmp_path, b"".join(link(PACKETS, head=head)))


def test_two_streams_side_by_side_give_the_first(tmp_path):
    one, two = link(PACKETS, 1), link(PACKETS[::-1], 2)
    mixed = [one[0], two[0], one[1], two[1], *(p for pair in zip(one[2:], two[2:], strict=True) for p in pair)]
    capture = read(tmp_path, b"".join(mixed))
    assert data_of(capture) == PACKETS and "1 other streams" in capture.notes[-1]
    assert capture.ssrc is None

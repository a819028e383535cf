# SPDX-License-Identifier: BSD-2-Clause
"""RFC 2198 on the wire, bit by bit, and what a receiver makes of it whatever comes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dredge_device import rtp
from dredge_host.evaluation.methods.redundant import (
    COPIES,
    MAX_BYTES,
    MAX_OFFSET,
    RED_PAYLOAD_TYPE,
    Block,
    RedReceiver,
    RedSender,
    build_red,
    parse_red,
)
from dredge_host.sending.sender import Packet, Split

blocks = st.builds(Block, st.integers(0, 127), st.integers(0, MAX_OFFSET), st.binary(max_size=60))
primaries = st.builds(Block, st.integers(0, 127), st.just(0), st.binary(max_size=60))


class Numbered:
    """A sender whose packets are their own number, so many bytes long."""

    lookahead, ssrc, first_sequence = 104, 0xABCD, 65534

    def __init__(self, size=5):
        self.index, self.size = 0, size

    def push(self, pcm):
        payload = bytes([self.index]) * self.size
        data = rtp.build(self.first_sequence + self.index, 960 * self.index, self.ssrc, payload, marker=self.index == 0)
        self.index += 1
        return Packet(data, Split(self.size, 0, 0, 40), self.index - 1)


class Collector:
    """A receiver that keeps what it is given."""

    def __init__(self):
        self.given = []

    def push(self, datagram, now_us):
        self.given.append((datagram, now_us))

    def pull(self):
        return "pulled"

    def announce(self, ssrc, sequence):
        self.given.append((ssrc, sequence))


def test_the_bits_of_a_block_header():
    """RFC 2198 section 3: F 1 bit, type 7, offset 14, length 10; the last header has type only."""
    payload = build_red([Block(111, 960, b"ab"), Block(96, 0, b"xyz")])
    assert payload == bytes([0x80 | 111, 960 >> 6, (960 & 63) << 2 | 0, 2, 96]) + b"abxyz"


@given(st.lists(blocks, max_size=6), primaries)
def test_what_is_built_is_parsed(copies, primary):
    assert parse_red(build_red([*copies, primary])) == [*copies, primary]


@given(st.binary(max_size=80))
def test_any_bytes_are_blocks_or_refused(payload):
    try:
        found = parse_red(payload)
    except ValueError:
        return
    assert build_red(found) == payload


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "no primary block"),
        (bytes([0x80 | 111, 0, 0]), "inside a block header"),
        (bytes([0x80 | 111, 0, 0, 1]), "no primary block"),
        (bytes([0x80 | 111, 0, 0, 9, 111]) + b"short", "9 bytes is longer than the 5 bytes"),
    ],
)
def test_cut_payloads(payload, message):
    with pytest.raises(ValueError, match=message):
        parse_red(payload)


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        [Block(111, MAX_OFFSET + 1, b""), Block(111, 0, b"")],
        [Block(111, 1, bytes(MAX_BYTES + 1)), Block(111, 0, b"")],
        [Block(128, 1, b""), Block(111, 0, b"")],
        [Block(128, 0, b"")],
    ],
)
def test_what_the_fields_cannot_hold_is_not_built(wrong):
    with pytest.raises(ValueError):
        build_red(wrong)


def sent(count, size=5):
    sender = RedSender(Numbered(size))
    return [sender.push(np.zeros(320, np.int16)) for _ in range(count)]


def test_every_packet_carries_the_two_before_it():
    packets = [rtp.parse(packet.data) for packet in sent(4)]
    assert {p.payload_type for p in packets} == {RED_PAYLOAD_TYPE}
    assert [p.sequence for p in packets] == [65534, 65535, 0, 1] and packets[0].marker
    last = parse_red(packets[3].payload)
    assert [(b.offset, b.data[0]) for b in last] == [(1920, 1), (960, 2), (0, 3)]
    assert {b.payload_type for b in last} == {rtp.PAYLOAD_TYPE}
    assert [len(parse_red(p.payload)) for p in packets] == [1, 2, 3, 3]


def test_the_copies_are_what_a_packet_grew_by():
    packet = sent(3)[2]
    assert packet.split == Split(5, 0, 0, 40)
    assert len(packet.data) + 28 - packet.split.total == COPIES * (4 + 5) + 1


def test_payloads_that_the_length_cannot_describe_are_not_repeated():
    packets = sent(3, MAX_BYTES + 1)
    assert all(len(parse_red(rtp.parse(p.data).payload)) == 1 for p in packets)


def received(datagrams):
    inner = Collector()
    receiver = RedReceiver(inner)
    for datagram in datagrams:
        receiver.push(datagram, 1.5)
    return receiver, [rtp.parse(data) for data, _ in inner.given]


def test_a_packet_brings_back_the_two_lost_ones_before_it():
    packets = sent(4)
    _, found = received([packets[0].data, packets[3].data])
    assert [(p.sequence, p.timestamp, p.payload[0]) for p in found] == [
        (65534, 0, 0), (65535, 960, 1), (0, 1920, 2), (1, 2880, 3)
    ]  # fmt: skip
    assert {p.payload_type for p in found} == {rtp.PAYLOAD_TYPE} and {p.ssrc for p in found} == {0xABCD}


def test_other_packets_pass_untouched():
    inner = Collector()
    receiver = RedReceiver(inner)
    plain = rtp.build(7, 0, 1, b"plain")
    receiver.announce(1, 7)
    receiver.push(plain, 0.5)
    receiver.push(b"noise", 0.6)
    assert inner.given == [(1, 7), (plain, 0.5), (b"noise", 0.6)] and receiver.pull() == "pulled"


def red(*copies):
    return rtp.build(100, 96000, 1, build_red([*copies, Block(111, 0, b"own")]), RED_PAYLOAD_TYPE)


@pytest.mark.parametrize("copy", [Block(111, 0, b"x"), Block(111, 961, b"x"), Block(111, 960, b"")])
def test_copies_of_no_packet_period_are_left_out(copy):
    _, found = received([red(copy)])
    assert [p.payload for p in found] == [b"own"]


def test_copies_are_given_the_oldest_first():
    _, found = received([red(Block(111, 960, b"new"), Block(111, 2880, b"old"))])
    assert [(p.sequence, p.payload) for p in found] == [(97, b"old"), (99, b"new"), (100, b"own")]


def test_malformed_ones_are_counted():
    receiver, found = received([rtp.build(1, 0, 1, b"\xff\xff", RED_PAYLOAD_TYPE)])
    assert receiver.malformed == 1 and found == []


@given(st.binary(max_size=100), st.booleans())
def test_nothing_makes_it_raise(payload, framed):
    receiver = RedReceiver(Collector())
    receiver.push(rtp.build(1, 0, 1, payload, RED_PAYLOAD_TYPE) if framed else payload, 0.0)

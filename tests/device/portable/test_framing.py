# SPDX-License-Identifier: BSD-2-Clause
"""COBS frames with CRC-32: exact, equal to the library, and never fooled by a bad line."""

import binascii
import random
import struct

import pytest
from cobs import cobs as oracle
from hypothesis import given
from hypothesis import strategies as st

from dredge_device.framing import MAX_DATAGRAM, OVERHEAD, Deframer, Framer, stuff, unstuff

BLOBS = st.binary(max_size=700) | st.integers(0, 600).map(lambda n: b"\7" * n) | st.integers(0, 600).map(bytes)


@given(BLOBS)
def test_stuffing_equals_the_library_and_comes_back(data):
    stuffed = stuff(data)
    assert stuffed == oracle.encode(data)
    assert 0 not in stuffed
    assert unstuff(stuffed) == data == oracle.decode(stuffed)


@pytest.mark.parametrize("size", [0, 1, 253, 254, 255, 507, 508, 509, 762])
@pytest.mark.parametrize("tail", [b"", b"\0", b"\0\0", b"\0x"])
def test_runs_around_the_code_limit(size, tail):
    data = b"a" * size + tail
    assert stuff(data) == oracle.encode(data)
    assert unstuff(stuff(data)) == data


@given(st.binary(max_size=300))
def test_unstuffing_any_bytes_agrees_with_the_library(frame):
    try:
        expected = oracle.decode(frame)
    except oracle.DecodeError:
        with pytest.raises(ValueError, match="COBS code"):
            unstuff(frame)
    else:
        assert unstuff(frame) == expected


def test_layout_of_a_frame():
    framer = Framer()
    framer.frame(b"first")
    line = framer.frame(b"hi\0")
    body = b"\0\1hi\0"
    assert line == b"\0" + stuff(body + struct.pack(">I", binascii.crc32(body))) + b"\0"


@given(st.lists(BLOBS, max_size=12), st.randoms(use_true_random=False))
def test_any_cut_of_the_line_gives_all_datagrams(datagrams, dice):
    framer, deframer = Framer(), Deframer()
    line = b"".join(framer.frame(datagram) for datagram in datagrams)
    got = []
    while line:
        size = dice.randint(1, 90)
        got += deframer.feed(line[:size])
        line = line[size:]
    assert got == datagrams
    assert deframer.counters() == {
        "frames": len(datagrams), "damaged": 0, "overlong": 0, "missed": 0, "repeated": 0,
    }  # fmt: skip


def test_overhead_is_what_it_says():
    assert len(Framer().frame(b"\1" * 200)) == 200 + OVERHEAD + 1  # plus the COBS code byte


def test_too_long_datagrams_are_refused():
    Framer().frame(bytes(MAX_DATAGRAM))
    with pytest.raises(ValueError, match="2049 bytes is longer than 2048"):
        Framer().frame(bytes(MAX_DATAGRAM + 1))


@pytest.mark.parametrize("position", range(len(Framer().frame(b"speech \0 of 14"))))
@pytest.mark.parametrize("bit", [0, 7])
def test_every_flipped_bit_costs_one_frame_and_not_the_next(position, bit):
    framer, deframer = Framer(), Deframer()
    bad = bytearray(framer.frame(b"speech \0 of 14"))
    good = framer.frame(b"next")
    bad[position] ^= 1 << bit
    got = deframer.feed(bytes(bad) + good)
    if position in (0, len(bad) - 1):  # a damaged delimiter: the two of the next frame remain
        assert got in ([b"next"], [b"speech \0 of 14", b"next"])
    else:
        assert got == [b"next"] and deframer.missed == 0 and deframer.damaged + deframer.frames >= 2


def test_missing_and_repeated_numbers_are_counted():
    framer, deframer = Framer(), Deframer()
    lines = [framer.frame(bytes([n])) for n in range(10)]
    for n in (0, 1, 4, 4, 9):
        deframer.feed(lines[n])
    assert (deframer.frames, deframer.missed, deframer.repeated) == (5, 6, 1)


def test_the_other_end_may_start_again():
    deframer, old = Deframer(), Framer()
    for _ in range(1000):
        deframer.feed(old.frame(b"x"))
    new = Framer()
    assert deframer.feed(new.frame(b"hello")) == [b"hello"]
    assert deframer.feed(new.frame(b"again")) == [b"again"]
    assert (deframer.missed, deframer.repeated) == (0, 0)


def test_numbers_wrap_around():
    framer, deframer = Framer(), Deframer()
    for _ in range(65600):
        line = framer.frame(b"")
    deframer.feed(line)
    for _ in range(70000):
        assert deframer.feed(framer.frame(b"")) == [b""]
    assert deframer.missed == 0


def test_noise_without_delimiters_takes_no_memory():
    deframer = Deframer()
    for _ in range(1000):
        deframer.feed(b"\x55" * 1000)
    assert len(deframer._part) <= MAX_DATAGRAM + 22
    assert deframer.feed(b"\0" + Framer().frame(b"ok")) == [b"ok"]
    assert deframer.overlong == 1


def test_random_noise_never_becomes_a_datagram():
    """32 bits of CRC: among 20,000 random frames one false datagram has odds of 5 in a million."""
    dice, deframer = random.Random(5), Deframer()
    assert deframer.feed(bytes(dice.randrange(256) for _ in range(500_000))) == []
    assert deframer.damaged > 1000


@given(st.binary(max_size=3000), st.lists(st.integers(1, 500), max_size=20))
def test_a_frame_after_noise_is_heard(noise, cuts):
    deframer = Deframer()
    for cut in cuts:
        deframer.feed(noise[:cut])
        noise = noise[cut:]
    assert deframer.feed(Framer().frame(b"there you are"))[-1:] == [b"there you are"]

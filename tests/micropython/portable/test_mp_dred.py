# SPDX-License-Identifier: BSD-2-Clause
# What the probe reads in packets, against packets and headers written by the product's own encoder
# (test_under_micropython.py makes sure they are).
import json

from dredge_board import dred_header, padding

VECTORS = __file__.rpartition("/")[0] + "/dred_vectors.json"


def unhex(text):
    return bytes(int(text[i : i + 2], 16) for i in range(0, len(text), 2))


def load():
    with open(VECTORS) as file:
        return json.load(file)


def test_headers_are_read():
    for vector in load()["packets"]:
        packet = unhex(vector["packet"])
        start, stop = padding.find_dred(packet)
        head = dred_header.read(packet, start, stop)
        got = [head.version, head.q0, head.slope, head.offset, head.latents, head.span_ms]
        assert got == vector["head"], (got, vector["head"])
    return len(load()["packets"])


def test_packets_without_redundancy():
    for text in load()["without"]:
        assert padding.find_dred(unhex(text)) is None
    assert padding.find_dred(b"") is None


def test_contradictions_are_named():
    for packet, words in (
        (b"\x4b\x41", "ends inside its padding length"),
        (b"\x4b\x41\x20\x00", "padding of 32 bytes"),
        (b"\x4b\x41\x02\x41\xff", "ends inside its length"),
        (b"\x4b\x41\x03\x41\x09\x00", "does not fit the padding"),
    ):
        try:
            padding.find_dred(packet)
        except ValueError as error:
            assert words in str(error), error
        else:
            raise AssertionError("accepted: %r" % packet)
    for data in (b"", b"Dx", b"E\xd1\x00\x00"):
        try:
            dred_header.read(data, 0, len(data))
        except ValueError:
            continue
        raise AssertionError("accepted: %r" % data)


# Every prefix of a packet is read or refused, never more.
def test_cut_packets():
    packet = unhex(load()["packets"][0]["packet"])
    refused = 0
    for size in range(len(packet)):
        try:
            place = padding.find_dred(packet, 0, size)
            if place is not None:
                dred_header.read(packet, place[0], place[1])
        except ValueError:
            refused += 1
    assert refused > 0

# SPDX-License-Identifier: BSD-2-Clause
"""Inside a media packet: Opus framing, padding extensions, LBRR flags, the range coder, DRED payloads and features."""

from __future__ import annotations

import functools
import random

import numpy as np
from fuzz_packets import DIMENSIONS, Dice, Fuzzer, random_tables, valid_payload
from speech_packets import encode, speech
from target import Broken, Plan, Target, check, piece

from dredge_kernels.extensions import (
    MAX_ID,
    MIN_ID,
    Extension,
    add_extension,
    build_extensions,
    parse_extensions,
    read_extensions,
    strip_padding,
)
from dredge_kernels.framing import build_packet, parse_packet
from dredge_kernels.laplace import decode_laplace
from dredge_kernels.lbrr import packet_has_lbrr
from dredge_kernels.payload import parse_header
from dredge_kernels.rangecoder import MAX_TOTAL, RangeDecoder
from dredge_kernels.tables import QuantTables
from dredge_models.dred import DRED_EXTENSION_ID, DredDecoder, DredEncoder

VERSIONS = tuple(DIMENSIONS)
MARK = b"D"


def run_packet(data: bytes) -> bool:
    """All parsers agree on what a packet is, and what was read can be written and read again."""
    readers = (read_extensions, packet_has_lbrr, strip_padding)
    try:
        packet = parse_packet(data)
    except ValueError:
        for reader in readers:
            check(_refuses(reader, data), f"{reader.__name__} accepts what parse_packet refuses")
        return False
    for reader in readers[1:]:
        reader(data)
    _refuses(read_extensions, data)
    check(sum(map(len, packet.frames)) + len(packet.padding or b"") < len(data), "more bytes than there are")
    again = parse_packet(build_packet(packet.toc, packet.frames, packet.padding))
    check((again.frames, again.padding) == (packet.frames, packet.padding), "a packet built again reads differently")
    check(parse_packet(strip_padding(data)).frames == packet.frames, "stripping the padding changed the frames")
    return True


def _refuses(reader, data: bytes) -> bool:  # type: ignore[no-untyped-def]
    try:
        reader(data)
    except ValueError:
        return True
    return False


def seeds_packet() -> list[bytes]:
    found = [build_packet(0x48, [b"abc"]), build_packet(0x48, [b"abc", b"def"]), build_packet(0x4C, [b"a", b"bcd"])]
    found += [build_packet(0x08, [b"x" * 260, b"", b"yz"], b"pad" * 100), build_packet(0x48, [b"q"] * 3, b"")]
    return [*found, encode(lbrr=True, loss_pct=20, seconds=0.2)[-1], encode(frame_ms=60, seconds=0.2)[0]]


def run_extensions(data: bytes) -> bool:
    """Raw padding bytes, and lists of extensions that must come back from the packet they were put into."""
    plan = Plan(data)
    frames = 1 + plan.below(6)
    if plan.below(2):
        return _padding(plan.rest(), frames)
    packet, put = build_packet(0x48, [b"f"] * frames), []
    while plan and len(put) < 40:
        ident, frame = MIN_ID + plan.below(MAX_ID - MIN_ID + 1), plan.below(frames)
        body = plan.piece()[: 1 if ident < 32 else None]
        put.append(Extension(ident, frame, body))
        packet = add_extension(packet, ident, body, frame)
    expected = sorted(put, key=lambda extension: extension.frame)
    check(read_extensions(packet) == expected, "extensions that were put in are not found")
    return bool(put)


def _padding(data: bytes, frames: int) -> bool:
    try:
        found = parse_extensions(data, frames)
    except ValueError:
        return False
    check(all(MIN_ID <= e.id <= MAX_ID and 0 <= e.frame < frames for e in found), "an impossible extension")
    again = parse_extensions(build_extensions(found, frames), frames)
    check(again == sorted(found, key=lambda e: e.frame), "extensions written again read differently")
    return True


def seeds_extensions() -> list[bytes]:
    put = bytes([2, 0, 124, 0]) + piece(b"D\xd1data") + bytes([3, 1]) + piece(b"x") + bytes([60, 2]) + piece(b"y" * 300)
    padding = build_extensions([Extension(5, 0, b"a"), Extension(40, 1, b"b" * 260), Extension(126, 3, b"end")], 4)
    return [put, bytes([3, 1]) + padding, bytes([3, 1, 1, 1, 3, 3, 0xFF])]


@functools.cache
def tables() -> dict[int, list[QuantTables]]:
    """Legal tables of every version, extremes included; the same in every run."""
    return {version: [random_tables(Dice(version + k), version) for k in range(3)] for version in VERSIONS}


class Checker(Fuzzer):
    """The checks of fuzz_packets, one payload at a time."""

    def __init__(self) -> None:
        self.rng = Dice(0)
        self.counts = {"refused payloads": 0, "latents": 0}


def run_payload(data: bytes) -> bool:
    """Refused with a sentence, or everything in range, finite and codable again."""
    plan, checker = Plan(data), Checker()
    version, which = VERSIONS[plan.below(len(VERSIONS))], plan.below(3)
    checker.rng.below = lambda n: 0  # type: ignore[method-assign]  # every check on every input
    payload = plan.rest()
    checker.decode(payload, tables()[version][which])
    header_bad = _refuses(lambda p: parse_header(p, version), payload)
    if header_bad and not checker.counts["refused payloads"]:
        raise Broken("a payload is decoded although its header is refused")
    return checker.counts["latents"] > 0


def seeds_payload() -> list[bytes]:
    found = []
    for index, version in enumerate(VERSIONS):
        for which in (0, 2):
            found.append(bytes([index, which]) + valid_payload(Dice(7 * version + which), tables()[version][which]))
    return found


def run_rangecoder(data: bytes) -> bool:
    """Any questions to the decoder about any bytes: answers in range, never more bits than asked for."""
    plan = Plan(data)
    decoder, used = RangeDecoder(plan.piece()), 0
    while plan and used < 2000:
        used += 1
        kind, total = plan.below(3), 1 + plan.number(2) % MAX_TOTAL
        if kind == 0:
            check(0 <= decoder.decode_uniform(total) < total, "a number beyond its limit")
        elif kind == 1:
            first = decoder.peek(total)
            check(0 <= first < total, "a value beyond its total")
            decoder.take(first, first + 1, total)
        else:
            value = decode_laplace(decoder, plan.below(256), 1 + plan.below(255))
            check(abs(value) < 1 << 20, "a magnitude without end")
        decoder.tell()
    return used > 0


def seeds_rangecoder() -> list[bytes]:
    source = random.Random(1)
    noise = piece(source.randbytes(40)) + source.randbytes(60)
    return [noise, piece(b"") + bytes(30), piece(b"\xff" * 30) + b"\3ab" * 20]


@functools.cache
def decoder() -> DredDecoder:
    """The shipped model."""
    return DredDecoder()


def run_dred(data: bytes) -> bool:
    """Extension data through the shipped decoder: features finite and within speech, in any order of asking."""
    plan = Plan(data)
    asked, prefix = plan.number(), plan.below(4)
    body = plan.rest()
    try:
        packet = decoder().parse(MARK + b"\xd1" + body if prefix else body)
    except ValueError:
        return False
    first = decoder().features(packet, min(asked, packet.span_frames, 24))
    check(first.dtype == np.float32 and first.shape == (min(asked, packet.span_frames, 24), 20), "a wrong shape")
    check(bool(np.isfinite(first).all()) and float(np.abs(first).max(initial=0)) <= 20, "features beyond speech")
    check(np.array_equal(decoder().features(packet, len(first)), first), "asked again, the features differ")
    return True


@functools.cache
def dred_payload(seconds: float = 0.4) -> bytes:
    """Extension data of the bundled speech."""
    encoder = DredEncoder()
    for at in range(0, 16000, 320):
        encoder.push(speech()[at : at + 320])
    return encoder.payload(seconds)


def seeds_dred() -> list[bytes]:
    short = dred_payload(0.1)
    return [bytes([20, 1]) + dred_payload()[2:], bytes([7, 0]) + short, bytes([255, 1]) + short[2:]]


def dred_packet(number: int) -> bytes:
    """A real packet with DRED."""
    packets = encode(lbrr=True, loss_pct=20, seconds=0.6)
    return add_extension(packets[number % len(packets)], DRED_EXTENSION_ID, dred_payload(0.2))


TARGETS = (
    Target("packet", "Opus packets: framing, LBRR flag, padding", run_packet, seeds_packet, limit=4096, repeat=3000,
           native=True),
    Target("extensions", "extensions in Opus padding", run_extensions, seeds_extensions, limit=3000, repeat=2000,
           native=True),
    Target("payload", "DRED payloads, versions 10, 12 and 0xD1", run_payload, seeds_payload, limit=1100, repeat=1000,
           native=True),
    Target("rangecoder", "range decoder and Laplace symbols", run_rangecoder, seeds_rangecoder, limit=1100,
           repeat=1000, native=True),
    Target("dred", "DRED payloads to features (shipped model)", run_dred, seeds_dred, limit=1100, repeat=60,
           native=True),
)  # fmt: skip

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Feeds parsers and entropy decoder with hostile packets, vocoder and postfilter with hostile features and samples.

A packet of random bytes hardly ever reaches the entropy decoder, so the carrier is built: code 3, padding, extension
126, `D` and a version. `make fuzz` runs this against kernels built with AddressSanitizer and UBSan.

    python tests/fuzz/fuzz_packets.py --count 1000000 --seed 7
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import sys
import time

import numpy as np

from dredge_kernels.extensions import add_extension, read_extensions
from dredge_kernels.framing import build_packet, parse_packet
from dredge_kernels.lbrr import packet_has_lbrr
from dredge_kernels.payload import MAX_LATENTS, decode_payload, encode_symbols
from dredge_kernels.tables import QuantTables

DRED_ID = 126
DIMENSIONS = {10: (21, 19), 12: (25, 50), 0xD1: (24, 24)}
CHUNK = 1000                 # packets between two looks at the clock
HANG_S = 60                  # a chunk takes well below a second; after this the stack is printed and the run fails
INTERESTING = (0, 1, 0x7F, 0x80, 0xFE, 0xFF)


class Broken(AssertionError):
    """An answer that no input may cause."""


class Dice(random.Random):
    """random.Random with the one call this needs, faster."""

    def below(self, n: int) -> int:
        """0 to n - 1."""
        return int(self.random() * n)

    def one(self, values):  # type: ignore[no-untyped-def]
        """One of them."""
        return values[int(self.random() * len(values))]


def random_tables(rng: Dice, version: int) -> QuantTables:
    """Tables of any legal content, extremes included."""
    source = np.random.default_rng(rng.getrandbits(32))
    arrays = {}
    for part, dim in zip(("latent", "state"), DIMENSIONS[version], strict=True):
        for kind, low in (("scale", 0), ("dead_zone", 0), ("r", 0), ("p0", 1)):
            table = source.integers(low, 256, (16, dim))
            extreme = source.random((16, dim)) < 0.1
            table[extreme] = source.choice([low, 255], int(extreme.sum()))
            arrays[f"{part}_{kind}"] = table.astype(np.uint8)
    return QuantTables.from_arrays(version, arrays)


def valid_payload(rng: Dice, tables: QuantTables) -> bytes:
    """A payload as an encoder writes it."""
    n, q0, dq = 1 + rng.below(MAX_LATENTS), rng.below(16), rng.below(8)
    source = np.random.default_rng(rng.getrandbits(32))
    small = rng.one((1, 2, 9))
    latents = source.integers(-small, small + 1, (n, tables.latent_dim)).astype(np.int32)
    state = source.integers(-small, small + 1, tables.state_dim).astype(np.int32)
    zero = (tables.latent[2] == 0) | (tables.latent[3] == 255)
    latents[:, zero.any(0)] = 0
    state[(tables.state[2, q0] == 0) | (tables.state[3, q0] == 255)] = 0
    return encode_symbols(latents, state, tables, q0, dq, 15, rng.below(8192) - 8175)


class Fuzzer:
    """A deterministic stream of packets, and the check of each."""

    def __init__(self, seed: int) -> None:
        self.rng = Dice(seed)
        self.tables = {v: [random_tables(self.rng, v) for _ in range(4)] for v in DIMENSIONS}
        self.pool = [valid_payload(self.rng, self.rng.one(self.tables[v])) for v in DIMENSIONS for _ in range(200)]
        self.counts = {"packets": 0, "refused carriers": 0, "refused payloads": 0, "latents": 0, "voices": 0}

    def payload(self) -> bytes:
        """Random bytes, a valid payload, or a valid one changed, cut, extended or joined with another."""
        rng = self.rng
        kind = rng.below(10)
        if kind < 3:
            return rng.randbytes(rng.below(1000 if kind == 0 else 120))
        data = rng.one(self.pool)
        if kind < 6:
            return mutated(rng, data)
        if kind == 6:
            return data[: rng.below(len(data) + 1)]
        if kind == 7:
            return data[: rng.below(len(data))] + rng.randbytes(rng.below(40))
        if kind == 8:
            return bytes([rng.one(INTERESTING)]) * (1 + rng.below(199))
        return data

    def packet(self, version: int, payload: bytes) -> tuple[bytes, int]:
        """A carrier of 1 to 4 frames of any length, perhaps with filler and a second extension; and the frame."""
        rng = self.rng
        frames = [rng.randbytes(rng.below(30)) for _ in range(rng.one((1, 1, 1, 2, 3, 4)))]
        frame = rng.below(len(frames))
        packet = build_packet(rng.one((0x48, 0x08, 0x80, 0x4C)), frames)
        if rng.below(8) == 0:
            packet = add_extension(packet, 3 + rng.below(123), rng.randbytes(rng.below(2)), frame)
        return add_extension(packet, DRED_ID, b"D" + bytes([version]) + payload, frame), frame

    def step(self) -> None:
        """One packet."""
        rng = self.rng
        version = rng.one((10, 10, 12, 0xD1))
        payload = self.payload()
        packet, frame = self.packet(version, payload)
        whole = rng.below(5) > 0
        if not whole:
            packet = mutated(rng, packet)
        self.counts["packets"] += 1
        found = self.carried(packet, whole)
        if whole and (frame, b"D" + bytes([version]) + payload) not in found:
            raise Broken(f"the extension that was put in is not found in {packet.hex()}")
        for _, data in found:
            if data[:1] == b"D" and len(data) > 1 and data[1] in DIMENSIONS:
                self.decode(data[2:], rng.one(self.tables[data[1]]))

    def speak(self) -> None:
        """Vocoder and postfilter once each, on inputs near the seeds of their targets."""
        import targets_voice

        for target in targets_voice.TARGETS:
            data = mutated(self.rng, self.rng.one(target.seeds()))
            try:
                target.run(data)
            except Exception as error:
                raise Broken(f"{target.name} breaks on {data.hex()}: {error!r}") from error
            self.counts["voices"] += 1

    def carried(self, packet: bytes, whole: bool) -> list[tuple[int, bytes]]:
        """DRED extensions of a packet; all parsers must agree on whether it is well formed."""
        try:
            parsed = parse_packet(packet)
        except ValueError:
            if whole:
                raise
            self.counts["refused carriers"] += 1
            for reader in (read_extensions, packet_has_lbrr):
                must_refuse(reader, packet)
            return []
        packet_has_lbrr(packet)
        if sum(map(len, parsed.frames)) + len(parsed.padding or b"") >= len(packet):
            raise Broken(f"more bytes than there are in {packet.hex()}")
        try:
            return [(e.frame, e.data) for e in read_extensions(packet) if e.id == DRED_ID]
        except ValueError:
            if whole:
                raise
            return []

    def decode(self, payload: bytes, tables: QuantTables) -> None:
        """Either refused with a sentence, or everything in range and codable again."""
        try:
            got = decode_payload(payload, tables)
        except ValueError:
            self.counts["refused payloads"] += 1
            return
        self.counts["latents"] += len(got.latents)
        header = got.header
        good = 0 <= header.q0 <= header.qmax <= 15 and 0 <= header.dq <= 7 and -8175 <= header.offset <= 16
        if not good or len(got.latents) > MAX_LATENTS or len(got.tells) != len(got.latents) + 1:
            raise Broken(f"impossible header or count from {payload.hex()}")
        if self.rng.below(50) == 0 and len(got.latents):
            if not np.isfinite(got.latents).all() or not np.isfinite(got.state).all():
                raise Broken(f"values that are not finite from {payload.hex()}")
            self.recode(got, tables)

    def recode(self, got, tables: QuantTables) -> None:  # type: ignore[no-untyped-def]
        """What was decoded is coded again and decodes to the same symbols."""
        h = got.header
        try:
            again = encode_symbols(got.latent_symbols, got.state_symbols, tables, h.q0, h.dq, h.qmax, h.offset)
        except ValueError:
            return                 # symbols beyond what an encoder may send, or qmax = q0
        back = decode_payload(again, tables) if again else None
        if back is not None:
            n = min(len(back.latents), len(got.latents))
            if not np.array_equal(back.latent_symbols[:n], got.latent_symbols[:n]):
                raise Broken(f"coded again, {again.hex()} decodes to other symbols")


def must_refuse(reader, packet: bytes) -> None:  # type: ignore[no-untyped-def]
    """A packet that one parser refuses is refused by all."""
    try:
        reader(packet)
    except ValueError:
        return
    raise Broken(f"{reader.__name__} accepts {packet.hex()}, which parse_packet refuses")


def mutated(rng: Dice, data: bytes) -> bytes:
    """One to six bytes changed, removed or put in."""
    out = bytearray(data)
    for _ in range(1 + rng.below(6)):
        at = rng.below(len(out) + 1)
        action = rng.below(5)
        if action == 0:
            del out[at : at + 1 + rng.below(4)]
        elif action == 1:
            out[at:at] = rng.randbytes(1 + rng.below(4))
        elif at < len(out):
            out[at] = rng.one(INTERESTING) if action == 2 else rng.below(256)
    return bytes(out)


def run(fuzzer: Fuzzer, count: int, seconds: float = float("inf")) -> None:
    """Up to `count` packets or `seconds`. Broken on an impossible answer; a hang ends the process."""
    begin, shown = time.monotonic(), 0.0
    try:
        while fuzzer.counts["packets"] < count and time.monotonic() - begin < seconds:
            faulthandler.dump_traceback_later(HANG_S, exit=True)
            for _ in range(min(CHUNK, count - fuzzer.counts["packets"])):
                fuzzer.step()
            fuzzer.speak()
            if sys.stderr.isatty() and time.monotonic() - shown > 1:
                shown = time.monotonic()
                print(f"\r{fuzzer.counts['packets']} packets", end="", file=sys.stderr)
    finally:
        faulthandler.cancel_dump_traceback_later()  # a watch left behind would end the process that called us


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    given = parser.parse_args()
    seed = random.SystemRandom().getrandbits(32) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    fuzzer, begin, code = Fuzzer(seed), time.monotonic(), 0
    try:
        run(fuzzer, given.count, given.seconds)
    except KeyboardInterrupt:
        code = 130
    found = ", ".join(f"{value} {name}" for name, value in fuzzer.counts.items())
    print(f"{'interrupted: ' if code else ''}{found} in {time.monotonic() - begin:.0f} s")
    return code


if __name__ == "__main__":
    sys.exit(main())

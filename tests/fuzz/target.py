# SPDX-License-Identifier: BSD-2-Clause
"""What a fuzz target is: one function of bytes, and the seeds it starts from.

An input is read as a plan: a few bytes that say how the rest is wrapped, so that a checksum, a length or a key that
random bytes would never hit is put in by the target itself. Nothing here needs atheris.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS, FOUND = HERE / "corpus", HERE / "found"


class Broken(AssertionError):
    """An answer that no input may cause."""


def check(good: bool, text: str) -> None:
    """Broken with this text unless it is as it must be."""
    if not good:
        raise Broken(text)


@contextmanager
def in_file(data: bytes, name: str) -> Iterator[Path]:
    """A file of this name with these bytes, alone in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        yield path


@dataclass(frozen=True)
class Target:
    """One surface.

    run: feeds one input; True when it was accepted, False when it was refused as documented, any exception is a
    finding. seeds: inputs to start from, most of them accepted. words: tokens for a mutator. limit: longest input in
    bytes. repeat: how many random inputs the test suite gives it. native: its work is done by compiled kernels.
    """

    name: str
    surface: str
    run: Callable[[bytes], bool]
    seeds: Callable[[], list[bytes]]
    words: tuple[bytes, ...] = ()
    limit: int = 4096
    repeat: int = 200
    native: bool = False

    def files(self) -> list[Path]:
        """Corpus and found cases in the repository."""
        return sorted(p for folder in (CORPUS, FOUND) for p in (folder / self.name).glob("*") if p.is_file())


class Plan:
    """Reads an input from the front; behind its end everything is zero or empty."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, size: int) -> bytes:
        """Up to `size` bytes."""
        part = self._data[self._at : self._at + size]
        self._at += len(part)
        return part

    def number(self, size: int = 1) -> int:
        """An unsigned integer of `size` bytes, big endian."""
        return int.from_bytes(self.take(size).ljust(size, b"\0"), "big")

    def below(self, limit: int) -> int:
        """0 to limit - 1, from one byte, or two beyond 256."""
        return self.number(1 if limit <= 256 else 2) % limit

    def piece(self) -> bytes:
        """Some bytes behind their length (`piece`, the function, writes it)."""
        size = self.number()
        return self.take(self.number(2) if size == 255 else size)

    def rest(self) -> bytes:
        """Everything left."""
        return self.take(len(self._data))


def piece(data: bytes) -> bytes:
    """The data behind its length, as Plan.piece reads it."""
    if len(data) < 255:
        return bytes([len(data)]) + data
    return b"\xff" + len(data).to_bytes(2, "big") + data


def mutated(rng: random.Random, data: bytes, words: tuple[bytes, ...] = ()) -> bytes:
    """A few bytes changed, removed, repeated or put in."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randint(0, len(out))
        action = rng.randrange(6)
        if action == 0:
            del out[at : at + rng.randint(1, 8)]
        elif action == 1:
            out[at:at] = rng.choice(words) if words and rng.random() < 0.7 else rng.randbytes(rng.randint(1, 4))
        elif action == 2:
            out[at:at] = out[at : at + rng.randint(1, 40)]
        elif at < len(out):
            out[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF)) if action == 3 else out[at] ^ 1 << rng.randrange(8)
    return bytes(out)

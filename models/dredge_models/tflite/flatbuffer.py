# SPDX-License-Identifier: BSD-2-Clause
"""Reads untrusted FlatBuffers files: every offset is checked to lie in the file before it is followed.

Format: the FlatBuffers internals document ("Tables", "Vectors"); offsets are 32 bits, little endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_SIZES = {"b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "f": 4, "q": 8, "Q": 8}


class FlatbufferError(ValueError):
    """An offset or a length points outside the file."""


class Table:
    """One table; fields are read by their number in the schema."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at
        back = _scalar(data, at, "i")
        vtable = at - back
        size = _scalar(data, vtable, "H")
        self._length = _scalar(data, vtable + 2, "H")
        if size < 4 or size % 2 or vtable + size > len(data) or self._length < 4 or at + self._length > len(data):
            raise FlatbufferError(f"the table at byte {at} does not fit the file")
        self._fields = struct.unpack_from(f"<{size // 2 - 2}H", data, vtable + 4)

    def present(self) -> set[int]:
        """Return the numbers of the fields that are not left at their default."""
        return {number for number, offset in enumerate(self._fields) if offset}

    def scalar(self, number: int, kind: str, default: int = 0) -> int:
        """Return an integer field; kind is a letter of the struct module."""
        at = self._place(number, _SIZES[kind])
        return default if at is None else int(_scalar(self._data, at, kind))

    def table(self, number: int) -> Table | None:
        """Return a table field."""
        at = self._follow(number)
        return None if at is None else Table(self._data, at)

    def numbers(self, number: int, kind: str) -> tuple[float, ...]:
        """Return a vector of numbers, empty when it is absent."""
        at = self._follow(number)
        if at is None:
            return ()
        count = _count(self._data, at, _SIZES[kind])
        return struct.unpack_from(f"<{count}{kind}", self._data, at + 4)

    def text(self, number: int) -> str:
        """Return a string of ASCII letters and signs; it must end with a zero byte, to which C++ reads it."""
        raw = self.raw(number)
        at = self._follow(number)
        closed = at is None or self._data[at + 4 + len(raw) : at + 5 + len(raw)] == b"\0"
        name = bytes(raw).decode("latin-1")
        if not closed or not (name.isascii() and name.isprintable()):
            raise FlatbufferError(f"field {number} of the table at byte {self._at} is no plain text")
        return name

    def raw(self, number: int) -> memoryview:
        """Return a vector of bytes."""
        at = self._follow(number)
        if at is None:
            return memoryview(b"")
        count = _count(self._data, at, 1)
        return memoryview(self._data)[at + 4 : at + 4 + count]

    def tables(self, number: int, most: int) -> list[Table]:
        """Return a vector of at most `most` tables."""
        at = self._follow(number)
        if at is None:
            return []
        count = _count(self._data, at, 4)
        if count > most:
            raise FlatbufferError(f"{count} tables in one vector, expected at most {most}")
        return [Table(self._data, place) for place in self._targets(at + 4, count)]

    def _targets(self, at: int, count: int) -> Iterator[int]:
        for place in range(at, at + 4 * count, 4):
            yield place + _scalar(self._data, place, "I")

    def _place(self, number: int, size: int) -> int | None:
        offset = self._fields[number] if number < len(self._fields) else 0
        if not offset:
            return None
        if offset < 4 or offset + size > self._length:
            raise FlatbufferError(f"field {number} of the table at byte {self._at} lies outside it")
        return self._at + offset

    def _follow(self, number: int) -> int | None:
        at = self._place(number, 4)
        return None if at is None else at + _scalar(self._data, at, "I")


def root(data: bytes, identifier: bytes) -> Table:
    """Return the root table. Raises FlatbufferError for another identifier."""
    if data[4:8] != identifier:
        raise FlatbufferError(f"expected the identifier {identifier.decode()}")
    return Table(data, _scalar(data, 0, "I"))


def _scalar(data: bytes, at: int, kind: str) -> int:
    size = _SIZES[kind]
    if at < 0 or at % size or at + size > len(data):
        raise FlatbufferError(f"{size} bytes at byte {at} are not in the file of {len(data)}")
    value: int = struct.unpack_from(f"<{kind}", data, at)[0]
    return value


def _count(data: bytes, at: int, size: int) -> int:
    count = _scalar(data, at, "I")
    if at + 4 + count * size > len(data):
        raise FlatbufferError(f"the vector at byte {at} promises {count} values")
    return count

# SPDX-License-Identifier: BSD-2-Clause
"""libopus weight blobs: records of a 64-byte header and data, one after the other (docs/reference/interop.md)."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HEADER = struct.Struct("<4siiii44s")
MAGIC = b"DNNw"
ALIGNMENT = 64               # data is padded to a multiple of it
MAX_FILE = 64 << 20          # far above any model of libopus (5 MB with all of them)

FLOAT, INDEX, _PACKED, INT8 = range(4)
DTYPES: dict[int, np.dtype] = {FLOAT: np.dtype("<f4"), INDEX: np.dtype("<i4"), INT8: np.dtype("i1")}
KINDS = {FLOAT: "float", INDEX: "index", INT8: "int8"}
_NAME = re.compile(rb"[A-Za-z0-9_]+")


class BlobError(ValueError):
    """A file is not a weight blob, is damaged, or lacks the records of a model."""


@dataclass(frozen=True, eq=False)
class Record:
    """One named array of a blob; `values` is one-dimensional: float32, int32 or int8."""

    name: str
    kind: int
    values: NDArray


def read_file(path: Path) -> bytes:
    """Return the bytes of a file that may be a blob. Raises BlobError when it is larger than MAX_FILE, OSError when it
    cannot be read.
    """
    size = path.stat().st_size
    if size > MAX_FILE:
        raise BlobError(f"{path.name}: expected a weight file of at most {MAX_FILE >> 20} MiB, got {size >> 20} MiB")
    return path.read_bytes()


def is_blob(data: bytes) -> bool:
    """Return whether a file begins like a weight blob."""
    return data[: len(MAGIC)] == MAGIC


def read_blob(data: bytes, source: str = "blob") -> dict[str, Record]:
    """Return all records of a blob by name. Raises BlobError naming the file and the record."""
    records: dict[str, Record] = {}
    at = 0
    if not data:
        raise BlobError(f"{source}: expected a weight blob, got an empty file")
    while at < len(data):
        where = f"{source}: record {len(records) + 1}"
        record, at = _record(data, at, where)
        if record.name in records:
            raise BlobError(f"{where} ({record.name}): a record of this name came before")
        records[record.name] = record
    return records


def _record(data: bytes, at: int, where: str) -> tuple[Record, int]:
    left = len(data) - at
    if left < HEADER.size:
        raise BlobError(f"{where}: expected a header of {HEADER.size} bytes, got the last {left} of the file")
    magic, version, kind, size, stored, raw = HEADER.unpack_from(data, at)
    if magic != MAGIC:
        raise BlobError(f"{where}: expected {MAGIC.decode()} at byte {at}, got {magic.hex(' ')}")
    name = _name(raw, where)
    where = f"{where} ({name})"
    if version != 0:
        raise BlobError(f"{where}: expected format version 0, got {version}")
    if kind not in DTYPES:
        known = ", ".join(f"{number} ({text})" for number, text in KINDS.items())
        raise BlobError(f"{where}: expected type {known}, got {kind}")
    if not 0 <= size <= stored < size + ALIGNMENT:
        raise BlobError(f"{where}: expected {size} bytes padded to a multiple of {ALIGNMENT}, got {stored}")
    if stored > left - HEADER.size:
        raise BlobError(f"{where}: expected {stored} bytes of data, got the last {left - HEADER.size} of the file")
    begin = at + HEADER.size
    return Record(name, kind, _values(data[begin : begin + size], kind, where)), begin + stored


def _name(raw: bytes, where: str) -> str:
    text, nul, _ = raw.partition(b"\0")
    if not nul or not _NAME.fullmatch(text):
        raise BlobError(f"{where}: expected a name of letters, digits and _, got {raw[:16]!r}")
    return text.decode()


def _values(data: bytes, kind: int, where: str) -> NDArray:
    dtype = DTYPES[kind]
    if len(data) % dtype.itemsize:
        raise BlobError(f"{where}: expected values of {dtype.itemsize} bytes, got {len(data)} bytes")
    values = np.frombuffer(data, dtype).astype(dtype.newbyteorder("="))
    if kind == FLOAT and not np.isfinite(values).all():
        raise BlobError(f"{where}: value {int(np.argmin(np.isfinite(values)))} is not finite")
    if kind == INT8 and (values == -128).any():
        raise BlobError(f"{where}: expected weights of -127 to 127, got -128")
    return values

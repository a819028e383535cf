# SPDX-License-Identifier: BSD-2-Clause
"""Reading of .npz files from any source: nothing is unpickled, and sizes in headers are checked before memory is
reserved.
"""

from __future__ import annotations

import io
import math
import struct
import tokenize
import zipfile
import zlib
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

LARGEST = 256 << 20          # bytes of all arrays together: some hundred times our largest model

# The errors of zipfile, zlib and the header's parser on damaged files; RuntimeError for encrypted ones.
_DAMAGED = (OSError, ValueError, TypeError, KeyError, IndexError, EOFError, RuntimeError, MemoryError, OverflowError,
            SyntaxError, tokenize.TokenError, struct.error, zipfile.BadZipFile, zlib.error)  # fmt: skip


def read_arrays(content: bytes, prefix: str = "") -> dict[str, NDArray]:
    """Return the arrays of an .npz by name, those whose names begin with `prefix`. Raises ValueError with a sentence
    for anything else.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [e for e in archive.infolist() if e.filename.endswith(".npy") and e.filename.startswith(prefix)]
            size = sum(entry.file_size for entry in entries)
            if size > LARGEST:
                raise ValueError(f"{size} bytes of arrays, expected at most {LARGEST}")
            return {entry.filename[:-4]: _array(archive, entry) for entry in entries}
    except _DAMAGED as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from None


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray:
    with archive.open(entry) as file:
        shape, fortran, dtype = _header(file)
        if dtype.hasobject or dtype.itemsize == 0:
            raise ValueError(f"{entry.filename}: expected numbers or text, got {dtype}")
        data = file.read()
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{entry.filename}: {list(shape)} of {dtype} does not take {len(data)} bytes")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C").copy()


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"expected .npy version 1 or 2, got {version[0]}")
    shape, fortran, dtype = (npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0)(file)
    return tuple(shape), bool(fortran), dtype

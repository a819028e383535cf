# SPDX-License-Identifier: BSD-2-Clause
"""The header of a WAV file in a stream that cannot be rewound."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from dredge_host.errors import InputError
from dredge_host.sending.audio import RATES

_PCM, _EXTENSIBLE = 1, 0xFFFE
_LONGEST = 1 << 20  # bytes of a chunk before the samples


@dataclass(frozen=True)
class Format:
    """The format of a stream: int16, little-endian, channels interleaved."""

    rate: int
    channels: int


def read_header(stream: BinaryIO, raw: Format) -> tuple[Format, bytes]:
    """Return the format of a stream, and the samples that were read with it; raw: its format without a WAV header.

    The size in the header is ignored, because programs that write into a pipe do not know it. Raises InputError
    for a WAV of another kind than 16-bit PCM.
    """
    head = stream.read(12)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return raw, head
    found: Format | None = None
    while True:
        name, size = _chunk(stream)
        if name == b"data":
            if found is None:
                raise InputError("the WAV stream has no format before its samples")
            return found, b""
        if size > _LONGEST:
            raise InputError(f"the WAV stream has {size} bytes of {name!r} before its samples, at most {_LONGEST} fit")
        body = stream.read(size + size % 2)
        if name == b"fmt ":
            found = _format(body)


def _chunk(stream: BinaryIO) -> tuple[bytes, int]:
    head = stream.read(8)
    if len(head) < 8:
        raise InputError("the WAV stream ends inside its header")
    return head[:4], struct.unpack("<I", head[4:])[0]


def _format(body: bytes) -> Format:
    if len(body) < 16:
        raise InputError("the WAV stream's format is cut short")
    kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if kind not in (_PCM, _EXTENSIBLE) or bits != 16 or not 1 <= channels <= 64 or not RATES[0] <= rate <= RATES[1]:
        raise InputError(
            f"the WAV stream has format {kind}, {bits} bits, {channels} channels, {rate} Hz; "
            "expected 16-bit PCM (ffmpeg: -c:a pcm_s16le)"
        )
    return Format(rate, channels)

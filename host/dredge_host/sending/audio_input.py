# SPDX-License-Identifier: BSD-2-Clause
"""Opening of audio files, links, FIFOs, standard input and unfinished recordings."""

from __future__ import annotations

import io
import os
import stat
import struct
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, BinaryIO

from dredge_device.pi.transport.errors import refusal
from dredge_host.errors import InputError

STDIN = "-"
_IN_MEMORY = 1 << 24  # bytes of a pipe that are kept in memory; longer input goes to a temporary file
_MOST_PIPED = 1 << 32  # most bytes read from a pipe or device, since /dev/zero has no end
_PIECE = 1 << 16
_MOST_CHUNKS = 1000
_HEAD = struct.Struct("<4sI")
_OGG_HEAD, _OGG_FIRST = 27, 2


@contextmanager
def open_input(
    path: str | os.PathLike[str], what: str = "an audio file"
) -> Iterator[tuple[IO[bytes], list[str]]]:
    """Yield a seekable file, and notes about repairs; what: its name in messages.

    A pipe, FIFO or device is read to its end first. Raises InputError for a file that is missing or unreadable.
    """
    name = os.fspath(path)
    file = _opened(name, what)
    with file:
        yield _repaired(file)


def _opened(name: str, what: str) -> IO[bytes]:
    if name == STDIN:
        return _standard_input(what)
    try:
        kind = os.stat(name).st_mode
        if stat.S_ISDIR(kind):
            raise InputError(f"{name}: this is a folder, expected {what}")
        if stat.S_ISREG(kind):
            return open(name, "rb")
        if stat.S_ISCHR(kind) and os.path.realpath(name) != os.devnull and _is_terminal(name):
            raise InputError(f"{name}: this is a terminal, expected a pipe or a file")
        with open(name, "rb", buffering=0) as source:
            return _kept(name, source)
    except FileNotFoundError:
        raise InputError(f"{name}: there is no such {what.partition(' ')[2]}") from None
    except OSError as error:
        raise InputError(refusal(error, name)) from None


def _standard_input(what: str) -> IO[bytes]:
    if sys.stdin is None or sys.stdin.closed:
        raise InputError(f"-: standard input is closed, expected {what} on it")
    source = sys.stdin.buffer
    if source.isatty():
        raise InputError(f"-: standard input is a terminal, expected {what} from a pipe (ffmpeg … -f wav - | dredge …)")
    return _kept(STDIN, source)


def _is_terminal(name: str) -> bool:
    handle = os.open(name, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        return os.isatty(handle)
    finally:
        os.close(handle)


def _kept(name: str, source: BinaryIO | Any) -> IO[bytes]:
    """Return a file with the whole content of a stream."""
    kept = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
    while piece := source.read(_PIECE):
        kept.write(piece)
        if kept.tell() > _MOST_PIPED:
            kept.close()
            raise InputError(f"{name}: expected at most {_MOST_PIPED >> 30} GiB from a pipe; make it a file first")
    kept.seek(0)
    return kept


def _repaired(file: IO[bytes]) -> tuple[IO[bytes], list[str]]:
    """Return a WAV with corrected lengths in its header, and notes; its recorder may have been killed or have written
    into a pipe.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    file.seek(0)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return file, []
    place = _samples_at(file, size)
    file.seek(0)
    if place is None:
        return file, []
    at, promised = place
    there = size - at
    if promised in (0, 0xFFFFFFFF) or promised > there:
        note = "" if promised == 0xFFFFFFFF else (
            f"the WAV header promises {promised} bytes of samples, read are the {there} that are there"
        )  # fmt: skip
        file.seek(0)
        begin = bytearray(file.read(at))
        begin[4:8] = struct.pack("<I", min(size - 8, 0xFFFFFFFF))
        begin[at - 4 : at] = struct.pack("<I", min(there, 0xFFFFFFFF))
        return io.BufferedReader(_Overlaid(bytes(begin), file)), [note] if note else []
    return file, []


def _samples_at(file: IO[bytes], size: int) -> tuple[int, int] | None:
    """Return the position of the samples of a WAV, and their size in its header; None without samples."""
    at = 12
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return None
        name, length = _HEAD.unpack(head)
        at += 8
        if name == b"data":
            return None if at >= size or (length == 0 and _are_chunks(file, at, size)) else (at, length)
        at += length + length % 2
    return None


def _are_chunks(file: IO[bytes], at: int, size: int) -> bool:
    """Return whether chunks with readable names fill the file from here, so that it holds no samples at all."""
    while at < size:
        file.seek(at)
        head = file.read(8)
        if len(head) < 8 or not head[:4].isalnum():
            return False
        at += 8 + _HEAD.unpack(head)[1]
        at += at % 2
    return at <= size + 1


def links_of(file: IO[bytes]) -> list[IO[bytes]]:
    """Return the files that follow each other in a chained Ogg file (RFC 3533 section 4), [file] for any other."""
    size = file.seek(0, os.SEEK_END)
    starts, at, begun = [0], 0, True
    while at < size:
        file.seek(at)
        head = file.read(_OGG_HEAD)
        lacing = file.read(head[-1]) if len(head) == _OGG_HEAD and head.startswith(b"OggS") else b""
        if not lacing:
            break
        first = bool(head[5] & _OGG_FIRST)
        if first and not begun:
            starts.append(at)
        begun = first
        at += _OGG_HEAD + len(lacing) + sum(lacing)
    file.seek(0)
    if len(starts) == 1:
        return [file]
    ends = [*starts[1:], size]
    return [io.BufferedReader(_Overlaid(b"", file, *span)) for span in zip(starts, ends, strict=True)]


class _Overlaid(io.RawIOBase):
    """A part of a file, from `first` to `end`, with other bytes at its beginning."""

    def __init__(self, begin: bytes, file: IO[bytes], first: int = 0, end: int | None = None) -> None:
        self._begin, self._file, self._first, self._at = begin, file, first, 0
        self._size = (file.seek(0, os.SEEK_END) if end is None else end) - first

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        if self._at < len(self._begin):
            data = self._begin[self._at : self._at + len(view)]
        else:
            self._file.seek(self._first + self._at)
            data = self._file.read(max(0, min(len(view), self._size - self._at)))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

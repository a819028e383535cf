# SPDX-License-Identifier: BSD-2-Clause
"""Opus packets of files of other programs; the content determines the format, not the name."""

from __future__ import annotations

import contextlib
import zlib
from pathlib import Path

from dredge_device.pi.transport.errors import refusal
from dredge_host.capture.packets import ANY, FORMATS, MAX_BYTES, Capture, Choice, Reader
from dredge_host.errors import InputError
from dredge_host.sending.audio_input import open_input

_GZIP = b"\x1f\x8b"
_GZIP_FORMAT = 31  # for zlib: the longest window, with gzip's head
_PIECE = 1 << 16
_OTHERS = (
    (b"RIFF", "a WAV file (simulate takes it)"),
    (b"fLaC", "a FLAC file (simulate takes it)"),
    (b"ID3", "an MP3 file"),
    (b"\x28\xb5\x2f\xfd", "a file packed by zstd (unpack it first)"),
    (b"\xfd7zXZ", "a file packed by xz (unpack it first)"),
    (b"v=0", "an SDP file, which only describes a stream"),
)


def read_capture(path: str | Path, choice: Choice = ANY) -> Capture:
    """Return the packets of a file, a FIFO or ``-``, which gzip may have packed; `choice` selects one of several
    streams.

    Raises InputError for a missing, damaged or empty file and for a stream that it does not have. A file that ends too
    early gives what is complete, with a note.
    """
    data, notes = _content(path)
    try:
        capture = _reader(data)(data, choice)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    if not capture.packets:
        why = capture.why_empty()
        raise InputError(f"{path}: no Opus packet in this {capture.format} file" + (f", but {why}" if why else ""))
    capture.notes[:0] = notes
    return capture


def _content(path: str | Path) -> tuple[bytes, list[str]]:
    """Return the bytes of a capture, decompressed, and the notes about them."""
    try:
        with open_input(path, "a capture file") as (file, notes):
            data = file.read(MAX_BYTES + 1)
            if data.startswith(_GZIP):
                data = _decompressed(data, notes)
    except OSError as error:
        raise InputError(refusal(error, path)) from None
    if len(data) > MAX_BYTES:
        raise InputError(f"{path}: expected a capture of at most {MAX_BYTES >> 20} MiB, got more")
    return data, notes


def _decompressed(data: bytes, notes: list[str]) -> bytes:
    """Return the decompressed data; if its end is missing or damaged, the beginning, with a note."""
    out, rest = bytearray(), data
    try:
        while rest.startswith(_GZIP) and len(out) <= MAX_BYTES:
            member = zlib.decompressobj(_GZIP_FORMAT)
            out += member.decompress(rest, MAX_BYTES + 1 - len(out))
            rest = member.unused_data
            if not member.eof and len(out) <= MAX_BYTES:
                raise zlib.error("cut short")
    except zlib.error:
        notes.append("the compressed file is damaged or cut short; read is what comes before")
    return bytes(out)


def is_capture(path: str | Path) -> bool:
    """Return whether a file is certainly a capture and not audio to be encoded; Ogg Opus may be either, .bit is decided
    by its name.
    """
    path = Path(path)
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_PIECE)
    except OSError:
        return False
    if head.startswith(_GZIP):
        with contextlib.suppress(zlib.error):
            head = zlib.decompressobj(_GZIP_FORMAT).decompress(head, _PIECE)
    return path.suffix.lower() == ".bit" or _magic(head[:16]) in ("pcap", "rtpdump", "container")


def _magic(head: bytes) -> str:
    from dredge_host.capture import containers, ogg, pcap, rtpdump

    if containers.kind_of(head):
        return "container"
    if pcap.is_pcap(head):
        return "pcap"
    if head.startswith(rtpdump.MAGIC):
        return "rtpdump"
    return "ogg" if head.startswith(ogg.MAGIC) else "bit"


def _reader(data: bytes) -> Reader:
    from dredge_host.capture import containers, ogg, opus_demo, pcap, rtpdump

    kind = _magic(data[:16])
    if kind == "bit" and (why := _known(data)):
        raise ValueError(f"{why}; expected {FORMATS}")
    readers: dict[str, Reader] = {
        "pcap": pcap.read, "rtpdump": rtpdump.read, "ogg": ogg.read, "bit": opus_demo.read,
        "container": containers.read,
    }  # fmt: skip
    return readers[kind]


def _known(data: bytes) -> str:
    """Return the name of a format that is often mistaken for a capture; empty for anything else."""
    line = data[:200].split(b"\n", 1)[0]
    if b" RTP len=" in line or b" RTCP len=" in line:
        return "rtpdump's text, which holds no packets (record with -F dump)"
    for magic, what in _OTHERS:
        if data.startswith(magic):
            return what
    return ""

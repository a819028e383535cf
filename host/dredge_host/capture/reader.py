# SPDX-License-Identifier: BSD-2-Clause
"""Opus packets out of files that other programs write; the content tells the format, not the name."""

from __future__ import annotations

from pathlib import Path

from dredge_host.capture.packets import MAX_BYTES, Capture, Reader
from dredge_host.errors import InputError


def read_capture(path: str | Path, ssrc: int | None = None) -> Capture:
    """Packets of a file; ssrc selects an RTP stream (the one with most packets by default).

    Raises InputError for a missing, damaged or empty file and for an SSRC that is not in it. A file that merely ends
    too early gives what is complete, with a note.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such capture file")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise InputError(f"{path}: expected a capture of at most {MAX_BYTES >> 20} MiB, got {size >> 20} MiB")
    data = path.read_bytes()
    try:
        capture = _reader(data)(data, ssrc)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    if not capture.packets:
        raise InputError(f"{path}: no Opus packet in this {capture.format} file")
    return capture


def is_capture(path: str | Path) -> bool:
    """Whether a file is a capture that cannot be mistaken for audio to be encoded (Ogg Opus can, .bit by its name)."""
    path = Path(path)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(16)
    return path.suffix.lower() == ".bit" or _magic(head) in ("pcap", "rtpdump")


def _magic(head: bytes) -> str:
    from dredge_host.capture import ogg, pcap, rtpdump

    if pcap.is_pcap(head):
        return "pcap"
    if head.startswith(rtpdump.MAGIC):
        return "rtpdump"
    return "ogg" if head.startswith(ogg.MAGIC) else "bit"


def _reader(data: bytes) -> Reader:
    from dredge_host.capture import ogg, opus_demo, pcap, rtpdump

    readers: dict[str, Reader] = {
        "pcap": pcap.read, "rtpdump": rtpdump.read, "ogg": ogg.read, "bit": opus_demo.read,
    }  # fmt: skip
    return readers[_magic(data[:16])]

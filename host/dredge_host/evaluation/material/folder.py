# SPDX-License-Identifier: BSD-2-Clause
"""A user's folder of speech: its speech files and its manifest."""

from __future__ import annotations

import csv
from pathlib import Path

from dredge_device.pi.text import read_text
from dredge_device.pi.transport.errors import refusal
from dredge_host.errors import InputError

SUFFIXES = (".wav", ".flac", ".ogg", ".opus")
MANIFEST = "MANIFEST.csv"
_APPLE_DOUBLE = bytes.fromhex("00051607")


def speech_files(folder: Path, notes: list[str] | None = None) -> list[Path]:
    """Return the speech files by their names, sorted; a note lists the omitted ones: hidden, empty, dangling or Mac's
    own files.

    Raises InputError when the folder cannot be listed.
    """
    try:
        named = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    except OSError as error:
        what = refusal(error, folder) if folder.exists() else f"{folder}: there is no such folder"
        raise InputError(what) from None
    found = []
    for path in named:
        why = _no_speech(path)
        if not why:
            found.append(path)
        elif notes is not None:
            notes.append(f"left out: {path.name}: {why}")
    return found


def demand_speech(folder: Path, found: list[Path]) -> None:
    """Raise InputError for a folder without speech, and name the folders below it that have some."""
    if found:
        return
    text = f"{folder}: no speech files ({', '.join(SUFFIXES)}) in it"
    below = sorted({path.parent for path in folder.glob("*/*") if path.suffix.lower() in SUFFIXES})
    below = below or sorted({path.parent for path in folder.glob("*/*/*") if path.suffix.lower() in SUFFIXES})
    if below:
        text += f"; there are some in {below[0]}" + (f" and {len(below) - 1} more folders" if below[1:] else "")
    raise InputError(text)


def _no_speech(path: Path) -> str:
    """Return why a file with a speech file's name cannot be one, empty if it may be one."""
    try:
        if path.name.startswith("."):
            return "a hidden file"
        if not path.exists():
            return "a link to nothing"
        if not path.is_file():
            return "not a file"
        with path.open("rb") as file:
            head = file.read(4)
    except OSError as error:
        return (error.strerror or "cannot be read").lower()
    if not head:
        return "empty"
    return "a Mac's resource file" if head == _APPLE_DOUBLE else ""


def manifest_rows(folder: Path, notes: list[str] | None = None) -> list[dict[str, str]] | None:
    """Return the rows of a MANIFEST.csv in or above a folder; None without one, or without its column `file` (then a
    note).

    Any encoding with a byte order mark, UTF-8 or Windows-1252; separated by commas, semicolons or tabs. The missing
    fields of a short row are empty texts.
    """
    for manifest in (folder / MANIFEST, folder.parent / MANIFEST):
        if manifest.is_file():
            try:
                text = read_text(manifest)
            except OSError as error:
                raise InputError(refusal(error, manifest)) from None
            rows = _rows(text)
            if rows is None and notes is not None:
                notes.append(f"{manifest} has no column 'file' and is not used")
            return rows
    return None


def _rows(text: str) -> list[dict[str, str]] | None:
    lines = text.lstrip("\n").split("\n")
    for separator in ",;\t":
        head = [cell.strip().lower() for cell in next(csv.reader(lines[:1], delimiter=separator), [])]
        if "file" in head:
            rows = (row for row in csv.reader(lines[1:], delimiter=separator) if any(row))
            return [_row(head, row) for row in rows]
    return None


def _row(head: list[str], cells: list[str]) -> dict[str, str]:
    row = dict(zip(head, [*(cell.strip() for cell in cells), *[""] * len(head)], strict=False))
    return {**row, "file": row["file"].replace("\\", "/")}

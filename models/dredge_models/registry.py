# SPDX-License-Identifier: BSD-2-Clause
"""The shipped weights: `weights/manifest.json` names every file, its size and its SHA-256.

A file is read once and used from memory, so that the bytes compared with the manifest are the bytes used.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from dredge_kernels.tables import DREDGE, LIBOPUS_1_5, LIBOPUS_1_6

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDER = Path(__file__).parent / "weights"
FORMAT = 1                   # format of the manifest and of the files
DRED_VERSION = DREDGE        # our models' version byte in the DRED prefix
LIBOPUS_VERSIONS = (LIBOPUS_1_5, LIBOPUS_1_6)   # versions whose models a user can import
DRED_EXTENSION_ID = 126      # experimental id of libopus 1.5 and 1.6: data begins with 'D' and the version
STANDARD_ID = 32             # of draft-ietf-mlcodec-opus-dred: no prefix; the model is that of the standard
STANDARD_VERSION = LIBOPUS_1_6   # the version of that model
_ADVICE = "reinstall dredge, or rebuild the manifest after an export"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")       # one file of the folder itself
_SUM = re.compile(r"[0-9a-f]{64}")


class ModelError(RuntimeError):
    """A weight file or the manifest is missing, damaged or of another format."""


@dataclass(frozen=True)
class Problem:
    """A fault of one file that `verify` found."""

    file: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}: {self.text}"


@dataclass(frozen=True)
class ModelFile:
    """A model file in memory."""

    name: str
    content: bytes = field(repr=False)

    @classmethod
    def of(cls, path: Path) -> ModelFile:
        """Return a file without a manifest, for example a newly trained one. Raises ModelError when it cannot be read.
        """
        try:
            return cls(path.name, path.read_bytes())
        except OSError as error:
            raise ModelError(f"{path.name}: cannot be read ({error.strerror})") from None

    def arrays(self) -> dict[str, NDArray]:
        """Return the arrays of an .npz by name. Raises ModelError for anything else. Nothing is unpickled."""
        from dredge_models.npz import read_arrays

        try:
            return read_arrays(self.content)
        except ValueError as error:
            raise ModelError(f"{self.name}: not a readable .npz ({error})") from None


def read_manifest(folder: Path) -> dict:
    """Return the parsed manifest of a weights folder. Raises ModelError if it is missing or not understood."""
    path = folder / "manifest.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path.name}: not found in {folder}; {_ADVICE}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path.name}: damaged ({error}); {_ADVICE}") from None
    if not isinstance(content, dict) or not isinstance(content.get("files"), list):
        raise ModelError(f"{path.name}: damaged (no list of files); {_ADVICE}")
    if content.get("format") != FORMAT:
        raise ModelError(f"{path.name}: format {content.get('format')!r}, "
                         f"this version reads format {FORMAT}")
    for entry in content["files"]:
        if not _is_entry(entry):
            raise ModelError(f"{path.name}: damaged (an entry lacks its name, size or sum); "
                             f"{_ADVICE}")
    return content


def _is_entry(entry: object) -> bool:
    """Return whether an entry names a file of its own folder, with a size and a sum."""
    if not isinstance(entry, dict):
        return False
    name, digest, size = entry.get("file"), entry.get("sha256"), entry.get("bytes")
    if not isinstance(name, str) or not isinstance(digest, str) or not isinstance(size, int):
        return False
    return bool(_NAME.fullmatch(name) and _SUM.fullmatch(digest)) and size >= 0


@cache
def manifest() -> dict:
    """Return the shipped manifest: `format`, `models` (id -> description) and `files` (list of entries).

    A file entry has file, model, kind, bytes, sha256 and, where it applies, version (the DRED version byte). Raises
    ModelError.
    """
    return read_manifest(FOLDER)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def checked(folder: Path, name: str) -> ModelFile:
    """Return the file of this name, checked against the folder's manifest. Raises ModelError, without advice."""
    for entry in read_manifest(folder)["files"]:
        if entry["file"] == name:
            return _pinned(entry, folder)
    raise ModelError(f"{name}: not in the manifest")


def _pinned(entry: dict, folder: Path) -> ModelFile:
    name, size = entry["file"], entry["bytes"]
    try:
        content, there = _read(folder / name, size)
    except FileNotFoundError:
        raise ModelError(f"{name}: missing") from None
    except OSError as error:
        raise ModelError(f"{name}: cannot be read ({error.strerror})") from None
    if there != size or len(content) != size:
        raise ModelError(f"{name}: damaged: {there} bytes instead of {size}")
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise ModelError(f"{name}: damaged: its SHA-256 differs from the manifest")
    return ModelFile(name, content)


def _read(path: Path, most: int) -> tuple[bytes, int]:
    """Return the first bytes of a file, and its size. Raises OSError for anything but a regular file (a pipe could
    block).
    """
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return file.read(most), about.st_size


def weight_file(name: str) -> ModelFile:
    """Return a shipped weight file, checked against the manifest. Raises ModelError when it is missing or damaged."""
    for entry in manifest()["files"]:
        if entry["file"] == name:
            try:
                return _pinned(entry, FOLDER)
            except ModelError as error:
                raise ModelError(f"{error}; {_ADVICE}") from None
    raise ModelError(f"{name}: not in the manifest; {_ADVICE}")


def verify(folder: Path | None = None) -> list[Problem]:
    """Check every file of a weights folder and look for stray ones; empty without faults.

    The shipped folder by default.
    """
    folder = folder or FOLDER
    try:
        entries = read_manifest(folder)["files"]
    except ModelError as error:
        return [Problem("manifest.json", str(error).removeprefix("manifest.json: "))]
    found = [Problem(e["file"], text) for e in entries if (text := _complaint(e, folder))]
    known = {e["file"] for e in entries} | {"manifest.json"}
    stray = sorted(p.name for p in folder.iterdir() if p.is_file() and p.name not in known)
    return found + [Problem(name, "not in the manifest") for name in stray]


def _complaint(entry: dict, folder: Path) -> str:
    try:
        _pinned(entry, folder)
    except ModelError as error:
        return str(error).removeprefix(f"{entry['file']}: ")
    return ""


def model_ids() -> list[str]:
    """Return the ids of the shipped models, sorted; they are part of reports and JSON results."""
    return sorted(manifest()["models"])

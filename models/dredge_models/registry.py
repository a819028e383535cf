# SPDX-License-Identifier: BSD-2-Clause
"""The shipped weights: `weights/manifest.json` names every file, its size and its SHA-256."""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "weights"
FORMAT = 1                   # of the manifest and of what the loaders expect in the files
DRED_VERSION = 0xD1          # our models' version byte in the DRED prefix
_ADVICE = "reinstall dredge, or rebuild the manifest after an export"


class ModelError(RuntimeError):
    """A weight file or the manifest is missing, damaged or of another format."""


@dataclass(frozen=True)
class Problem:
    """What `verify` found wrong with one file."""

    file: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}: {self.text}"


def read_manifest(folder: Path) -> dict:
    """The parsed manifest of a weights folder; ModelError if it is missing or not understood."""
    path = folder / "manifest.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path.name}: not found in {folder}; {_ADVICE}") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path.name}: damaged ({error}); {_ADVICE}") from None
    if not isinstance(content, dict) or not isinstance(content.get("files"), list):
        raise ModelError(f"{path.name}: damaged (no list of files); {_ADVICE}")
    if content.get("format") != FORMAT:
        raise ModelError(f"{path.name}: format {content.get('format')!r}, "
                         f"this version reads format {FORMAT}")
    for entry in content["files"]:
        if not isinstance(entry, dict) or not {"file", "sha256", "bytes"} <= entry.keys():
            raise ModelError(f"{path.name}: damaged (an entry lacks its name, size or sum); "
                             f"{_ADVICE}")
    return content


@cache
def manifest() -> dict:
    """The shipped manifest: `format`, `models` (id -> description) and `files` (list of entries).

    A file entry has file, model, kind, bytes, sha256 and, where it applies, version (the DRED
    version byte). Raises ModelError.
    """
    return read_manifest(FOLDER)


def sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_file(entry: dict, folder: Path) -> str | None:
    """What is wrong with the file of a manifest entry, or None."""
    path = folder / entry["file"]
    if not path.is_file():
        return "missing"
    size = path.stat().st_size
    if size != entry["bytes"]:
        return f"damaged: {size} bytes instead of {entry['bytes']}"
    if sha256(path) != entry["sha256"]:
        return "damaged: its SHA-256 differs from the manifest"
    return None


def weight_path(name: str) -> Path:
    """Path of a shipped weight file after checking its sum (once per process); ModelError."""
    return _checked(name)


@cache
def _checked(name: str) -> Path:
    for entry in manifest()["files"]:
        if entry["file"] == name:
            problem = check_file(entry, FOLDER)
            if problem is not None:
                raise ModelError(f"{name}: {problem}; {_ADVICE}")
            return FOLDER / name
    raise ModelError(f"{name}: not in the manifest; {_ADVICE}")


def verify(folder: Path | None = None) -> list[Problem]:
    """Checks every file of a weights folder and looks for stray ones; empty if all is well.

    The shipped folder by default.
    """
    folder = folder or FOLDER
    try:
        entries = read_manifest(folder)["files"]
    except ModelError as error:
        return [Problem("manifest.json", str(error).removeprefix("manifest.json: "))]
    found = [Problem(e["file"], text) for e in entries if (text := check_file(e, folder))]
    known = {e["file"] for e in entries} | {"manifest.json"}
    stray = sorted(p.name for p in folder.iterdir() if p.is_file() and p.name not in known)
    return found + [Problem(name, "not in the manifest") for name in stray]


def model_ids() -> list[str]:
    """Ids of the shipped models, sorted; they go into reports and JSON results."""
    return sorted(manifest()["models"])

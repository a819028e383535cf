# SPDX-License-Identifier: BSD-2-Clause
"""Which speech an evaluation uses: files over all speakers, and pieces of long ones when more clips are wanted."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dredge_device.units import SAMPLE_RATE
from dredge_host.errors import InputError
from dredge_host.sending.audio import read_audio

SUFFIXES = {".wav", ".flac", ".ogg", ".opus"}
Pcm = NDArray[np.int16]


@dataclass(frozen=True)
class Clip:
    """Speech to be sent: name (file, or file@seconds), the recording it is from, int16[n] at 16 kHz, whether it is
    known to be English (only that is recognised). It holds samples, not a path, so it can travel to a worker."""

    name: str
    recording: str
    pcm: Pcm
    english: bool = True

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the samples."""
        return hashlib.sha256(np.ascontiguousarray(self.pcm, "<i2").tobytes()).hexdigest()

    @property
    def seconds(self) -> float:
        return len(self.pcm) / SAMPLE_RATE


def choose_clips(folder: Path, clips: int) -> list[Path]:
    """Speech files, evenly over the speakers (the part of the name before `_`), in a fixed order; clips: 0 = all."""
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder")
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    if not files:
        raise InputError(f"{folder}: no speech files ({', '.join(sorted(SUFFIXES))}) in it")
    rounds: dict[str, int] = {}
    order = []
    for path in files:
        speaker = path.stem.split("_")[0]
        order.append((rounds.get(speaker, 0), speaker, path))
        rounds[speaker] = rounds.get(speaker, 0) + 1
    chosen = [path for *_, path in sorted(order)]
    return chosen[:clips] if clips else chosen


def read_clips(folder: Path, clips: int, seconds: float) -> tuple[list[Clip], list[str]]:
    """The clips of a folder and notes about them.

    clips: how many, 0 = one for every file; seconds: length of each, 0 = whole files. When there are fewer files
    than clips, later pieces of the files follow, every one `seconds` long. Raises InputError for a folder without
    speech or a file that cannot be read.
    """
    files = choose_clips(folder, clips)
    english = english_files(folder, files)
    length = int(seconds * SAMPLE_RATE)
    speech = [(path, read_audio(path).pcm) for path in files]
    found = [Clip(path.name, path.name, pcm[: length or None], path.name in english) for path, pcm in speech]
    if not clips or len(found) >= clips:
        return found, []
    wanted = clips - len(found)
    more = _later_pieces(speech, length, english)[:wanted] if length else []
    return found + more, [_note(clips, len(files), len(more), seconds)]


def _later_pieces(speech: Sequence[tuple[Path, Pcm]], length: int, english: set[str]) -> list[Clip]:
    """Whole pieces after the first of every file: all second ones, then all third ones."""
    most = max(len(pcm) for _, pcm in speech) // length
    return [
        Clip(
            f"{path.name}@{round(turn * length / SAMPLE_RATE, 3):g}",
            path.name,
            np.ascontiguousarray(pcm[turn * length : (turn + 1) * length]),
            path.name in english,
        )
        for turn in range(1, most)
        for path, pcm in speech
        if len(pcm) >= (turn + 1) * length
    ]


def _note(clips: int, files: int, more: int, seconds: float) -> str:
    text = f"{clips} clips were asked for and there are {files} files"
    if more:
        text += f", so {more} later pieces of {seconds:g} s of the same files are used too (named file@start in s)"
    if files + more < clips:
        text += f"; with {files + more} clips all speech is used" if seconds else "; only pieces of --seconds give more"
    return text


def english_files(folder: Path, files: Sequence[Path]) -> set[str]:
    """Names of the files in English, as far as a MANIFEST.csv in or above the folder tells; without one, all."""
    for manifest in (folder / "MANIFEST.csv", folder.parent / "MANIFEST.csv"):
        if manifest.is_file():
            with manifest.open(encoding="utf-8", newline="") as text:
                rows = list(csv.DictReader(text))
            return {Path(r["file"]).name for r in rows if r.get("language", "").startswith("en")}
    return {p.name for p in files}

# SPDX-License-Identifier: BSD-2-Clause
"""The speech of an evaluation: files over all speakers, and pieces of long ones when more clips are wanted."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from dredge_device.units import SAMPLE_RATE
from dredge_host.errors import InputError
from dredge_host.evaluation.material.folder import demand_speech, manifest_rows, speech_files
from dredge_host.sending.audio import read_audio
from dredge_kernels.arrays import Pcm


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


def choose_clips(folder: Path, clips: int, notes: list[str] | None = None) -> list[Path]:
    """Return the speech files, evenly over the speakers (the part of the name before `_`), in a fixed order; clips: 0 =
    all.

    Omitted files are added to `notes`. Raises InputError for a folder without speech.
    """
    files = speech_files(folder, notes)
    demand_speech(folder, files)
    rounds: dict[str, int] = {}
    order = []
    for path in files:
        speaker = path.stem.split("_")[0]
        order.append((rounds.get(speaker, 0), speaker, path))
        rounds[speaker] = rounds.get(speaker, 0) + 1
    chosen = [path for *_, path in sorted(order)]
    return chosen[:clips] if clips else chosen


def read_clips(folder: Path, clips: int, seconds: float) -> tuple[list[Clip], list[str]]:
    """Return the clips of a folder and notes about them.

    clips: how many, 0 = one for every file; seconds: length of each, 0 = whole files. When there are fewer files than
    clips, later pieces of the files follow, every one `seconds` long. A file that cannot be read is left out with a
    note. Raises InputError for a folder without speech.
    """
    notes: list[str] = []
    files = choose_clips(folder, 0, notes)
    english = english_files(folder, files, notes)
    length = int(seconds * SAMPLE_RATE)
    speech = _readable(files, clips, notes)
    found = [Clip(path.name, path.name, pcm[: length or None], path.name in english) for path, pcm in speech]
    if not clips or len(found) >= clips:
        return found, notes
    wanted = clips - len(found)
    more = _later_pieces(speech, length, english)[:wanted] if length else []
    return found + more, [*notes, _note(clips, len(speech), len(more), seconds)]


def _readable(files: Sequence[Path], most: int, notes: list[str]) -> list[tuple[Path, Pcm]]:
    """Return the first files that can be read, all of them with most=0. Raises InputError if none can."""
    speech: list[tuple[Path, Pcm]] = []
    problems: list[str] = []
    for path in files:
        try:
            speech.append((path, read_audio(path).pcm))
        except InputError as error:
            problems.append(f"left out: {error}")
        if most and len(speech) == most:
            break
    if not speech:
        raise InputError(problems[0].removeprefix("left out: "))
    notes += problems
    return speech


def _later_pieces(speech: Sequence[tuple[Path, Pcm]], length: int, english: set[str]) -> list[Clip]:
    """Return the whole pieces after the first of every file: all second ones, then all third ones."""
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


def english_files(folder: Path, files: Sequence[Path], notes: list[str] | None = None) -> set[str]:
    """Return the names of the files in English as a manifest says (`manifest_rows`), all if it says no language."""
    rows = manifest_rows(folder, notes)
    if rows and "language" in rows[0]:
        return {Path(row["file"]).name for row in rows if row["language"].lower().startswith("en")}
    return {path.name for path in files}

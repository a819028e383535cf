# SPDX-License-Identifier: BSD-2-Clause
"""The writer of trace sets in the form that traceset reads; equal clips and seed give equal bytes on every machine.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import wave
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import numpy as np

from dredge_device.units import PACKET_SAMPLES, SAMPLE_RATE
from dredge_host.errors import InputError
from dredge_host.evaluation.material.clips import Clip as Speech
from dredge_host.evaluation.material.traces import STRATA, Trace, draw_trace, recorded_trace
from dredge_host.evaluation.material.traceset import CLEAN, LOSSY, MANIFEST, SCHEMA, SUFFIX, read_manifest
from dredge_host.sending.loss_statistics import measure_loss
from dredge_kernels.arrays import Pcm


class Clip(NamedTuple):
    """One clip to be written: pcm: int16[n] at 16 kHz; source: name of the recording it comes from."""

    name: str
    source: str
    pcm: Pcm
    trace: Trace


def draw_clips(speech: Sequence[Speech], seed: int, stratum: str = "all") -> Iterator[Clip]:
    """Yield a loss trace for each piece of speech, from one stratum or from all of them in turn.

    Raises InputError for speech that is too short for a trace of its stratum.
    """
    chosen = [known for known in STRATA if stratum in ("all", known.name)]
    for index, piece in enumerate(speech):
        aim = chosen[index % len(chosen)]
        trace = draw_trace(aim, -(-len(piece.pcm) // PACKET_SAMPLES), 1000 * seed + index)
        if recorded_trace("", trace.lost).stratum != aim.name or not any(trace.lost):
            raise InputError(
                f"{piece.name}: {piece.seconds:.1f} s are too short for {aim.name} losses "
                f"(bursts of {aim.shortest_ms} to {aim.longest_ms} ms, spec {aim.spec}); use longer speech"
            )
        yield Clip(f"{index + 1:04d}_{aim.name}", piece.name, piece.pcm, trace)


class TraceClip(TypedDict):
    """One clip of a trace set; sha256: by file."""

    name: str
    source: str
    stratum: str
    spec: str
    trace_seed: int | None
    packets: int
    loss_pct: float
    longest_burst_ms: int
    sha256: dict[str, str]


class TraceSet(TypedDict):
    """The manifest of a trace set."""

    schema: str
    seed: int
    packet_ms: int
    rate_hz: int
    strata: list[dict[str, Any]]
    clips: list[TraceClip]


def write_set(
    folder: str | Path,
    clips: Iterable[Clip],
    *,
    seed: int,
    lossy: bool = False,
    force: bool = False,
    progress: Callable[[int], None] | None = None,
) -> TraceSet:
    """Write clips with their traces and a manifest; returns the manifest (`dredge.traces/1`).

    The same clips give the same bytes on every machine. With `lossy` the folder has the challenge's three
    parts: `clean/`, and in `lossy/` the clips with silent losses beside their traces; without,
    clips and traces lie side by side. The folder appears complete or not at all. Raises InputError when
    it exists (with `force`: when it exists and is not a set written by this function).
    """
    with new_folder(Path(folder), force) as place:
        rows = []
        for done, clip in enumerate(clips, 1):
            rows.append(_write_clip(place, clip, lossy))
            if progress:
                progress(done)
        document: TraceSet = {"schema": SCHEMA, "seed": seed, "packet_ms": 20, "rate_hz": SAMPLE_RATE,
                    "strata": [stratum._asdict() for stratum in STRATA], "clips": rows}  # fmt: skip
        (place / MANIFEST).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return document


def _write_clip(place: Path, clip: Clip, lossy: bool) -> TraceClip:
    speech, beside = (place / CLEAN, place / LOSSY) if lossy else (place, place)
    files = [speech / f"{clip.name}.wav", beside / f"{clip.name}{SUFFIX}"]
    speech.mkdir(exist_ok=True)
    beside.mkdir(exist_ok=True)
    _write_wav(files[0], clip.pcm)
    files[1].write_text("".join(f"{int(lost)}\n" for lost in clip.trace.lost), encoding="ascii", newline="\n")
    if lossy:
        files.append(beside / f"{clip.name}.wav")
        _write_wav(files[2], silenced(clip.pcm, clip.trace.lost))
    stats = measure_loss(clip.trace.lost)
    return {
        "name": clip.name,
        "source": clip.source,
        "stratum": clip.trace.stratum,
        "spec": clip.trace.spec,
        "trace_seed": clip.trace.seed,
        "packets": stats.packets,
        "loss_pct": round(100.0 * stats.rate, 3),
        "longest_burst_ms": stats.longest_burst * 20,
        "sha256": {path.relative_to(place).as_posix(): checksum(path) for path in files},
    }


def silenced(pcm: Pcm, lost: Sequence[bool]) -> Pcm:
    """Return int16[n] with zeros in the lost packets of 320 samples."""
    mask = np.repeat(np.asarray(lost, np.bool_), PACKET_SAMPLES)[: len(pcm)]
    quiet = pcm.copy()
    quiet[: len(mask)][mask] = 0
    return quiet


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    return sha256(path.read_bytes()).hexdigest()


def changed_files(folder: Path) -> list[str]:
    """Return one sentence for every file of a set that is missing or differs from its manifest; none without a
    manifest.
    """
    if not (folder / MANIFEST).is_file():
        return []
    problems = []
    for clip in read_manifest(folder).get("clips", []):
        for name, wanted in clip["sha256"].items():
            path = folder / name
            if not path.is_file():
                problems.append(f"{name}: missing")
            elif checksum(path) != wanted:
                problems.append(f"{name}: changed since the set was made")
    return problems


def _write_wav(path: Path, pcm: Pcm) -> None:
    """Write a 16-bit mono WAV with the shortest header there is, the same with every library's version."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.asarray(pcm, "<i2").tobytes())


@contextmanager
def new_folder(target: Path, force: bool = False) -> Iterator[Path]:
    """Give a temporary folder beside `target`; it is renamed to `target` on success and removed on failure."""
    check_new(target, force)
    target = target.resolve()  # so that a link is kept
    place = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.absolute().parent))
    try:
        yield place
        place.chmod(0o755)
        if target.exists():
            old = place.with_suffix(".old")
            os.replace(target, old)
            os.replace(place, target)
            shutil.rmtree(old)
        else:
            os.replace(place, target)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def check_new(target: Path, force: bool) -> None:
    """Raise InputError now rather than after minutes if a set cannot be written there."""
    parent = target.absolute().parent
    if not parent.is_dir():
        raise InputError(f"{target}: the folder {parent} does not exist")
    if not os.access(parent, os.W_OK):
        raise InputError(f"{target}: no permission to write into {parent}")
    if not target.exists():
        return
    if not force:
        raise InputError(f"{target}: exists already; choose another name, or --force to replace a set")
    if not (target / MANIFEST).is_file() or read_manifest(target).get("schema") != SCHEMA:
        raise InputError(f"{target}: not a set of traces (no {MANIFEST} of one), so --force leaves it alone")

# SPDX-License-Identifier: BSD-2-Clause
"""Difficult inputs for `dredge evaluate --robustness`: made from speech, noise, or nothing."""

from __future__ import annotations

from pathlib import Path

from dredge_device.units import SAMPLE_RATE
from dredge_host.evaluation.material import disturbed, noises, sounds
from dredge_host.evaluation.material.clips import choose_clips
from dredge_host.evaluation.material.folder import manifest_rows
from dredge_host.evaluation.material.sounds import Pcm
from dredge_host.sending.audio import read_audio

ADULT = 18  # years


def cases(folder: Path, seconds: float = 8.0) -> dict[str, Pcm]:
    """Return the named inputs, int16[n] at 16 kHz, from a folder of speech.

    A MANIFEST.csv beside or above the folder (columns file and age) tells which clips are of children; without one a
    child is made of an adult. A folder `noise` beside it, with a subfolder of the same name, gives the noise; without
    one it is white. Raises InputError for a folder without speech.
    """
    files = choose_clips(folder, 0)
    children = _children(folder)
    speech = _read(next((p for p in files if p.name not in children), files[0]), seconds)
    child = next((p for p in files if p.name in children), None)
    out = {
        "speech": speech,
        "quiet": disturbed.quiet(speech),
        "clipped": disturbed.clipped(speech),
        "child": _read(child, seconds) if child else disturbed.childlike(speech),
        "higher": disturbed.childlike(speech),
        "offset": disturbed.offset(speech),
        "rumble": disturbed.rumbling(speech),
        "hum": disturbed.humming(speech),
        "handling": disturbed.handled(speech),
        "reverberation": disturbed.reverberant(speech),
        "silence": sounds.silence(len(speech)),
        "music": sounds.melody(len(speech)),
        "clock": sounds.ticking(len(speech)),
        "strings": sounds.plucked(len(speech)),
        "singing": sounds.sung(len(speech)),
    }
    for name, noise in _noises(folder, len(speech)).items():
        out[f"noisy-{name}"] = disturbed.noisy(speech, noise)
    for snr_db, made in zip((20.0, 10.0, 5.0, 15.0), noises.STEADY.values(), strict=True):
        out[f"steady-{made.__name__}"] = disturbed.noisy(speech, made(len(speech)), snr_db)
    out["babble"] = disturbed.noisy(speech, noises.babble(speech), 10.0)
    out["fan-alone"] = noises.fan(len(speech))
    return out


def _read(path: Path, seconds: float) -> Pcm:
    return read_audio(path).pcm[: int(seconds * SAMPLE_RATE) or None]


def _children(folder: Path) -> set[str]:
    ages = {Path(row["file"]).name: row.get("age", "") for row in manifest_rows(folder) or []}
    return {name for name, age in ages.items() if age.isdecimal() and int(age) < ADULT}


def _noises(folder: Path, samples: int) -> dict[str, Pcm]:
    recorded = folder.parent / "noise" / folder.name
    if recorded.is_dir():
        return {p.stem: read_audio(p).pcm for p in choose_clips(recorded, 0)}
    return {"white": noises.white(samples)}

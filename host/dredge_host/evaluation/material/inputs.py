# SPDX-License-Identifier: BSD-2-Clause
"""Difficult inputs for `dredge evaluate --robustness`: made from speech, noise, or nothing."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dredge_device.units import SAMPLE_RATE
from dredge_host.evaluation.material.clips import choose_clips
from dredge_host.sending.audio import read_audio

Pcm = NDArray[np.int16]
SNR_DB = 10.0
QUIET_DBFS = -40.0
CLIPPED_DB = 12.0  # peaks above full scale
ADULT = 18  # years


def noisy(speech: Pcm, noise: Pcm, snr_db: float = SNR_DB) -> Pcm:
    """Speech with noise, repeated as needed, at a signal-to-noise ratio over the whole clip; all int16[n]."""
    clean = speech.astype(np.float64)
    other = np.resize(noise, len(speech)).astype(np.float64)
    gain = np.sqrt(np.mean(clean**2) / (np.mean(other**2) + 1e-9) / 10.0 ** (snr_db / 10.0))
    return _int16(clean + gain * other)


def quiet(speech: Pcm, dbfs: float = QUIET_DBFS) -> Pcm:
    """The same speech at an RMS level of `dbfs`."""
    clean = speech.astype(np.float64)
    return _int16(clean * (32768.0 * 10.0 ** (dbfs / 20.0) / np.sqrt(np.mean(clean**2) + 1e-9)))


def clipped(speech: Pcm, above_db: float = CLIPPED_DB) -> Pcm:
    """The same speech with its peaks that far above full scale, cut off."""
    peak = float(np.abs(speech.astype(np.float64)).max()) + 1e-9
    return _int16(speech * (32767.0 * 10.0 ** (above_db / 20.0) / peak))


def childlike(speech: Pcm, ratio: float = 1.45) -> Pcm:
    """Pitch and formants raised by this ratio (and faster): a child's vocal tract where no child was recorded."""
    places = np.arange(0, len(speech) - 1, ratio)
    return _int16(np.interp(places, np.arange(len(speech)), speech))


def melody(samples: int) -> Pcm:
    """Music-like input: chords of decaying harmonic tones over a beat."""
    at = np.arange(samples) / SAMPLE_RATE
    out = np.zeros(samples)
    rng = np.random.default_rng(7)
    for beat in range(int(samples / SAMPLE_RATE / 0.25) + 1):
        since = at - 0.25 * beat
        envelope = np.where(since >= 0, np.exp(-4.0 * np.maximum(since, 0.0)), 0.0)
        for semitone in (0, 4, 7):
            pitch = 196.0 * 2.0 ** ((semitone + (0, 5, 7, 3)[beat // 4 % 4]) / 12.0)
            for harmonic in range(1, 6):
                out += envelope * np.sin(2 * np.pi * harmonic * pitch * since) / harmonic
        out += 2.0 * np.exp(-60.0 * np.maximum(since, 0.0)) * (since >= 0) * rng.standard_normal(samples)
    return _int16(out * 1500.0)


def silence(samples: int) -> Pcm:
    """Digital silence, then the last bit of a microphone's noise."""
    out = np.zeros(samples, np.int16)
    out[samples // 2 :] = np.random.default_rng(1).integers(-1, 2, samples - samples // 2)
    return out


def cases(folder: Path, seconds: float = 8.0) -> dict[str, Pcm]:
    """Named inputs, int16[n] at 16 kHz, from a folder of speech.

    A MANIFEST.csv beside or above the folder (columns file and age) tells which clips are of children; without one a
    child is made of an adult. A folder `noise` beside it, with a subfolder of the same name, gives the noise;
    without one it is white. Raises InputError for a folder without speech.
    """
    files = choose_clips(folder, 0)
    children = _children(folder)
    speech = _read(next((p for p in files if p.name not in children), files[0]), seconds)
    child = next((p for p in files if p.name in children), None)
    out = {
        "speech": speech,
        "quiet": quiet(speech),
        "clipped": clipped(speech),
        "child": _read(child, seconds) if child else childlike(speech),
        "higher": childlike(speech),
        "silence": silence(len(speech)),
        "music": melody(len(speech)),
    }
    for name, noise in _noises(folder, len(speech)).items():
        out[f"noisy-{name}"] = noisy(speech, noise)
    return out


def _read(path: Path, seconds: float) -> Pcm:
    return read_audio(path).pcm[: int(seconds * SAMPLE_RATE) or None]


def _children(folder: Path) -> set[str]:
    for manifest in (folder / "MANIFEST.csv", folder.parent / "MANIFEST.csv"):
        if manifest.is_file():
            with manifest.open(encoding="utf-8", newline="") as text:
                rows = list(csv.DictReader(text))
            ages = {Path(r["file"]).name: (r.get("age") or "").strip() for r in rows}
            return {name for name, age in ages.items() if age.isdigit() and int(age) < ADULT}
    return set()


def _noises(folder: Path, samples: int) -> dict[str, Pcm]:
    recorded = folder.parent / "noise" / folder.name
    if recorded.is_dir():
        return {p.stem: read_audio(p).pcm for p in choose_clips(recorded, 0)}
    return {"white": _int16(np.random.default_rng(2).standard_normal(samples) * 3000.0)}


def _int16(values: NDArray[np.float64]) -> Pcm:
    return np.clip(np.rint(values), -32768, 32767).astype(np.int16)

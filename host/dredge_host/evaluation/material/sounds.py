# SPDX-License-Identifier: BSD-2-Clause
"""Sounds that are no speech, for `dredge evaluate --robustness`; all int16 at 16 kHz and the same on every call."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dredge_device.units import SAMPLE_RATE
from dredge_kernels.arrays import Pcm

Values = NDArray[np.float64]
VOWELS_HZ = ((730, 1090, 2440), (530, 1840, 2480), (300, 870, 2240), (570, 840, 2410))  # a e u o: formants


def melody(samples: int) -> Pcm:
    """Return music: chords of decaying harmonic tones over a beat."""
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
    return rounded(out * 1500.0)


def silence(samples: int) -> Pcm:
    """Return digital silence, then the last bit of a microphone's noise."""
    out = np.zeros(samples, np.int16)
    out[samples // 2 :] = np.random.default_rng(1).integers(-1, 2, samples - samples // 2)
    return out


def ticking(samples: int) -> Pcm:
    """Return a wall clock in a quiet room: two short knocks of a few resonances every second."""
    rng = np.random.default_rng(11)
    out = rng.standard_normal(samples) * 4.0
    length = SAMPLE_RATE // 25
    since = np.arange(length) / SAMPLE_RATE
    for number, start in enumerate(range(SAMPLE_RATE // 8, samples - length, SAMPLE_RATE // 2)):
        pitches = (2100.0, 3400.0, 5200.0) if number % 2 else (1700.0, 2900.0, 4700.0)
        knock = sum(np.sin(2 * np.pi * hz * since) * np.exp(-since * hz / 6.0) for hz in pitches)
        out[start : start + length] += 4000.0 * knock
    return rounded(out)


def plucked(samples: int) -> Pcm:
    """Return plucked strings from 82 Hz on, each left to ring (K. Karplus, A. Strong, Computer Music Journal 7(2),
    1983).
    """
    rng = np.random.default_rng(13)
    out = np.zeros(samples)
    for number, start in enumerate(range(0, samples, int(0.4 * SAMPLE_RATE))):
        period = round(SAMPLE_RATE / (82.4 * 2.0 ** ((0, 7, 12, 16, 19, 24, 19, 16)[number % 8] / 12.0)))
        string = _string(rng.uniform(-1.0, 1.0, period), min(samples - start, 2 * SAMPLE_RATE))
        out[start : start + len(string)] += string
    return rounded(out * 9000.0)


def _string(row: Values, samples: int) -> Values:
    """Return the decay of a string from its first period, float64[samples]: every period is the mean of neighbouring
    samples of the one before.
    """
    row = row - row.mean()
    rounds = []
    for _ in range(-(-samples // len(row))):
        rounds.append(row)
        row = 0.498 * (row + np.roll(row, 1))
    return np.concatenate(rounds)[:samples]


def sung(samples: int) -> Pcm:
    """Return a singing voice: notes of 0.8 s with vibrato, harmonics under the formants of changing vowels."""
    at = np.arange(samples) / SAMPLE_RATE
    note = (at / 0.8).astype(int)
    semitones = np.array([0, 4, 7, 12, 11, 7, 5, 2])[note % 8] + 0.6 * np.sin(2 * np.pi * 5.5 * at)
    pitch = 196.0 * 2.0 ** (semitones / 12.0)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    formants = np.array(VOWELS_HZ, np.float64)[note % len(VOWELS_HZ)]
    out = np.zeros(samples)
    for harmonic in range(1, 30):
        hertz = harmonic * pitch
        heard = np.zeros(samples)
        for k in range(formants.shape[1]):
            heard += 0.5**k / (1.0 + ((hertz - formants[:, k]) / 90.0) ** 2)
        out += np.where(hertz < 7500.0, heard, 0.0) * np.sin(harmonic * phase)
    inside = at - 0.8 * note
    swell = np.clip(np.minimum(inside / 0.06, (0.8 - inside) / 0.1), 0.0, 1.0)
    return rounded(out * swell * 6000.0)


def rounded(values: Values) -> Pcm:
    """Return a signal rounded to int16 and limited to its range."""
    return np.clip(np.rint(values), -32768, 32767).astype(np.int16)

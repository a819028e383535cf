# SPDX-License-Identifier: BSD-2-Clause
"""Steady noise behind speech, for `dredge evaluate --robustness`; int16[n] at 16 kHz, the same on every call."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dredge_device.units import SAMPLE_RATE
from dredge_host.evaluation.material.sounds import Pcm, Values, rounded

LOUDNESS = 1500.0  # root mean square
VOICES = 7


def white(samples: int) -> Pcm:
    """Return noise with the same power at every frequency: a radio between stations."""
    return _scaled(np.random.default_rng(2).standard_normal(samples))


def fan(samples: int) -> Pcm:
    """Return the noise of air that falls by 4 dB per octave, and the tones of a motor."""
    at = 2 * np.pi * np.arange(samples) / SAMPLE_RATE
    motor = np.sum([a * np.sin(hz * at + hz) for hz, a in ((120, 0.4), (240, 0.3), (360, 0.2), (725, 0.1))], axis=0)
    return _scaled(_coloured(31, samples, 1.3) + motor)


def car(samples: int) -> Pcm:
    """Return the noise inside a car at speed: nearly everything below 500 Hz, falling by 9 dB per octave."""
    return _scaled(_coloured(32, samples, 3.0) + 0.02 * np.random.default_rng(33).standard_normal(samples))


def hiss(samples: int) -> Pcm:
    """Return noise that rises by 3 dB per octave: a cheap microphone's amplifier."""
    return _scaled(_coloured(34, samples, -1.0))


def babble(speech: Pcm) -> Pcm:
    """Return seven other voices at once: the same speech backwards and faster or slower, each from another place on."""
    voices = np.zeros(len(speech))
    rng = np.random.default_rng(35)
    for speed in np.linspace(0.8, 1.3, VOICES):
        places = (np.arange(len(speech)) * speed + rng.uniform(0, len(speech))) % len(speech)
        voices += np.interp(places, np.arange(len(speech)), speech[::-1].astype(np.float64))
    return _scaled(voices)


STEADY: dict[str, Callable[[int], Pcm]] = {"white": white, "fan": fan, "car": car, "hiss": hiss}


def _coloured(seed: int, samples: int, slope: float) -> Values:
    """Return noise of deviation one whose power falls with frequency to this power, above 30 Hz."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(samples))
    spectrum /= np.maximum(np.fft.rfftfreq(samples, 1.0 / SAMPLE_RATE), 30.0) ** (slope / 2)
    made = np.fft.irfft(spectrum, samples)
    return np.asarray(made / made.std(), np.float64)


def _scaled(values: Values) -> Pcm:
    return rounded(values * (LOUDNESS / (np.sqrt(np.mean(values**2)) + 1e-9)))

# SPDX-License-Identifier: BSD-2-Clause
"""Speech disturbed by the room, the microphone or the cable; int16[n] at 16 kHz in and out, the same on every call."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dredge_device.units import SAMPLE_RATE
from dredge_host.evaluation.material.sounds import Pcm, Values, rounded

SNR_DB = 10.0
QUIET_DBFS = -40.0
CLIPPED_DB = 12.0  # peaks above full scale


def noisy(speech: Pcm, noise: Pcm, snr_db: float = SNR_DB) -> Pcm:
    """Return the speech with noise, repeated as needed, at a signal-to-noise ratio over the whole clip."""
    return _with(speech, np.resize(noise, len(speech)).astype(np.float64), snr_db)


def quiet(speech: Pcm, dbfs: float = QUIET_DBFS) -> Pcm:
    """Return the same speech at an RMS level of `dbfs`."""
    clean = speech.astype(np.float64)
    return rounded(clean * (32768.0 * 10.0 ** (dbfs / 20.0) / np.sqrt(np.mean(clean**2) + 1e-9)))


def clipped(speech: Pcm, above_db: float = CLIPPED_DB) -> Pcm:
    """Return the same speech with its peaks raised that far above full scale and cut off."""
    peak = float(np.abs(speech.astype(np.float64)).max()) + 1e-9
    return rounded(speech * (32767.0 * 10.0 ** (above_db / 20.0) / peak))


def childlike(speech: Pcm, ratio: float = 1.45) -> Pcm:
    """Return the speech with pitch and formants raised by this ratio (and faster), as a child's vocal tract would
    sound.
    """
    places = np.arange(0, len(speech) - 1, ratio)
    return rounded(np.interp(places, np.arange(len(speech)), speech))


def offset(speech: Pcm, steps: int = 4000) -> Pcm:
    """Return the speech half as loud on top of a constant, as from a sound card with a DC offset."""
    return rounded(0.5 * speech.astype(np.float64) + steps)


def rumbling(speech: Pcm, snr_db: float = 0.0) -> Pcm:
    """Return the speech in a vehicle: with noise below 120 Hz that rises towards low frequencies, as strong as the
    speech.
    """
    spectrum = np.fft.rfft(np.random.default_rng(21).standard_normal(len(speech)))
    hertz = np.fft.rfftfreq(len(speech), 1.0 / SAMPLE_RATE)
    spectrum *= (hertz < 120.0) / np.maximum(hertz, 8.0)
    return _with(speech, np.fft.irfft(spectrum, len(speech)), snr_db)


def humming(speech: Pcm, snr_db: float = 0.0) -> Pcm:
    """Return the speech with mains hum: 50 Hz and six harmonics, as strong as the speech."""
    at = 2 * np.pi * 50.0 * np.arange(len(speech)) / SAMPLE_RATE
    hum = np.sum([np.sin(k * at + k) / k for k in range(1, 8)], axis=0)
    return _with(speech, hum, snr_db)


def handled(speech: Pcm) -> Pcm:
    """Return the speech with a moved microphone: thumps of 30 to 90 Hz and scratching, twice a second."""
    rng = np.random.default_rng(22)
    touch = np.zeros(len(speech))
    length = SAMPLE_RATE // 4
    since = np.arange(length) / SAMPLE_RATE
    for start in range(0, len(speech) - length, SAMPLE_RATE // 2):
        begin = start + int(rng.integers(0, SAMPLE_RATE // 4))
        thump = np.sin(2 * np.pi * rng.uniform(30.0, 90.0) * since) * np.exp(-since / 0.06)
        scratch = 0.05 * rng.standard_normal(length) * np.exp(-since / 0.03)
        room = len(touch[begin : begin + length])
        touch[begin : begin + room] += (rng.uniform(0.3, 1.0) * (thump + scratch))[:room]
    return _with(speech, touch, 0.0)


def reverberant(speech: Pcm, decay_s: float = 0.8, direct_db: float = -3.0) -> Pcm:
    """Return the speech across a room: noise that falls by 60 dB in `decay_s`, with four of the room's own low tones.

    direct_db: the direct sound against the reverberation.
    """
    rng = np.random.default_rng(23)
    since = np.arange(int(decay_s * SAMPLE_RATE)) / SAMPLE_RATE
    room = rng.standard_normal(len(since))
    for hertz in (43.0, 61.0, 86.0, 112.0):
        room += np.sin(2 * np.pi * hertz * since + rng.uniform(0.0, 6.0))
    room *= np.exp(-6.9 * since / decay_s)
    room *= 10.0 ** (-direct_db / 20.0) / np.sqrt(np.sum(room**2))
    room[0] += 1.0
    size = 1 << (len(speech) + len(room)).bit_length()
    heard = np.fft.irfft(np.fft.rfft(speech.astype(np.float64), size) * np.fft.rfft(room, size), size)[: len(speech)]
    return rounded(heard * (np.abs(speech.astype(np.float64)).max() + 1.0) / (np.abs(heard).max() + 1.0))


def _with(speech: Pcm, other: NDArray[np.float64], snr_db: float) -> Pcm:
    clean: Values = speech.astype(np.float64)
    gain = np.sqrt(np.mean(clean**2) / (np.mean(other**2) + 1e-9) / 10.0 ** (snr_db / 10.0))
    return rounded(clean + gain * other)

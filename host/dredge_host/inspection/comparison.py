# SPDX-License-Identifier: BSD-2-Clause
"""The distance of decoded speech from that of a reference decoder, as libopus measures it for conformance.

Two decoders of DRED may differ in rounding, and a vocoder's samples depend on it, so samples are not compared, but
the loudness over time and frequency after masking, and the periodicity. The figures are those of the program
dred_compare of libopus 1.6, reimplemented from its definition; docs/reference/interop.md has its limits.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dredge_device.pi.transport.errors import refusal
from dredge_device.units import FRAME_SAMPLES, SAMPLE_RATE
from dredge_host.errors import InputError
from dredge_host.inspection.documents import CompareResult
from dredge_host.inspection.limits import LIMITS
from dredge_kernels.arrays import Pcm

SCHEMA = "dredge.compare/1"
WINDOW = 640                         # 40 ms, every 10 ms
MAX_SECONDS = 600
RAW_SUFFIXES = (".s16", ".sw", ".pcm", ".raw")

_BINS = WINDOW // 2
# Edges of 17 bands in bins of 25 Hz: 200 Hz wide at the bottom, 1.2 kHz at the top.
_EDGES = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 272, 320)
_LOUDNESS = 0.2                      # exponent from power to loudness
_FLOOR = 0.1                         # power that is added to every bin
_RANGE = 1e-8                        # levels 80 dB below the loudest bin of the reference are inaudible
_AFTER, _BEFORE = 0.5, 0.1           # the part of a frame's masking that reaches the next one, and the one before
_SHORTEST, _LONGEST = 32, 256        # samples of a pitch period
_PITCH_SAMPLES = 320
_VOICED = 0.7                        # correlation from which on a frame of the reference has a pitch
# (1 - 2 z^-1 + z^-2) / (1 - 1.97354 z^-1 + 0.97417 z^-2), and the samples after which its response is below 1e-20.
_ZEROS, _POLES, _RINGING = (1.0, -2.0, 1.0), (-1.97354, 0.97417), 4096

Spectrum = NDArray[np.float32]       # [frames, 320], power


@dataclass(frozen=True)
class Comparison:
    """err4, err16: means over all frames of the loudness error to the 4th and to the 16th power, of which err16 is near
    that of the worst frame; in percent of the reference's loudness, which is a root of a sum over its frames, so that
    both are smaller for a longer file (libopus' vectors last tens of seconds). pitch: mean difference of the
    correlation at the reference's pitch, over its voiced frames. frames, voiced: the numbers of compared ones."""

    err4: float
    err16: float
    pitch: float
    frames: int
    voiced: int


def compare(reference: Pcm, output: Pcm) -> Comparison:
    """Compare int16[n] with int16[m], both 16 kHz mono; m may be larger, the rest is ignored.

    Raises InputError for less than 40 ms, more than ten minutes, or an output that ends before the reference.
    """
    count = len(reference)
    if count < WINDOW or count > MAX_SECONDS * SAMPLE_RATE:
        raise InputError(f"the reference lasts {count / SAMPLE_RATE:g} s, expected 0.04 to {MAX_SECONDS} s")
    if len(output) < count:
        raise InputError(f"the output has {len(output)} samples, the reference {count}: expected at least as many")
    x, y = (_high_passed(pcm[:count].astype(np.float64)) for pcm in (reference, output))
    pitch, voiced = _pitch_error(x, y)
    heard, played = _power(x), _power(y)
    for spectrum in (heard, played):
        _spread(spectrum)
    floor = np.float32(_RANGE) * heard.max(axis=1, keepdims=True)
    for spectrum in (heard, played):
        np.maximum(spectrum, floor, out=spectrum)
        _masked(spectrum)
    err4, err16 = _loudness_errors(heard, played)
    return Comparison(err4, err16, pitch, len(heard), voiced)


def read_speech(path: str | Path) -> Pcm:
    """Return int16[n] of an audio file, or of raw samples (16 kHz mono, as opus_demo writes them) by the name's ending.

    Raises InputError for a missing or damaged file, and for one with another sample rate or more channels, because a
    conversion would be compared as well as the decoder.
    """
    from dredge_host.sending.audio import read_audio

    if Path(path).suffix.lower() in RAW_SUFFIXES:
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise InputError(refusal(error, path)) from None
        if len(data) % 2:
            raise InputError(f"{path}: {len(data)} bytes are no 16-bit samples")
        return np.frombuffer(data, "<i2").astype(np.int16)
    audio = read_audio(path)
    if (audio.rate, audio.channels) != (SAMPLE_RATE, 1):
        raise InputError(f"{path}: {audio.rate} Hz with {audio.channels} channels, expected {SAMPLE_RATE} Hz mono")
    return audio.pcm


def document(reference: str, output: str, skip: int, limits: str) -> CompareResult:
    """Return the JSON document of two files. skip: samples by which the output is late (early if negative).

    limits: a name of dredge_host.inspection.limits. Raises InputError.
    """
    x, y = read_speech(reference), read_speech(output)
    x, y = x[max(0, -skip) :], y[max(0, skip) :]
    found = compare(x, y)
    allowed = LIMITS[limits]
    exceeded = allowed.exceeded(asdict(found))
    return {
        "schema": SCHEMA,
        "pass": not exceeded,
        "reference": reference,
        "output": output,
        "seconds": round(len(x) / SAMPLE_RATE, 3),
        "skip": skip,
        "err4": round(found.err4, 4),
        "err16": round(found.err16, 4),
        "pitch": round(found.pitch, 4),
        "frames": found.frames,
        "voiced": found.voiced,
        "limits": {"name": limits, "err4": allowed.err4, "err16": allowed.err16, "pitch": allowed.pitch},
        "exceeded": exceeded,
    }


def _high_passed(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the signal without its part below about 50 Hz: a second-order filter whose response ends after 0.25 s.
    """
    response = np.zeros(_RINGING)
    response[:3] = _ZEROS
    for i in range(1, _RINGING):
        response[i] -= _POLES[0] * response[i - 1] + (_POLES[1] * response[i - 2] if i > 1 else 0.0)
    size = len(samples) + _RINGING
    out: NDArray[np.float64] = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(response, size), size)
    return out[: len(samples)]


def _pitch_error(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, int]:
    """Return the mean difference of the correlations at the reference's pitch, and the voiced frames; 0 without any."""
    sharp = [np.concatenate(([0.0], pcm[1:] - 0.8 * pcm[:-1])) for pcm in (x, y)]
    frames = (len(x) - WINDOW + FRAME_SAMPLES) // FRAME_SAMPLES
    total, voiced = 0.0, 0
    for frame in range(2, frames - 2):
        start = frame * FRAME_SAMPLES
        lags = _correlations(sharp[0], start, _SHORTEST, _LONGEST)
        best = int(np.argmax(lags))
        if lags[best] > _VOICED:
            period = _SHORTEST + best
            total += abs(float(lags[best] - _correlations(sharp[1], start, period, period)[0]))
            voiced += 1
    return (total / voiced if voiced else 0.0), voiced


def _correlations(signal: NDArray[np.float64], start: int, shortest: int, longest: int) -> NDArray[np.float64]:
    """Return the normalised correlation of 20 ms with the samples `shortest` … `longest` samples before."""
    now = signal[start : start + _PITCH_SAMPLES]
    before = signal[start - longest : start - shortest + _PITCH_SAMPLES]
    past = sliding_window_view(before, _PITCH_SAMPLES)[::-1]
    squares = np.concatenate(([0.0], np.cumsum(before * before)))
    energy = (squares[_PITCH_SAMPLES:] - squares[:-_PITCH_SAMPLES])[::-1]
    correlations: NDArray[np.float64] = past @ now / np.sqrt(now @ now * energy + _PITCH_SAMPLES)
    return correlations


def _power(samples: NDArray[np.float64]) -> Spectrum:
    """Return the power of every bin, under a Blackman-Harris window."""
    at = 2 * np.pi * (np.arange(WINDOW) + 0.5) / WINDOW
    window = 0.35875 - 0.48829 * np.cos(at) + 0.14128 * np.cos(2 * at) - 0.01168 * np.cos(3 * at)
    windows = sliding_window_view(samples, WINDOW)[::FRAME_SAMPLES]
    out = np.empty((len(windows), _BINS), np.float32)
    for at_frame in range(0, len(windows), 1024):
        lines = np.fft.rfft(windows[at_frame : at_frame + 1024] * window)[:, :_BINS]
        out[at_frame : at_frame + 1024] = lines.real**2 + lines.imag**2 + _FLOOR
    return out


@lru_cache(maxsize=1)
def _slopes() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the shares of a bin's power that are heard in the bin above (10 dB per Bark) and in the one below (25 dB
    per Bark).
    """
    hertz = SAMPLE_RATE / (2 * _BINS) * np.arange(_BINS)
    bark = 8.288e-8 * hertz / (3.4225e-16 * hertz**4 + 1) + 0.009694 / (5.476e-7 * hertz**2 + 1) + 1e-4
    bark *= SAMPLE_RATE / (2 * _BINS)
    return (0.1**bark).astype(np.float32), (0.0031623**bark).astype(np.float32)


def _spread(spectrum: Spectrum) -> None:
    """Apply masking over frequency in place, scaled so that a flat spectrum is unchanged."""
    up, down = _slopes()
    flat = np.ones((1, _BINS), np.float32)
    for rows in (flat, spectrum):
        for k in range(1, _BINS):
            rows[:, k] += up[k] * rows[:, k - 1]
        for k in range(_BINS - 2, -1, -1):
            rows[:, k] += down[k] * rows[:, k + 1]
    spectrum /= flat


def _masked(spectrum: Spectrum) -> None:
    """Apply masking over time in place: forwards, then backwards."""
    for frame in range(1, len(spectrum)):
        spectrum[frame] += np.float32(_AFTER) * spectrum[frame - 1]
    for frame in range(len(spectrum) - 3, -1, -1):
        spectrum[frame] += np.float32(_BEFORE) * spectrum[frame + 1]


def _loudness_errors(reference: Spectrum, output: Spectrum) -> tuple[float, float]:
    """Return err4 and err16."""
    widths = np.diff(_EDGES)
    # A threshold like the de-emphasis of an Opus decoder, 1 / (1 - 0.85 z^-1) at 48 kHz.
    threshold = (0.1 / (0.15**2 + (np.arange(_BINS) * np.pi / 960) ** 2)).astype(np.float32)
    fourth = sixteenth = loud = 0.0
    for at in range(0, len(reference), 1024):
        x, y = reference[at : at + 1024], output[at : at + 1024]
        heard = (x + threshold) ** np.float32(_LOUDNESS)
        fine = (y + threshold) ** np.float32(_LOUDNESS) - heard
        coarse = (y + 10 * threshold) ** np.float32(_LOUDNESS) - (x + 10 * threshold) ** np.float32(_LOUDNESS)
        # Wide bands count less: their bins' sum is divided by the width twice.
        sums = [np.add.reduceat(values.astype(np.float64) ** 2, _EDGES[:-1], axis=1) / widths**2
                for values in (fine, coarse, heard)]  # fmt: skip
        fourth += float(np.sum(sums[0].mean(axis=1) ** 2))
        sixteenth += float(np.sum((sums[1] ** 2).mean(axis=1) ** 4))
        loud += float(np.sum(sums[2].mean(axis=1)))
    frames = len(reference)
    scale = 100 / np.sqrt(loud)
    return float((fourth / frames) ** (1 / 4) * scale), float((sixteenth / frames) ** (1 / 16) * scale)

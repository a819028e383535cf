# SPDX-License-Identifier: BSD-2-Clause
"""Inputs that several model tests share: speech-like sound made from numbers alone."""

import numpy as np

RATE = 16000


def voice(seconds: float, seed: int = 0) -> np.ndarray:
    """int16 syllables: a pulse train of moving pitch through moving formants, noise, and pauses."""
    rng = np.random.default_rng(seed)
    n = int(seconds * RATE)
    t = np.arange(n) / RATE
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.7 * t + seed) + 10 * np.sin(2 * np.pi * 3.1 * t)
    phase = np.cumsum(pitch) / RATE
    pulses = (np.diff(np.floor(phase), prepend=0) > 0).astype(float)
    hiss = rng.standard_normal(n)
    voiced = np.sin(2 * np.pi * 1.9 * t + 0.3 * seed) > -0.5
    source = np.where(voiced, 40 * pulses + 0.05 * hiss, 0.6 * hiss)
    out = _formant(source, 500 + 250 * np.sin(2 * np.pi * 1.3 * t), 80)
    out = _formant(out, 1500 + 500 * np.sin(2 * np.pi * 0.9 * t + 1), 120)
    envelope = np.clip(1.5 * np.sin(2 * np.pi * 2.3 * t) + 0.8, 0.002, 1)
    out = out * envelope
    return np.round(9000 * out / np.abs(out).max() + rng.uniform(-1, 1, n)).astype(np.int16)


def _formant(x: np.ndarray, centre: np.ndarray, width: float) -> np.ndarray:
    """A two-pole resonance whose centre (Hz) moves."""
    r = np.exp(-np.pi * width / RATE)
    a = 2 * r * np.cos(2 * np.pi * centre / RATE)
    y = np.zeros(len(x) + 2)
    for i in range(len(x)):
        y[i + 2] = x[i] + a[i] * y[i + 1] - r * r * y[i]
    return y[2:] * (1 - r)


def speechlike(frames: int, seed: int = 0) -> np.ndarray:
    """float32 [frames, 20] features of `voice`, as the extractor sees it."""
    from dredge_kernels.features import FeatureExtractor

    pcm = voice(frames / 100 + 0.02, seed)[: 160 * frames]
    return FeatureExtractor().process(pcm)


def band_error(a: np.ndarray, b: np.ndarray) -> float:
    """RMS difference of band levels in dB: cepstra are orthonormal, one bel is 10 dB."""
    return float(10 * np.sqrt(np.mean((a[:, :18] - b[:, :18]) ** 2)))

# SPDX-License-Identifier: BSD-2-Clause
"""Augmentation of feature sequences by gain and noise, as of louder, quieter or noisier recordings."""

import math

import numpy as np

BANDS = 18
FLOOR_C0 = math.sqrt(BANDS) * -2.0 - 4.0      # all bands at the extractor's floor of 0.01
_LOG_E5 = math.log1p(math.exp(5.0))


def dct_matrix() -> np.ndarray:
    """Return the orthonormal matrix [18, 18]: bands = matrix @ cepstrum, cepstrum = bands @ matrix."""
    n = np.arange(BANDS)
    matrix = np.cos(np.pi / BANDS * (n[:, None] + 0.5) * n[None]) * math.sqrt(2 / BANDS)
    matrix[:, 0] *= math.sqrt(0.5)
    return matrix.astype(np.float32)


_DCT = dct_matrix()


def shift_gain(features: np.ndarray, gain_db: np.ndarray) -> None:
    """Add a gain [B] in dB to sequences float32 [T, B, 20], in place; stays above the floor."""
    shift = (math.sqrt(BANDS) / 10 * gain_db).astype(np.float32)
    features[..., 0] = np.maximum(features[..., 0] + shift, FLOOR_C0)


def add_noise(features: np.ndarray, snr_db: float, tilt: np.ndarray) -> None:
    """Add steady noise to one sequence float32 [T, 20], in place.

    snr_db: below the sequence's loud frames (95th percentile); tilt: band shape [18] in bels.
    The correlation is reduced by the noise's share of the energy.
    """
    cepstra = features[:, :BANDS].copy()
    cepstra[:, 0] += 4
    bands = cepstra @ _DCT.T
    top = np.quantile(bands.mean(1), 0.95)
    noise = top - snr_db / 10 + tilt - tilt.mean()
    noisy = np.maximum(bands, noise) + np.log10(1 + 10 ** -np.abs(bands - noise))
    cepstra = noisy @ _DCT
    cepstra[:, 0] -= 4
    share = (10**bands).sum(1) / (10**noisy).sum(1)
    shaped = np.clip((features[:, 19] + 0.5) * _LOG_E5, 1e-3, None)
    corr = np.log(np.expm1(shaped)) / 5
    features[:, :BANDS] = cepstra
    features[:, 19] = np.log1p(np.exp(5 * np.clip(corr * share, -1, 1))) / _LOG_E5 - 0.5


def augment(rng: np.random.Generator, features: np.ndarray) -> None:
    """Change the gain of every sequence of float32 [T, B, 20] at random and add noise to a fifth, in place."""
    batch = features.shape[1]
    for b in np.flatnonzero(rng.random(batch) < 0.2):
        slope = rng.uniform(-1.5, 0.5)
        tilt = np.linspace(0, slope, BANDS) + 0.1 * rng.standard_normal(BANDS)
        add_noise(features[:, b], rng.uniform(8, 35), tilt)
    shift_gain(features, rng.uniform(-20, 10, batch))

# SPDX-License-Identifier: BSD-2-Clause
"""Feature changes must be what the extractor reports for the changed sound."""

from pathlib import Path

import numpy as np
import pytest
import repo_path  # noqa: F401
import soundfile
from model_cases import band_error

from dredge_kernels.features import FeatureExtractor
from models.training.augment import FLOOR_C0, add_noise, augment, dct_matrix, shift_gain

SPEECH = Path(__file__).parent.parent / "data" / "speech_short.flac"


@pytest.fixture(scope="module")
def pcm():
    samples, _ = soundfile.read(SPEECH, dtype="int16")
    return samples[: 160 * 200]


def features(pcm):
    return FeatureExtractor().process(pcm)


@pytest.mark.parametrize("gain_db", [-15.0, -6.0, 6.0])
def test_gain_is_that_of_scaled_sound(pcm, gain_db):
    scaled = np.clip(np.round(pcm * 10 ** (gain_db / 20)), -32768, 32767).astype(np.int16)
    shifted = features(pcm)[:, None].copy()
    shift_gain(shifted, np.array([gain_db]))
    loud = features(pcm)[:, 0] > np.quantile(features(pcm)[:, 0], 0.6)
    assert np.abs(shifted[loud, 0, 0] - features(scaled)[loud, 0]).mean() < 0.4    # 1 dB


def test_gain_stops_at_the_floor():
    rows = np.zeros((3, 2, 20), np.float32)
    shift_gain(rows, np.array([-200.0, 0.0]))
    assert (rows[:, 0, 0] == np.float32(FLOOR_C0)).all() and (rows[:, 1] == 0).all()


def test_floor_is_what_silence_gives():
    assert features(np.zeros(1600, np.int16))[-1, 0] == pytest.approx(FLOOR_C0, abs=0.05)


def test_noise_is_like_noise_in_the_sound(pcm):
    """White noise 15 dB under the loud frames: levels within a few dB, voicing lower."""
    rng = np.random.default_rng(0)
    clean = features(pcm)
    noise = rng.standard_normal(len(pcm)) * 150
    noisy = features(np.round(pcm + noise).clip(-32768, 32767).astype(np.int16))
    basis = dct_matrix()
    alone = features(np.round(noise).astype(np.int16))[10:, :18].mean(0)
    alone[0] += 4
    tilt = basis @ alone
    top = clean[:, :18].copy()
    top[:, 0] += 4
    snr_db = 10 * (np.quantile((top @ basis.T).mean(1), 0.95) - tilt.mean())
    changed = clean.copy()
    add_noise(changed, snr_db, tilt)
    assert band_error(changed, noisy) < 0.5 * band_error(clean, noisy)
    quiet = clean[:, 0] < np.median(clean[:, 0])
    assert changed[quiet, 19].mean() < clean[quiet, 19].mean()


def test_very_little_noise_changes_nothing(pcm):
    clean = features(pcm)
    changed = clean.copy()
    add_noise(changed, 200.0, np.zeros(18))
    np.testing.assert_allclose(changed, clean, atol=2e-2)


def test_random_changes_stay_finite_and_repeat(pcm):
    rows = np.repeat(features(pcm)[:, None], 12, 1)
    a, b = rows.copy(), rows.copy()
    augment(np.random.default_rng(5), a)
    augment(np.random.default_rng(5), b)
    np.testing.assert_array_equal(a, b)
    assert np.isfinite(a).all() and (a != rows).any()
    assert (a[..., 19] >= -0.51).all() and (a[..., 19] <= 0.51).all()

# SPDX-License-Identifier: BSD-2-Clause
"""Features against their written definition, a known pitch, and libopus' own values."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from dredge_kernels.features import FeatureExtractor, lpc_from_cepstrum

EDGES = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 34, 40]) * 4
VECTORS = os.environ.get("DREDGE_VECTORS")
CLIP = Path(__file__).parents[1] / "data" / "speech_short.flac"


def noise(n, seed=0, scale=1000.0):
    return np.rint(np.random.default_rng(seed).normal(0, scale, n)).astype(np.int16)


def pulses(period, n, amplitude=8000):
    x = np.zeros(n)
    x[np.round(np.arange(0, n - 1, period)).astype(int)] = amplitude
    kernel = 0.9 ** np.arange(60)
    return np.convolve(x, kernel)[:n].clip(-32768, 32767).astype(np.int16)


def plain_cepstrum(pcm):
    """The definition in NumPy double precision, frame by frame."""
    x = pcm.astype(float)
    pre = x - 0.85 * np.concatenate([[0], x[:-1]])
    pre = np.concatenate([np.zeros(160), pre])
    half = np.sin(np.pi / 2 * np.sin(np.pi * (np.arange(160) + 0.5) / 320) ** 2)
    window = np.concatenate([half, half[::-1]])
    dct = np.cos(np.pi / 18 * (np.arange(18)[:, None] + 0.5) * np.arange(18)) * np.sqrt(2 / 18)
    dct[:, 0] *= np.sqrt(0.5)
    rows = []
    for i in range(len(pcm) // 160):
        power = np.abs(np.fft.rfft(pre[160 * i : 160 * i + 320] * window) / 320) ** 2
        rows.append(floored(np.log10(0.01 + bands(power))) @ dct)
    c = np.array(rows)
    c[:, 0] -= 4
    return c


def bands(power):
    energy = np.zeros(18)
    for b in range(17):
        f = np.arange(EDGES[b + 1] - EDGES[b]) / (EDGES[b + 1] - EDGES[b])
        p = power[EDGES[b] : EDGES[b + 1]]
        energy[b] += ((1 - f) * p).sum()
        energy[b + 1] += (f * p).sum()
    energy[[0, -1]] *= 2
    return energy


def floored(level):
    top = follow = -2.0
    for b in range(18):
        level[b] = max(level[b], top - 8, follow - 2.5)
        top, follow = max(top, level[b]), max(follow - 2.5, level[b])
    return level


@pytest.mark.parametrize("scale", [0, 3, 300, 12000])
def test_cepstrum_follows_its_definition(scale):
    pcm = noise(3200, scale, scale)
    np.testing.assert_allclose(FeatureExtractor().process(pcm)[:, :18], plain_cepstrum(pcm), atol=2e-4)


@pytest.mark.parametrize("period", [33, 41, 57, 80, 100, 133.3, 160, 200, 250])
def test_pitch_of_a_pulse_train(period):
    f = FeatureExtractor().process(pulses(period, 16000))[20:]
    got = 256 / 2 ** (f[:, 18] + 1.5)
    assert np.median(np.abs(got / period - 1)) < 0.012
    assert f[:, 19].mean() > 0.25


def test_noise_is_not_voiced():
    assert FeatureExtractor().process(noise(32000))[20:, 19].mean() < -0.1


def test_pitch_follows_a_glide():
    """A period between two samples matches its double better, for an ideal pulse train: a few frames may be low."""
    t = np.arange(48000) / 16000
    phase = np.cumsum(110 * 2 ** (t / 3)) / 16000
    x = np.zeros(48000)
    x[np.flatnonzero(np.diff(np.floor(phase)) > 0)] = 8000
    x = np.convolve(x, 0.9 ** np.arange(60))[:48000].astype(np.int16)
    f = FeatureExtractor().process(x)[20:-2]
    expected = np.log2(256 * 110 * 2 ** (t[160 * 20 :: 160][: len(f)] / 3) / 16000) - 1.5
    error = np.abs(f[:, 18] - expected)
    assert np.median(error) < 0.005
    assert (error < 0.1).mean() > 0.9


def test_any_portions_give_the_same_stream():
    pcm = noise(160 * 20)
    whole, parts = FeatureExtractor().process(pcm), FeatureExtractor()
    rows = [parts.process(pcm[160 * a : 160 * b]) for a, b in ((0, 1), (1, 8), (8, 8), (8, 20))]
    np.testing.assert_array_equal(np.concatenate(rows), whole)
    parts.reset()
    np.testing.assert_array_equal(parts.process(pcm), whole)


def test_predictor_whitens_speech():
    pcm, _ = sf.read(CLIP, dtype="int16")
    pcm = pcm[: len(pcm) // 160 * 160]
    lpc = lpc_from_cepstrum(FeatureExtractor().process(pcm)[:, :18])
    pre = pcm[1:].astype(float) - 0.85 * pcm[:-1]
    gains = []
    for i in range(10, len(lpc) - 2):
        x = pre[160 * i - 120 : 160 * i + 80]
        residual = x[16:] + sum(lpc[i, k] * x[15 - k : len(x) - 1 - k] for k in range(16))
        gains.append(10 * np.log10((x[16:] @ x[16:] + 1) / (residual @ residual + 1)))
    assert np.mean(gains) > 5.0  # dB


def test_predictor_of_a_flat_spectrum_is_nearly_none():
    c = plain_cepstrum(noise(3200))
    assert np.abs(lpc_from_cepstrum(c.astype(np.float32))).max() < 1.0


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**31), st.floats(-3, 4))
def test_any_cepstrum_gives_a_finite_predictor(seed, size):
    rng = np.random.default_rng(seed)
    c = rng.normal(0, 1, (20, 18)) * 10**size
    c[10:] = 20 * np.sign(np.cos((rng.integers(0, 18, 10)[:, None] + 0.5) * np.arange(18) * np.pi / 18))
    assert np.isfinite(lpc_from_cepstrum(c.astype(np.float32))).all()


@given(st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_any_samples_give_features_in_range(seed):
    rng = np.random.default_rng(seed)
    f = FeatureExtractor().process(rng.integers(-32768, 32768, 1600).astype(np.int16))
    assert np.isfinite(f).all()
    assert (f[:, 18] >= -1.5).all() and (f[:, 18] <= 1.5).all()
    assert (f[:, 19] >= -0.5).all() and (f[:, 19] <= 0.51).all()


@pytest.mark.parametrize("bad", [np.zeros(160), np.zeros(159, np.int16), np.zeros((2, 160), np.int16)])
def test_wrong_samples_are_refused(bad):
    with pytest.raises(ValueError, match="expected int16 of a multiple of 160"):
        FeatureExtractor().process(bad)


def test_wrong_cepstra_are_refused():
    with pytest.raises(ValueError, match=r"expected shape \(n, 18\)"):
        lpc_from_cepstrum(np.zeros((3, 17), np.float32))


@pytest.mark.vectors
@pytest.mark.skipif(not VECTORS, reason="needs vectors: set DREDGE_VECTORS")
def test_values_of_libopus():
    with np.load(Path(VECTORS or "") / "v4_B44k30" / "enc.npz") as z:
        pcm, expected = z["enc_pcm16k"], z["enc_features"]
    got = FeatureExtractor().process(np.rint(pcm.ravel()).clip(-32768, 32767).astype(np.int16))
    assert np.sqrt(np.mean((got[:, :18] - expected[:, :18]) ** 2)) < 0.01
    lpc = lpc_from_cepstrum(expected[:, :18])
    assert np.median(np.abs(lpc - expected[:, 20:36])) < 1e-3
    voiced = expected[:, 19] > 0.2
    agree = np.abs(got[voiced, 18] - expected[voiced, 18]) < 0.05
    assert agree.mean() > 0.95  # another tracker, the same speech

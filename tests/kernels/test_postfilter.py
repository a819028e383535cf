# SPDX-License-Identifier: BSD-2-Clause
"""The postfilter: right energies, right time, harmless on good speech."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from dredge_kernels.features import FeatureExtractor
from dredge_kernels.postfilter import DELAY, Postfilter

CLIP = Path(__file__).parents[1] / "data" / "speech_short.flac"


@pytest.fixture(scope="module")
def speech():
    pcm, _ = sf.read(CLIP, dtype="int16")
    pcm = pcm[: len(pcm) // 160 * 160]
    late = np.concatenate([np.zeros(80, np.int16), pcm, np.zeros(240, np.int16)])
    return pcm, FeatureExtractor().process(late)[1 : len(pcm) // 160 + 1]


def level_db(x):
    return 10 * np.log10(np.mean(x.astype(float) ** 2) + 1)


def test_good_speech_comes_back_one_frame_later(speech):
    pcm, f = speech
    y = Postfilter().process(pcm, f)[DELAY:].astype(float)
    x = pcm[:-DELAY].astype(float)
    assert np.corrcoef(x, y)[0, 1] > 0.9
    lags = range(-40, 41)
    score = [np.dot(x[100:-100], np.roll(y, -lag)[100:-100]) for lag in lags]
    assert list(lags)[int(np.argmax(score))] == 0


@pytest.mark.parametrize("gain", [0.25, 3.0])
def test_wrong_level_is_corrected(speech, gain):
    pcm, f = speech
    pcm = (pcm // 4).astype(np.int16)
    late = np.concatenate([np.zeros(80, np.int16), pcm, np.zeros(240, np.int16)])
    f = FeatureExtractor().process(late)[1 : len(pcm) // 160 + 1]
    plain, changed = (level_db(Postfilter().process((pcm * g).astype(np.int16), f)) for g in (1.0, gain))
    assert abs(changed - plain) < 1.0
    assert abs(changed - level_db(pcm)) < 0.6


def test_contrast_makes_nothing_louder(speech):
    """Block by block: the strongest bands rise, the level stays."""
    pcm, f = speech
    y = Postfilter().process(pcm, f)[DELAY:].reshape(-1, 160)
    x = pcm[:-DELAY].reshape(-1, 160)
    apart = [level_db(b) - level_db(a) for a, b in zip(x, y, strict=True) if level_db(a) > 40]
    assert len(apart) > 100 and abs(np.mean(apart)) < 0.5


def test_wrong_spectrum_is_corrected(speech):
    """White noise with the features of speech gets the spectrum of speech."""
    pcm, f = speech
    noise = np.random.default_rng(0).normal(0, 800, len(pcm)).astype(np.int16)
    y = Postfilter().process(noise, f)
    late = np.concatenate([y[DELAY:], np.zeros(400, np.int16)])
    late = np.concatenate([np.zeros(80, np.int16), late])
    got = FeatureExtractor().process(late[: len(late) // 160 * 160])[1 : len(f) - 1]
    wanted = f[: len(got)]
    active = wanted[:, 0] > np.median(wanted[:, 0])
    for c in (0, 1, 2):
        assert np.corrcoef(got[active, c], wanted[active, c])[0, 1] > 0.8


def test_noise_between_harmonics_falls():
    """A 200 Hz pulse train in noise: the comb keeps the pulses and lowers the rest."""
    rng, n = np.random.default_rng(1), 16000
    x = np.zeros(n)
    x[::80] = 6000
    noisy = (x + rng.normal(0, 400, n)).astype(np.int16)
    f = FeatureExtractor().process(noisy)
    voiced, unvoiced = f.copy(), f.copy()
    voiced[:, 18], voiced[:, 19], unvoiced[:, 19] = np.log2(256 / 80) - 1.5, 0.5, -0.5
    share = []
    for rows in (voiced, unvoiced):
        power = np.abs(np.fft.rfft(Postfilter().process(noisy, rows)[1600:-800].astype(float) * np.hanning(13600))) ** 2
        hz = np.fft.rfftfreq(13600, 1 / 16000)
        share.append(power[np.abs(hz % 200 - 100) < 60].sum() / power.sum())
    assert share[0] < 0.6 * share[1]


def test_any_portions_give_the_same_samples(speech):
    pcm, f = speech
    whole, post = Postfilter().process(pcm[:8000], f[:50]), Postfilter()
    parts = [post.process(pcm[160 * a : 160 * b], f[a:b]) for a, b in ((0, 1), (1, 20), (20, 20), (20, 50))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    post.reset()
    np.testing.assert_array_equal(post.process(pcm[:8000], f[:50]), whole)


def test_reset_takes_up_the_last_sample():
    post = Postfilter()
    post.reset(10000)
    y = post.process(np.zeros(160, np.int16), np.zeros((1, 20), np.float32))
    np.testing.assert_allclose(y[:5], 10000 * 0.85 ** np.arange(1, 6), atol=1)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.floats(-2, 4))
def test_any_input_gives_bounded_output(seed, size):
    rng = np.random.default_rng(seed)
    f = (rng.normal(0, 1, (8, 20)) * 10**size).astype(np.float32)
    y = Postfilter().process(rng.integers(-32768, 32768, 1280).astype(np.int16), f)
    assert y.shape == (1280,) and np.abs(y.astype(int)).max() <= 32767


@pytest.mark.parametrize("size", [1e3, 1e20, 3e38])
def test_features_beyond_all_bounds_leave_no_trace(size):
    """Sums of large finite numbers overflow; what was not a number once would be in every later sample."""
    rng = np.random.default_rng(6)
    speech, calm = rng.integers(-3000, 3000, 60 * 160).astype(np.int16), np.zeros((60, 20), np.float32)
    wild = np.full((8, 20), size, np.float32) * rng.choice([-1, 1], (8, 20)).astype(np.float32)
    spoilt, fresh = Postfilter(), Postfilter()
    bounded = spoilt.process(rng.integers(-32768, 32767, 8 * 160).astype(np.int16), wild)
    assert np.abs(bounded.astype(int)).max() <= 32767
    after, wanted = spoilt.process(speech, calm), fresh.process(speech, calm)
    assert np.array_equal(after[20 * 160 :], wanted[20 * 160 :])


@pytest.mark.parametrize(("pcm", "f", "name"), [
    (np.zeros(160, np.int16), np.zeros((2, 20), np.float32), "pcm"),
    (np.zeros(160), np.zeros((1, 20), np.float32), "pcm"),
    (np.zeros(160, np.int16), np.zeros((1, 19), np.float32), "features"),
    (np.zeros(160, np.int16), np.full((1, 20), np.nan, np.float32), "features"),
])
def test_wrong_input_is_refused(pcm, f, name):
    with pytest.raises(ValueError, match=name):
        Postfilter().process(pcm, f)


def test_after_priming_the_first_whole_frame_is_as_if_all_had_been_filtered(speech):
    """What priming leaves out is heard before: the shaped frames of the real speech."""
    pcm, f = speech
    whole, primed = Postfilter(), Postfilter()
    whole.process(pcm[: 160 * 40], f[:40])
    primed.prime(pcm[160 * 36 : 160 * 40], f[39:40])
    a, b = (p.process(pcm[160 * 40 : 160 * 44], f[40:44]) for p in (whole, primed))
    np.testing.assert_allclose(a[320:], b[320:], atol=1)
    with pytest.raises(ValueError, match="prime"):
        primed.prime(pcm[:100], f[:1])


def test_the_last_frame_goes_on_by_its_pitch_period():
    """Of a periodic sound nothing is a guess."""
    t = np.arange(160 * 12)
    pcm = (6000 * np.sin(2 * np.pi * t / 80)).astype(np.int16)
    late = np.concatenate([np.zeros(80, np.int16), pcm, np.zeros(240, np.int16)])
    f = FeatureExtractor().process(late)[1:13]
    a, b = Postfilter(), Postfilter()
    a.process(pcm[:1600], f[:10])
    b.process(pcm[:1600], f[:10])
    expected = b.process(pcm[1600:1760], f[10:11]).astype(float)
    assert np.abs(a.finish(f[10:11]) - expected).max() < 0.02 * np.abs(expected).max()
    with pytest.raises(ValueError, match="1, 20"):
        a.finish(f[:2])

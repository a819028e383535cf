# SPDX-License-Identifier: BSD-2-Clause
"""The background is found behind speech, and features are lifted to it; noise made of it sounds like it."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from dredge_kernels.background import MOMENT, Background
from dredge_kernels.features import FeatureExtractor

SPEECH = soundfile.read(Path(__file__).parents[1] / "data" / "speech_short.flac", dtype="int16")[0][:64000]
FIRST = np.eye(18)[0]
BANDS = np.cos(np.pi / 18 * np.outer(np.arange(18), np.arange(18) + 0.5)) * np.sqrt(2 / 18)
BANDS[0] *= np.sqrt(0.5)
SILENT = np.zeros((1, 20), np.float32)
SILENT[:, 0] = -2 * np.sqrt(18) - 4


def levels(rows):
    """Band levels, dB."""
    return 10 * (rows[:, :18] + 4 * FIRST) @ BANDS


def noise(kind, dbfs, samples=64000):
    made = np.random.default_rng(4).standard_normal(samples)
    hertz = np.fft.rfftfreq(samples, 1 / 16000)
    if kind in ("pink", "band"):
        shape = 1 / np.hypot(1, hertz / 270) if kind == "pink" else 1 / (1 + ((hertz - 1900) / 1000) ** 4)
        made = np.fft.irfft(np.fft.rfft(made) * shape, samples)
    elif kind == "hum":
        made = np.sum([np.sin(2 * np.pi * 100 * k * np.arange(samples) / 16000 + k) / k for k in range(1, 9)], axis=0)
    return made * 32768 * 10 ** (dbfs / 20) / made.std()


def heard(pcm, every=1600):
    background = Background()
    pcm = np.clip(np.rint(pcm), -32768, 32767).astype(np.int16)
    for at in range(0, len(pcm) - MOMENT, every):
        background.hear(pcm[at : at + MOMENT])
    return background


def of(pcm):
    """Mean band energies of a signal, dB."""
    rows = FeatureExtractor().process(np.rint(pcm).astype(np.int16))[4:]
    return 10 * np.log10(np.mean(10 ** (levels(rows) / 10), axis=0))


@pytest.mark.parametrize("kind", ["white", "pink", "band", "hum"])
@pytest.mark.parametrize("dbfs", [-30, -55])
def test_steady_noise_is_found(kind, dbfs):
    made = noise(kind, dbfs)
    away = levels(heard(made).lift(SILENT))[0] - of(made)
    assert np.abs(away).max() < 6 and np.abs(away).mean() < 2.5


@pytest.mark.parametrize("dbfs", [-45, -30])
def test_noise_is_found_behind_speech(dbfs):
    """Where speech has pauses, its level does not matter."""
    made = noise("white", dbfs)
    away = levels(heard(SPEECH + made).lift(SILENT))[0] - of(made)
    assert away.min() > -10 and away.max() < 4 and np.abs(away).mean() < 2.5


def test_noise_made_of_it_is_as_loud_in_every_band():
    for kind, dbfs in (("white", -55), ("pink", -30), ("band", -30)):
        background = heard(noise(kind, dbfs))
        wanted, got = levels(background.lift(SILENT))[0], of(background.noise(100))
        told = wanted > max(0, wanted.max() - 25)  # else lost in rounding, or in what louder bands leak
        assert np.abs(wanted - got)[told].mean() < 1.5 and told.any()
        one, two = background.noise(7), background.noise(7)
        assert len(one) == 1120 and not np.array_equal(one, two)
        step = np.abs(np.diff(np.concatenate([one, two]).astype(int)))
        assert step[1119] <= step.max()


def test_speech_without_a_pause_is_no_background():
    """1.2 s of nothing but voiced speech: what lies under it is not known, and vowels are not it."""
    rng, at = np.random.default_rng(7), np.arange(19200) / 16000
    loud = np.zeros(19200)
    for begin in range(0, 19200, 1600):  # another vowel every 100 ms
        piece = slice(begin, begin + 1600)
        peaks = rng.uniform(200, 3500, 3)
        for k in range(1, 30):
            loud[piece] += np.sum(1 / (1 + ((120 * k - peaks) / 100) ** 2)) * np.sin(2 * np.pi * 120 * k * at[piece])
    pcm = 8000 * loud / np.abs(loud).max()
    floor, mean = levels(heard(pcm).lift(SILENT))[0], of(pcm)
    assert (mean - floor).mean() > 12


def test_rows_above_it_do_not_change_by_a_bit():
    background = heard(noise("white", -70))
    rows = FeatureExtractor().process(SPEECH)
    lifted = background.lift(rows)
    floor = levels(background.lift(SILENT))[0]
    above = (levels(rows) > floor + 0.01).all(axis=1)
    assert 0.1 < above.mean() < 0.99
    np.testing.assert_array_equal(lifted[above], rows[above])
    np.testing.assert_array_equal(lifted[:, 18:], rows[:, 18:])
    assert (levels(lifted) > floor - 0.01).all() and (levels(lifted) > levels(rows) - 0.01).all()


def test_louder_noise_is_found_within_a_second():
    made = np.concatenate([noise("white", -50), 4 * noise("white", -50, 17600)])
    away = levels(heard(made).lift(SILENT))[0] - of(made[-16000:])
    assert away.min() > -7 and away.max() < 2 and np.abs(away).mean() < 3
    speech = SPEECH + noise("white", -50)
    before, after = (levels(heard(pcm).lift(SILENT))[0] for pcm in (speech, np.concatenate([speech, speech[:17600]])))
    assert np.abs(after - before).max() < 4  # a second of speech is not taken for noise


def test_a_background_is_added_to_what_was_described_without_it():
    made = noise("white", -40)
    background = heard(made)
    rows = np.repeat(background.lift(SILENT), 4, axis=0)
    rows[:, 0] += np.float32(np.sqrt(18)) * np.array([-1.2, 0, 0.7, 2.2], np.float32)
    rise = levels(background.lift(rows, denoised=True)) - levels(rows)
    expected = 10 * np.log10(1 + 10 ** np.array([1.2, 0, -0.7, -9]))
    np.testing.assert_allclose(rise, np.repeat(expected[:, np.newaxis], 18, axis=1), atol=0.1)
    np.testing.assert_array_equal(background.lift(rows)[2:], rows[2:])
    faint = heard(noise("white", -60))
    rows = np.repeat(faint.lift(SILENT), 2, axis=0)
    np.testing.assert_array_equal(faint.lift(rows, denoised=True), faint.lift(rows))


def test_noise_that_ends_is_forgotten_and_silence_is_silence():
    background = heard(noise("white", -30))
    assert levels(background.lift(SILENT)).min() > 0
    for _ in range(2):
        background.hear(np.zeros(MOMENT, np.int16))
    assert not background.noise(10)[160:].any()
    background.reset()
    np.testing.assert_array_equal(background.lift(SILENT), SILENT)
    fresh = Background()
    for _ in range(3):
        fresh.hear(np.full(MOMENT, 1000, np.int16))
    np.testing.assert_array_equal(fresh.lift(SILENT), SILENT)  # three moments may all be speech


def test_wrong_input_is_refused_and_extremes_are_not():
    background = Background()
    for bad in (np.zeros(MOMENT), np.zeros(MOMENT - 1, np.int16), np.zeros((2, MOMENT), np.int16)):
        with pytest.raises(ValueError, match="expected int16 of 960"):
            background.hear(bad)
    for rows in (np.zeros(20), np.zeros((2, 19)), np.full((1, 20), np.nan), np.full((1, 20), np.inf)):
        with pytest.raises(ValueError, match="finite"):
            background.lift(rows)
    for frames in (-1, 101):
        with pytest.raises(ValueError, match="frames"):
            background.noise(frames)
    assert background.noise(0).shape == (0,) and background.lift(np.zeros((0, 20))).shape == (0, 20)
    loudest = np.where(np.random.default_rng(1).random(MOMENT) < 0.5, -32768, 32767).astype(np.int16)
    for _ in range(50):
        background.hear(loudest)
    assert np.abs(background.noise(100).astype(int)).max() <= 32767
    assert np.isfinite(background.lift(np.full((3, 20), 3e38))).all()
    assert np.isfinite(background.lift(np.full((3, 20), -3e38))).all()

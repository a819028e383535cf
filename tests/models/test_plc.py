# SPDX-License-Identifier: BSD-2-Clause
"""The concealment predictor: better than holding, fades, never a stuck tone."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from model_cases import band_error, speechlike

from dredge_kernels.features import FeatureExtractor
from dredge_models.plc import HOLD, SILENCE_C0, STEEPEST, PlcPredictor, fade, silence

SPEECH = Path(__file__).parent.parent / "data" / "speech_short.flac"


@pytest.fixture(scope="module")
def predictor():
    return PlcPredictor()


@pytest.fixture(scope="module")
def speech():
    samples, _ = soundfile.read(SPEECH, dtype="int16")
    return FeatureExtractor().process(samples[: 160 * (len(samples) // 160)])


def hear(predictor, rows):
    predictor.reset()
    for row in rows:
        predictor.update(row)
    return predictor


def test_fade_is_flat_then_steady():
    assert [fade(i) for i in range(HOLD)] == [0.0] * HOLD
    falls = np.diff([fade(i) for i in range(60)])
    assert (falls >= 0).all() and falls.max() == pytest.approx(STEEPEST)
    assert (np.diff(falls) >= -1e-9).all()


def test_short_losses_are_better_than_holding(predictor, speech):
    """40 ms bursts all over real speech: closer to the truth than repeating the last frame."""
    own, held = [], []
    for t in range(60, len(speech) - 8, 11):
        hear(predictor, speech[t - 40 : t])
        guess = np.array([predictor.predict() for _ in range(4)])
        own.append(band_error(guess, speech[t : t + 4]))
        held.append(band_error(np.repeat(speech[t - 1 : t], 4, 0), speech[t : t + 4]))
    assert np.mean(own) < 0.97 * np.mean(held)


def test_level_is_kept_for_60_ms_and_gone_after_300(predictor, speech):
    loud = [t for t in range(60, len(speech)) if speech[t - 3 : t, 0].min() > 5]
    assert loud
    for t in loud[::20]:
        hear(predictor, speech[max(0, t - 200) : t])
        rows = np.array([predictor.predict() for _ in range(40)])
        assert rows[1, 0] > speech[t - 1, 0] - 6
        assert rows[35:, 0].max() < SILENCE_C0 + 1


def test_no_stuck_tone(predictor, speech):
    """Voicing dies with the level, whatever came before."""
    for t in range(50, len(speech), 60):
        hear(predictor, speech[t - 50 : t])
        rows = np.array([predictor.predict() for _ in range(60)])
        assert rows[40:, 19].max() < -0.45


def test_predictions_stay_bounded_for_ever(predictor):
    hear(predictor, speechlike(60))
    for _ in range(1000):
        row = predictor.predict()
        assert np.isfinite(row).all() and np.abs(row).max() <= 20


def test_a_received_frame_ends_the_fade(predictor, speech):
    hear(predictor, speech[:80])
    for _ in range(30):
        predictor.predict()
    assert predictor.lost == 30
    predictor.update(speech[110])
    assert predictor.lost == 0
    assert predictor.predict()[0] > speech[110, 0] - 6


def test_before_the_first_frame_there_is_silence(predictor):
    predictor.reset()
    np.testing.assert_array_equal(predictor.predict(), silence())
    for _ in range(20):
        assert predictor.predict()[0] < SILENCE_C0 + 8


def test_shown_rows_are_independent_of_later_calls(predictor, speech):
    hear(predictor, speech[:50])
    first = predictor.predict()
    kept = first.copy()
    predictor.predict()
    np.testing.assert_array_equal(first, kept)


def test_reset_makes_runs_equal(predictor, speech):
    runs = [[hear(predictor, speech[:60]).predict(), predictor.predict()] for _ in range(2)]
    np.testing.assert_array_equal(*runs)


@pytest.mark.parametrize("bad", [np.zeros(19, np.float32), np.full(20, np.nan, np.float32)])
def test_bad_frames_are_refused(predictor, bad):
    with pytest.raises(ValueError, match="feature: expected 20 finite values"):
        predictor.update(bad)


def test_a_refused_frame_changes_nothing(predictor, speech):
    hear(predictor, speech[:60])
    with pytest.raises(ValueError):
        predictor.update(np.full(20, np.inf, np.float32))
    after = predictor.predict()
    np.testing.assert_array_equal(after, hear(predictor, speech[:60]).predict())

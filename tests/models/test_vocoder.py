# SPDX-License-Identifier: BSD-2-Clause
"""The shipped vocoder: goes on from real speech, keeps pitch, level and time."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from dredge_kernels.features import FeatureExtractor
from dredge_kernels.lpcnet import simd_levels
from dredge_models.registry import ModelError
from dredge_models.vocoder import Vocoder

CLIP = Path(__file__).parents[1] / "data" / "speech_short.flac"


@pytest.fixture(scope="module")
def speech():
    """Samples, and features whose row i describes samples 160 i … 160 i + 159."""
    pcm, _ = sf.read(CLIP, dtype="int16")
    pcm = pcm[: len(pcm) // 160 * 160]
    late = np.concatenate([np.zeros(80, np.int16), pcm, np.zeros(240, np.int16)])
    return pcm, FeatureExtractor().process(late)[1 : len(pcm) // 160 + 1]


def resynthesised(speech, start=40, frames=200, level=None, portion=2):
    pcm, f = speech
    vocoder = Vocoder(level=level)
    vocoder.begin(pcm[: start * 160], f[:start], f[start : start + 2])
    out = [vocoder.synthesise(f[i - 2 : i + portion + 2]) for i in range(start, start + frames, portion)]
    return np.concatenate(out)


def test_bands_follow_the_features(speech):
    pcm, f = speech
    y = resynthesised(speech)
    level = [10 * np.log10(np.mean(x.astype(float) ** 2)) for x in (y, pcm[40 * 160 : 240 * 160])]
    assert abs(level[0] - level[1]) < 0.8
    late = np.concatenate([np.zeros(80, np.int16), y, np.zeros(240, np.int16)])
    got = FeatureExtractor().process(late)[3:199]
    wanted = f[42:238]
    assert np.corrcoef(got[:, 0], wanted[:, 0])[0, 1] > 0.95
    assert np.corrcoef(got[:, 1], wanted[:, 1])[0, 1] > 0.9
    voiced = wanted[:, 19] > 0.2
    assert np.median(np.abs(got[voiced, 18] - wanted[voiced, 18])) < 0.02


def test_recovered_speech_is_in_time(speech):
    pcm, _ = speech
    y = resynthesised(speech).astype(float)
    x = pcm[40 * 160 : 240 * 160].astype(float)

    def envelope(v):
        return np.sqrt(np.convolve(v**2, np.hanning(160), "same"))

    ex, ey = envelope(x), envelope(y)
    lags = range(-160, 161, 8)
    score = [np.corrcoef(ex[200:-200], np.roll(ey, -lag)[200:-200])[0, 1] for lag in lags]
    assert abs(list(lags)[int(np.argmax(score))]) <= 32  # 2 ms


def test_no_step_where_real_speech_ends(speech):
    pcm, _ = speech
    for start in range(30, 200, 17):
        y = resynthesised(speech, start, 2)
        near = np.abs(np.diff(np.concatenate([pcm[start * 160 - 480 : start * 160], y[:160]]).astype(int)))
        step = abs(int(y[0]) - int(pcm[start * 160 - 1]))
        assert step <= max(near[:-160].max(), near[-159:].max()) + 64


@pytest.mark.parametrize("level", simd_levels())
def test_every_level_speaks_the_same_samples(speech, level):
    np.testing.assert_array_equal(resynthesised(speech, 60, 6, level), resynthesised(speech, 60, 6, "scalar"))


def test_known_context_makes_portions_equivalent(speech):
    """Only the look-ahead beyond the last row is guessed, so long portions differ from short ones a little."""
    short, long = resynthesised(speech, frames=40), resynthesised(speech, frames=40, portion=40)
    assert short.shape == long.shape == (6400,)
    assert np.corrcoef(np.abs(short).astype(float), np.abs(long).astype(float))[0, 1] > 0.3


def test_same_seed_same_speech(speech):
    np.testing.assert_array_equal(resynthesised(speech, frames=6), resynthesised(speech, frames=6))


def test_reset_forgets(speech):
    pcm, f = speech
    vocoder = Vocoder()
    runs = []
    for _ in range(2):
        vocoder.begin(pcm[:6400], f[:40])
        runs.append(vocoder.synthesise(f[38:44]))
        vocoder.reset()
    np.testing.assert_array_equal(*runs)


def test_the_tail_is_the_frame_that_the_network_is_ahead(speech):
    """It goes on as synthesis would; only what comes after it is a guess."""
    pcm, f = speech
    voices = [Vocoder(), Vocoder()]
    for voice in voices:
        voice.begin(pcm[: 60 * 160], f[:60], f[60:62])
        voice.synthesise(f[58:64])
    tail, more = voices[0].tail(f[60:65]).astype(float), voices[1].synthesise(f[60:65]).astype(float)
    assert tail.shape == (160,)
    assert np.corrcoef(tail[:80], more[:80])[0, 1] > 0.9


def test_a_second_gap_begins_like_the_first(speech):
    """The network goes on from the state that the last gap left; what was real before the gap decides."""
    pcm, f = speech
    vocoder = Vocoder()
    levels = []
    for start in (60, 60, 60):
        vocoder.begin(pcm[: start * 160], f[:start], f[start : start + 2])
        out = np.concatenate([vocoder.synthesise(f[i - 2 : i + 4]) for i in range(start, start + 20, 2)])
        levels.append(10 * np.log10(np.mean(out.astype(float) ** 2)))
    assert np.ptp(levels) < 2


def test_a_short_track_is_enough_to_begin(speech):
    pcm, f = speech
    vocoder = Vocoder()
    vocoder.begin(pcm[6400:7040], f[40:41])
    assert vocoder.synthesise(f[42:48]).shape == (320,)


def test_wrong_input_is_refused(speech):
    pcm, f = speech
    vocoder = Vocoder()
    with pytest.raises(ValueError, match="at least 480 samples"):
        vocoder.begin(pcm[:479], f)
    with pytest.raises(ValueError, match="m >= 1"):
        vocoder.begin(pcm[:640], f[:0])
    with pytest.raises(ValueError, match="k >= 1"):
        vocoder.synthesise(f[:4])
    with pytest.raises(ValueError, match="finite"):
        vocoder.synthesise(np.full((6, 20), np.nan, np.float32))


def test_unknown_model_is_a_model_error():
    with pytest.raises(ModelError, match="vocoder_huge"):
        Vocoder("huge")

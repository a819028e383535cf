# SPDX-License-Identifier: BSD-2-Clause
"""ESTOI: 1 for the same speech, less with damage, the same figure every time, None without speech."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from dredge_host.evaluation.judging.metrics import SEGMENT, estoi

pytest.importorskip("pystoi", reason="needs pystoi: dredge extras add metrics")

SPEECH = soundfile.read(Path(__file__).parents[3] / "data" / "speech_short.flac", dtype="int16")[0]


def with_noise(snr_db: float) -> np.ndarray:
    noise = np.random.default_rng(3).standard_normal(len(SPEECH))
    gain = np.sqrt(np.mean(SPEECH.astype(float) ** 2) / 10 ** (snr_db / 10))
    return np.clip(SPEECH + gain * noise, -32768, 32767).astype(np.int16)


def with_gaps(packets: int, every: int = 40) -> np.ndarray:
    gaps = SPEECH.copy()
    for start in range(10 * 320, len(gaps), every * 320):
        gaps[start : start + packets * 320] = 0
    return gaps


def test_the_same_speech_is_one_whatever_its_level():
    assert estoi(SPEECH, SPEECH) == pytest.approx(1.0, abs=1e-6)
    assert estoi(SPEECH, SPEECH // 4) == pytest.approx(1.0, abs=0.01)


def test_it_falls_with_noise_and_with_longer_gaps():
    noisy = [estoi(SPEECH, with_noise(snr)) for snr in (20, 10, 0, -10)]
    gappy = [estoi(SPEECH, with_gaps(packets)) for packets in (1, 4, 12, 30)]
    for scores in (noisy, gappy):
        assert scores == sorted(scores, reverse=True) and len(set(scores)) == 4
        assert 0.0 < scores[-1] < scores[0] < 1.0


def test_unrelated_speech_is_near_zero():
    assert abs(estoi(SPEECH, np.roll(SPEECH, 20000))) < 0.25
    assert abs(estoi(SPEECH, np.zeros_like(SPEECH))) < 0.05


def test_it_is_repeatable_and_leaves_the_generator_alone():
    np.random.seed(42)
    before = np.random.get_state()[1].copy()
    first = estoi(SPEECH, with_gaps(4))
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    np.random.seed(7)
    assert estoi(SPEECH, with_gaps(4)) == first


@pytest.mark.parametrize("samples", [0, 1, 320, SEGMENT - 1])
def test_too_little_to_compare(samples):
    assert estoi(SPEECH[8000 : 8000 + samples], SPEECH[8000 : 8000 + samples]) is None


def test_a_segment_with_hardly_any_speech_is_too_little():
    mostly = np.zeros(16000, np.int16)
    mostly[6000:6500] = SPEECH[20000:20500]
    assert estoi(mostly, mostly) is None


def test_silence_has_no_intelligibility():
    assert estoi(np.zeros(16000, np.int16), SPEECH[:16000]) is None


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="expected 64000 samples as in the reference, got 63999"):
        estoi(SPEECH, SPEECH[:-1])

# SPDX-License-Identifier: BSD-2-Clause
"""A guess is never much louder than the speech around it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dredge_device.pi.concealment.history import History
from dredge_device.pi.concealment.limiter import FLOOR, MARGIN, RAMP, Limiter
from dredge_device.pi.concealment.vocoder_session import VocoderSession


def tone(rms, count=320):
    return np.rint(rms * np.sqrt(2) * np.sin(2 * np.pi * np.arange(count) / 40)).astype(np.int16)


def rms(pcm):
    return float(np.sqrt(np.mean(pcm.astype(float) ** 2)))


def opened(*levels):
    ceiling = Limiter()
    ceiling.open(np.concatenate([tone(level) for level in levels]))
    return ceiling


def test_what_is_not_too_loud_is_left_alone():
    pcm = tone(1500)
    assert opened(1000, 100).hold(pcm, True) is pcm


def test_a_guess_is_held_down_and_stays_so_without_a_step():
    ceiling = opened(100, 1000)
    first, second = ceiling.hold(tone(8000), True), ceiling.hold(tone(8000), True)
    assert rms(first[RAMP:]) == pytest.approx(1000 * MARGIN, rel=0.01)
    assert rms(second) == pytest.approx(1000 * MARGIN, rel=0.01)
    steps = np.abs(np.diff(np.concatenate((first[RAMP:], second)).astype(float)))
    assert steps.max() < 1000 * MARGIN * np.sqrt(2) * 2 * np.pi / 40 * 1.1


def test_what_somebody_knows_of_the_gap_may_be_louder_and_raises_the_limit():
    ceiling = opened(1000, 1000)
    loud = tone(6000)
    assert ceiling.hold(loud, False) is loud
    assert ceiling.hold(loud, True) is loud


def test_the_end_of_a_gap_goes_back_to_its_own_loudness():
    ceiling = opened(1000, 1000)
    ceiling.hold(tone(8000), True)
    tail = ceiling.release(tone(8000, 160))
    assert abs(int(tail[0])) <= 8000 and np.array_equal(tail[RAMP:], tone(8000, 160)[RAMP:])
    after = tone(8000, 160)
    assert ceiling.release(after) is after


def test_beside_silence_the_floor_is_the_limit():
    assert rms(opened(0, 0).hold(tone(3000), True)[RAMP:]) == pytest.approx(FLOOR * MARGIN, rel=0.03)


@given(st.lists(st.tuples(st.integers(0, 20000), st.booleans()), min_size=1, max_size=20), st.integers(0, 20000))
def test_whatever_comes_the_limit_holds(pieces, before):
    ceiling = opened(before, before)
    known = max(rms(tone(before)), FLOOR)
    for level, predicted in pieces:
        out = ceiling.hold(tone(level), predicted)
        known = known if predicted else max(known, rms(tone(level)))
        assert out.dtype == np.int16 and out.shape == (320,)
        assert rms(out[RAMP:]) <= MARGIN * known * 1.05 + 1


class Shouting:
    """A vocoder that is always at full level."""

    def begin(self, pcm, features, ahead=None):
        pass

    def synthesise(self, features):
        return tone(20000, 160 * (len(features) - 4))

    tail = synthesise

    def reset(self):
        pass


class Blank:
    """An extractor whose rows do not matter."""

    def process(self, pcm):
        return np.zeros((len(pcm) // 160, 20), np.float32)

    def reset(self):
        pass


@pytest.mark.parametrize(("predicted", "loudest"), [(True, 500 * MARGIN * 1.02), (False, 21000)])
def test_the_voice_keeps_to_it(predicted, loudest):
    history = History(Blank())
    for _ in range(4):
        history.append(tone(500))
    voice = VocoderSession(Shouting(), history)
    voice.begin(np.zeros((4, 20), np.float32))
    pcm = voice.synthesise(np.zeros((4, 20), np.float32), predicted=predicted)
    assert 0.9 * loudest < rms(pcm[RAMP:]) <= loudest

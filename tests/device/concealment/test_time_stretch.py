# SPDX-License-Identifier: BSD-2-Clause
"""Shorter and longer speech: same pitch, no click, never faster than 1.25 times."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from dredge_device.pi.concealment.time_stretch import MAX_LAG, MIN_LAG, TimeStretch
from dredge_device.units import PACKET_SAMPLES

CLIP = Path(__file__).parents[2] / "data" / "speech_short.flac"


def voice(samples, pitch=125.0):
    t = np.arange(samples) / 16000
    return np.rint(3000 * sum(np.sin(2 * np.pi * pitch * k * t) / k for k in range(1, 9))).astype(np.int16)


def run(pcm, change, extra=1):
    """Everything through the queue; `change` acts before each 20 ms leave."""
    stretcher, out = TimeStretch(), []
    pieces = list(pcm[: len(pcm) // PACKET_SAMPLES * PACKET_SAMPLES].reshape(-1, PACKET_SAMPLES))
    while pieces:
        while pieces and stretcher.queued < PACKET_SAMPLES * (1 + extra):
            stretcher.push(pieces.pop(0))
        change(stretcher)
        out.append(stretcher.pop())
    while stretcher.queued:
        out.append(stretcher.pop())
    return np.concatenate(out), stretcher


def largest_step(pcm):
    return int(np.abs(np.diff(pcm.astype(int))).max())


def pitch_of(pcm):
    piece = pcm[4000:8000].astype(float)
    scores = [piece[:-lag] @ piece[lag:] / (len(piece) - lag) for lag in range(60, 240)]
    return 16000 / (60 + int(np.argmax(scores)))


def test_untouched_samples_pass_unchanged():
    pcm = voice(6400)
    out, stretcher = run(pcm, lambda s: None, extra=0)
    assert (out == pcm).all() and stretcher.removed == stretcher.inserted == 0


@pytest.mark.parametrize("way", ["shorten", "lengthen"])
def test_pitch_stays_and_nothing_clicks(way):
    pcm = voice(48000)
    out, stretcher = run(pcm, lambda s: getattr(s, way)())
    assert pitch_of(out) == pytest.approx(125, abs=1)
    assert largest_step(out) <= largest_step(pcm) * 1.05
    assert abs(float(np.std(out[:30000])) / float(np.std(pcm)) - 1) < 0.05
    changed = stretcher.inserted - stretcher.removed
    assert abs(len(out) - (len(pcm) + changed)) < PACKET_SAMPLES


def test_voiced_speech_is_never_faster_than_five_quarters():
    pcm = voice(80000)
    _, stretcher = run(pcm, TimeStretch.shorten)
    assert 0.18 < stretcher.removed / len(pcm) <= 0.2 + 320 / len(pcm)


def test_pauses_give_more_than_speech():
    speech, pause = voice(16000), np.zeros(16000, np.int16)
    _, loud = run(speech, TimeStretch.shorten)
    _, quiet = run(np.concatenate((speech[:320], pause)), TimeStretch.shorten)
    assert quiet.removed > 1.5 * loud.removed


def test_noise_that_does_not_repeat_is_left_alone():
    noise = np.random.default_rng(1).integers(-8000, 8000, 32000).astype(np.int16)
    _, stretcher = run(noise, TimeStretch.shorten)
    assert stretcher.removed == 0


def test_real_speech_keeps_its_sound():
    pcm, rate = soundfile.read(CLIP, dtype="int16")
    assert rate == 16000
    out, stretcher = run(pcm, TimeStretch.shorten)
    assert stretcher.removed > 0.08 * len(pcm)
    assert largest_step(out) <= 1.3 * largest_step(pcm)
    before, after = (np.abs(np.fft.rfft(x.astype(float), 65536)) ** 2 for x in (pcm, out))
    bands = [(200, 800), (800, 2400), (2400, 8000)]
    for low, high in bands:
        share = [float(s[low:high].sum() / s.sum()) for s in (before, after)]
        assert share[0] == pytest.approx(share[1], abs=0.12)


def test_a_short_queue_is_never_emptied():
    stretcher = TimeStretch()
    stretcher.push(voice(PACKET_SAMPLES + MIN_LAG - 1))
    assert stretcher.shorten() == 0
    assert len(stretcher.pop()) == PACKET_SAMPLES
    assert len(stretcher.pop()) == PACKET_SAMPLES and stretcher.queued == 0


@given(st.lists(st.sampled_from(["push", "pop", "shorten", "lengthen", "clear"]), max_size=60), st.integers(0, 9))
def test_books_balance_whatever_happens(steps, seed):
    dice, stretcher = np.random.default_rng(seed), TimeStretch()
    total = 0
    for step in steps:
        before = stretcher.queued
        if step == "push":
            stretcher.push(voice(PACKET_SAMPLES, float(dice.integers(70, 390))))
            total = before + PACKET_SAMPLES
        elif step == "pop":
            assert stretcher.pop().shape == (PACKET_SAMPLES,)
            total = max(0, before - PACKET_SAMPLES)
        elif step == "clear":
            stretcher.clear()
            total = 0
        else:
            moved = getattr(stretcher, step)()
            assert moved == 0 or MIN_LAG <= moved <= MAX_LAG
            total = before - moved if step == "shorten" else before + moved
        assert stretcher.queued == total

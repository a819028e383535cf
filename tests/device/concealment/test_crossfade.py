# SPDX-License-Identifier: BSD-2-Clause
"""Joining speech: no step, no dip."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dredge_device.pi.concealment import crossfade

PIECE = arrays(np.int16, 160, elements=st.integers(-32768, 32767))


def tone(frequency, count=160, phase=0.0, level=8000):
    return np.rint(level * np.sin(2 * np.pi * frequency * np.arange(count) / 16000 + phase)).astype(
        np.int16
    )


@given(PIECE, PIECE)
def test_cross_fade_stays_in_range_and_ends_on_its_pieces(old, new):
    mixed = crossfade.cross_fade(old, new)
    assert mixed.dtype == np.int16 and mixed.shape == (160,)
    assert abs(int(mixed[0]) - int(old[0])) <= 8 and abs(int(mixed[-1]) - int(new[-1])) <= 8


@given(PIECE)
def test_cross_fade_of_equal_pieces_is_the_piece(piece):
    assert np.abs(crossfade.cross_fade(piece, piece).astype(int) - piece).max() <= 1


def test_cross_fade_of_unrelated_noise_keeps_the_power():
    random = np.random.default_rng(1)
    powers = []
    for _ in range(300):
        a, b = (random.normal(0, 3000, 160).astype(np.int16) for _ in range(2))
        powers.append(crossfade.cross_fade(a, b)[60:100].astype(float) ** 2)
    assert np.mean(powers) == pytest.approx(3000**2, rel=0.08)


def test_cross_fade_of_two_tones_steps_no_more_than_the_tones():
    old, new = tone(200), tone(200, phase=2.0)
    mixed = crossfade.cross_fade(old, new)
    steps = np.abs(np.diff(mixed.astype(int))).max()
    assert steps <= 1.5 * np.abs(np.diff(old.astype(int))).max()


def test_correlation():
    assert crossfade.correlation(tone(200), tone(200)) == pytest.approx(1)
    assert crossfade.correlation(tone(200), -tone(200)) == pytest.approx(-1)
    assert crossfade.correlation(tone(200), np.zeros(160, np.int16)) == 0


def test_a_fade_starts_at_zero():
    loud = np.full(320, 20000, np.int16)
    up = crossfade.fade_in(loud)
    assert abs(int(up[0])) < 10 and (up[80:] == 20000).all()
    assert np.abs(np.diff(up.astype(int))).max() < 500
    assert (loud == 20000).all()


def test_release_starts_where_the_output_stopped():
    out = crossfade.release(-12000)
    assert abs(int(out[0]) + 12000) < 10 and not out[80:].any() and len(out) == 320
    assert not crossfade.release(0).any()

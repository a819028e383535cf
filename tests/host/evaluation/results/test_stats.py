# SPDX-License-Identifier: BSD-2-Clause
"""Bootstrap intervals: right on average, paired where they must be, repeatable."""

import math

import numpy as np
import pytest

from dredge_host.evaluation.results.stats import mean_interval, ratio_interval, resamples, share_interval


def test_mean_interval_agrees_with_the_normal_one():
    values = np.random.default_rng(3).normal(3.0, 0.5, 200)
    got = mean_interval(values, resamples(200))
    half = 1.96 * values.std(ddof=1) / math.sqrt(200)
    assert got.mean == pytest.approx(values.mean())
    assert got.half == pytest.approx(half, rel=0.08)
    assert got.low < got.mean < got.high


def test_coverage_is_near_95_percent():
    rng = np.random.default_rng(4)
    hits = 0
    for trial in range(200):
        got = mean_interval(rng.normal(0.0, 1.0, 60), resamples(60, seed=trial, rounds=400))
        hits += got.low <= 0.0 <= got.high
    assert 178 <= hits <= 198


def test_same_seed_same_interval():
    values = [1.0, 2.0, 4.0]
    assert mean_interval(values, resamples(3, 5)) == mean_interval(values, resamples(3, 5))


def test_pairing_removes_what_clips_have_in_common():
    level = np.random.default_rng(5).normal(0.0, 5.0, 40)  # clips differ wildly
    got = share_interval(level + 0.6, level, level + 1.0, resamples(40))
    assert got.mean == pytest.approx(0.6)
    assert got.half < 1e-9


def test_ends_of_the_gap():
    low, high = [1.0, 2.0], [3.0, 3.5]
    assert share_interval(low, low, high, resamples(2)).mean == 0.0
    assert share_interval(high, low, high, resamples(2)).mean == 1.0


def test_no_gap_is_no_number():
    got = share_interval([1.0, 2.0], [1.0, 2.0], [1.0, 2.0], resamples(2))
    assert math.isnan(got.mean)


def test_ratio_is_pooled_not_averaged():
    got = ratio_interval([1, 10], [100, 10], resamples(2))
    assert got.mean == pytest.approx(11 / 110)
    assert 0.01 <= got.low <= got.mean <= got.high <= 1.0


def test_ratio_of_nothing():
    assert math.isnan(ratio_interval([0, 0], [0, 0], resamples(2)).mean)


def test_wrong_number_of_clips_is_refused():
    with pytest.raises(ValueError, match=r"expected 3 values, one per clip, got \(2,\)"):
        mean_interval([1.0, 2.0], resamples(3))

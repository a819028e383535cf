# SPDX-License-Identifier: BSD-2-Clause
"""Weights by age: how often frames are used, and errors seen that way."""

import numpy as np
import pytest
from training_cases import torch

from models.training.rdovae_ages import RECOVERED_MS, age_weights, band_errors, usage, variance_kept, weighed


def test_young_frames_are_used_as_often_as_measured():
    ages = np.arange(0, 1040, 10.0)
    young = [usage(ages, mean)[ages < 80].sum() for mean in RECOVERED_MS.values()]
    assert young == pytest.approx([0.97, 0.76, 0.39], abs=0.02)


def test_weights_fall_with_age_and_leave_every_latent_some():
    weights = age_weights(26)
    assert weights.mean() == pytest.approx(1, abs=1e-3) and (weights.diff() < 0).all() and weights[-1] > 0.3
    torch.testing.assert_close(age_weights(7), weights[:7])


def test_errors_are_listed_newest_first_and_weighed_by_kind_of_loss():
    wanted = np.zeros((3, 104, 20), np.float32)
    got = wanted.copy()
    got[:, -1, :18] = 0.3
    got[:, :4, :18] = 0.1
    by_age = band_errors(wanted, got)
    assert by_age[0] == pytest.approx(9) and by_age[-1] == pytest.approx(1) and by_age[50] == 0
    result = weighed(by_age)
    assert result["short"] > result["medium"] > result["long"] > 0
    assert weighed(np.full(104, 4.0)) == pytest.approx(dict.fromkeys(RECOVERED_MS, 2.0))


def test_smoothing_shows_as_lost_variance():
    rows = np.random.default_rng(0).normal(size=(40, 104, 20))
    assert variance_kept(rows, rows) == pytest.approx(1)
    assert variance_kept(rows, 0.5 * rows) == pytest.approx(0.25)

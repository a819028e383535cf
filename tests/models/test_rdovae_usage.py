# SPDX-License-Identifier: BSD-2-Clause
"""Errors by the age that losses ask for, from real payloads of the shipped model."""

import sys

import numpy as np
import pytest
from model_cases import speechlike
from training_cases import torch  # noqa: F401

from dredge_models.modelset import SHIPPED
from models.training import rdovae_usage
from models.training.rdovae_points import spread


@pytest.fixture(scope="module")
def measured():
    measure = rdovae_usage.Measure(SHIPPED, spread(speechlike(1100, 3), 3))
    return {schedule: measure.at(*schedule) for schedule in ((2, 7), (2, 0), (9, 7))}


def test_finer_levels_cost_more_and_say_more(measured):
    fine, steep, coarse = measured[2, 0], measured[2, 7], measured[9, 7]
    assert fine.rate > 1.3 * steep.rate > 1.3 * coarse.rate > 1
    for kind in ("short", "medium", "long"):
        assert fine.band[kind] < steep.band[kind] + 0.02 < coarse.band[kind]
    assert fine.band["long"] < 0.9 * steep.band["long"] and coarse.kept < fine.kept < 1.2


def test_old_frames_matter_to_long_losses_most(measured):
    """Only latents after the first differ between these two."""
    worse = {kind: measured[2, 7].band[kind] - measured[2, 0].band[kind] for kind in ("short", "medium", "long")}
    assert worse["short"] < worse["medium"] < worse["long"]


def test_the_command_prints_a_table_per_model(tmp_path, monkeypatch, capsys):
    np.savez(tmp_path / "test.npz", f=speechlike(1100, 3))
    monkeypatch.setattr(rdovae_usage, "SCHEDULES", ((3, 7),))
    monkeypatch.setattr(sys, "argv", ["rdovae_usage", "--data", str(tmp_path), "--chunks", "2"])
    rdovae_usage.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| shipped, q0/dQ | kb/s | short | medium | long | 0 ms | 60 ms")
    assert lines[2].startswith("| 3/7 | ") and lines[2].count("|") == lines[0].count("|")

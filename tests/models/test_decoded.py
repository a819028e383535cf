# SPDX-License-Identifier: BSD-2-Clause
"""Features as a receiver gets them: every row once, beside its original."""

import sys
from itertools import pairwise

import numpy as np
import pytest
from training_cases import synthetic_features, torch

from models.training import decoded as tool
from models.training.rdovae_net import RdoVae, RdoVaeConfig

SMALL = RdoVaeConfig(latent=5, state=6, enc_dense=12, enc_gru=6, enc_conv=6, enc_dilations=(1, 2),
                     dec_dense=12, dec_gru=8, dec_conv=6, dec_stages=2, hidden=10)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(5)
    return RdoVae(SMALL).eval()


@pytest.mark.parametrize("rows", [1203, 4000, 8001])
def test_every_row_is_there_and_the_seed_decides(model, rows):
    features = synthetic_features(rows, 1)
    one, other = tool.decoded(model, features, 1), tool.decoded(model, features, 2)
    assert one.shape == features.shape and one.dtype == np.float32 and np.isfinite(one).all()
    np.testing.assert_array_equal(one, tool.decoded(model, features, 1))
    assert (one != other).any(1).mean() > 0.9


def test_chunks_tile_a_lane_in_both_phases():
    rng, phases = np.random.default_rng(0), set()
    for shift in (0, 1) * 20:
        chunks = tool.cut(rng, 3, 5000, 5400, shift)
        assert chunks[0].frame <= 5000 and chunks[-1].frame + 4 * chunks[-1].length >= 5400
        for a, b in pairwise(chunks):
            assert b.frame == a.frame + 4 * a.length and b.newest == a.newest + 2 * b.length
        assert all(1 <= c.length <= tool.MOST and c.lane == 3 for c in chunks)
        phases.add((chunks[0].frame - 5000) % 4)
    assert len(phases) == 4


class Echo(torch.nn.Module):
    """Stands in for the network: the latent is the four frames themselves."""

    def encoder(self, pairs):
        before = torch.cat([pairs[:1], pairs[:-1]])
        return torch.cat([before, pairs], -1), torch.zeros(*pairs.shape[:2], 1)

    def decoder(self, z, levels, s):
        return z.unflatten(-1, (4, 20))


def test_rows_are_beside_their_originals(monkeypatch):
    """Without loss every row must come back where it was."""
    monkeypatch.setattr(tool, "symbols", lambda model, z, levels, first: (z, torch.ones(())))
    features = np.clip(synthetic_features(9000, 2), -0.5, 0.5)
    np.testing.assert_array_equal(tool.decoded(Echo(), features), features)


def test_command_writes_whole_files(model, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "load_start", lambda path: model)
    np.savez(tmp_path / "valid.npz", f=synthetic_features(1500, 3))
    monkeypatch.setattr(sys, "argv", ["decoded", "--data", str(tmp_path), "--out", str(tmp_path / "out"),
                                      "--splits", "valid"])
    tool.main()
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["valid_decoded.npz"]
    with np.load(tmp_path / "out" / "valid_decoded.npz") as file:
        assert file["f"].shape == (1500, 20)

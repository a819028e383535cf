# SPDX-License-Identifier: BSD-2-Clause
"""Recordings to arrays: several folders, the sender's high-pass, and pairs of clean and disturbed features."""

import numpy as np
import pytest
import soundfile as sf
from training_cases import torch  # noqa: F401

from dredge_kernels.features import FeatureExtractor
from models.training import data, pairs


def voice(seed, seconds=3.0, rate=16000):
    """A buzz with an offset, loud and soft in turn."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    buzz = np.sign(np.sin(2 * np.pi * 120 * t)) * (0.1 + 0.2 * (np.sin(6 * t) > 0))
    return buzz * 0.5 + 0.01 * rng.standard_normal(len(t)) + 0.2


@pytest.fixture
def folders(tmp_path):
    for name, split, count in (("a", "train", 2), ("a", "valid", 1), ("b", "train", 1)):
        folder = tmp_path / name / split
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(count):
            sf.write(folder / f"{i}.flac", voice(i), 16000)
    return [tmp_path / "a", tmp_path / "b"]


def make(folders, out, monkeypatch, *more):
    arguments = ["data", "--speech", *map(str, folders), "--out", str(out), "--splits", "train", "valid", *more]
    monkeypatch.setattr("sys.argv", arguments)
    data.main()


def test_folders_are_joined_and_the_first_is_marked(folders, tmp_path, monkeypatch):
    make(folders, tmp_path / "out", monkeypatch)
    with np.load(tmp_path / "out" / "train.npz") as z:
        assert z["f"].shape == (900, 20) and z["pcm"].shape == (144000,) and z["first"] == 600
        np.testing.assert_array_equal(FeatureExtractor().process(z["pcm"][:48000]), z["f"][:300])
        assert abs(z["pcm"][20000:40000].mean()) < 5, "the offset is gone"
    with np.load(tmp_path / "out" / "valid.npz") as z:
        assert z["f"].shape == (300, 20), "one folder has no valid/"


def test_a_missing_folder_or_split_is_one_sentence(folders, tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit, match="--speech: expected a folder, found none at"):
        make([tmp_path / "none"], tmp_path / "out", monkeypatch)
    with pytest.raises(SystemExit):
        make(folders, tmp_path / "out", monkeypatch, "test")
    assert "expected test/ in at least one folder" in capsys.readouterr().err


def test_pairs_share_their_rows_and_differ_where_something_was_added(folders, tmp_path, monkeypatch):
    out = tmp_path / "out"
    make(folders, out, monkeypatch)
    monkeypatch.setattr(pairs, "PIECE", 16000)
    monkeypatch.setattr("sys.argv", ["pairs", "--data", str(out), "--copies", "2"])
    pairs.main()
    made = pairs.load_pairs(out)
    assert len(made) == 2 and all(p.clean.shape == p.heard.shape == (900, 20) for p in made)
    assert all(np.isfinite(p.clean).all() and np.isfinite(p.heard).all() for p in made)
    pieces = [np.abs(p.clean[i : i + 100].astype(float) - p.heard[i : i + 100]).max() for p in made
              for i in range(0, 900, 100)]
    assert 0 < np.count_nonzero(pieces) < len(pieces)
    assert (made[0].clean != made[1].clean).any()


def test_silence_is_asked_for_only_so_far_below_what_is_heard():
    basis = pairs.dct_matrix()
    clean, heard = np.zeros((2, 20), np.float16), np.zeros((2, 20), np.float16)
    clean[:, 18], heard[0, 1] = 0.5, 0.25
    clean[:, :18] = np.array([-2.0] * 9 + [3.0] * 9) @ basis
    heard[1, :18] = np.array([1.0] * 9 + [3.0] * 9) @ basis
    heard[:, 0] -= 4
    clean[:, 0] -= 4
    heard[0] = clean[0]
    out = pairs.eased(clean, heard)
    np.testing.assert_allclose(out[0], clean[0], atol=0.01)
    bands = out[1, :18].astype(float)
    bands[0] += 4
    np.testing.assert_allclose(basis @ bands, [1.0 - pairs.LEFT] * 9 + [3.0] * 9, atol=0.02)
    assert out[1, 18] == clean[1, 18]


def test_damaged_pairs_are_refused(tmp_path):
    assert pairs.load_pairs(tmp_path) == []
    (tmp_path / "pairs_0.npz").write_bytes(b"nothing")
    with pytest.raises(RuntimeError, match=r"pairs_0\.npz: expected pairs of features"):
        pairs.load_pairs(tmp_path)


def test_rooms_keep_the_direct_sound_and_add_a_tail():
    rng = np.random.default_rng(3)
    click = np.zeros(8000)
    click[100] = 1000.0
    heard = pairs.room(rng, click)
    assert heard[100] == pytest.approx(1000) and np.abs(heard[:100]).max() < 1e-9
    tail = heard[101:] ** 2
    assert 0 < tail.sum() <= 1000.0**2 and tail[:2000].sum() > 10 * tail[4000:].sum()


@pytest.mark.parametrize("seed", range(6))
def test_noise_is_below_the_speech(seed):
    x = np.random.default_rng(seed).normal(0, 1000, 16000)
    made = pairs.noise(np.random.default_rng(seed), x)
    loud = np.quantile(np.abs(x), 0.9)
    assert 10 ** (-40.1 / 20) * loud < np.sqrt(np.mean(made**2)) < 10 ** (-2.9 / 20) * loud

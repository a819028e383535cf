# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of the trainers share: tiny data, tiny networks, and a run that is cut short."""

import signal
from pathlib import Path

import numpy as np
import pytest
import repo_path  # noqa: F401

torch = pytest.importorskip("torch", reason="needs torch: dredge extras add train")

TINY = ('{"latent": 6, "state": 8, "enc_dense": 16, "enc_gru": 8, "enc_conv": 8,'
        ' "enc_dilations": [1, 2], "dec_dense": 16, "dec_gru": 12, "dec_conv": 8,'
        ' "dec_stages": 2, "hidden": 12}')


def synthetic_features(frames: int, seed: int) -> np.ndarray:
    """float32 [frames, 20]: smooth random walks inside the range of real features."""
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.standard_normal((frames + 40, 20)), 0)
    smooth = walk[40:] - (walk[:-40] + walk[40:]) / 2
    rows = smooth / smooth.std(0) * np.array([4.0, 2.0] + [0.6] * 16 + [0.6, 0.2])
    rows[:, 18], rows[:, 19] = np.clip(rows[:, 18], -1.5, 1.5), np.clip(rows[:, 19], -0.5, 0.5)
    return rows.astype(np.float32)


def write_data(folder: Path) -> Path:
    """A data folder as models.training.data makes it, without the sound."""
    for split, seed in (("train", 1), ("valid", 2)):
        np.savez(folder / f"{split}.npz", f=synthetic_features(1500, seed))
    return folder


def stop_after(monkeypatch, trainer_class, steps: int) -> None:
    """Sends this process SIGTERM at the end of the given step, as a system shutdown would."""
    original = trainer_class.step

    def step(self):
        result = original(self)
        if self.budget.step == steps:
            signal.raise_signal(signal.SIGTERM)
        return result

    monkeypatch.setattr(trainer_class, "step", step)


def same_state(a, b) -> bool:
    """Whether two checkpoints hold the same numbers (the time spent aside)."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same_state(a[k], b[k]) for k in a if k != "seconds")
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same_state(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    return bool(a == b)

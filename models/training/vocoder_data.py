# SPDX-License-Identifier: BSD-2-Clause
"""Streams of consecutive speech for the vocoder's truncated back-propagation through time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dredge_kernels.features import lpc_from_cepstrum
from models.training.vocoder_net import CONTEXT, HOP, SLOTS, kernel, period

PREEMPHASIS = 0.85
SHIFT = 80  # the centre of feature frame i is sample 160 i: its 160 samples start 80 earlier


@dataclass
class Batch:
    """idx u8 [T, B, 6], target u8 [T, B], features f32 [B, F + 4, 20], fresh bool [B] (state must start at zero)."""

    idx: Tensor
    target: Tensor
    features: Tensor
    fresh: Tensor


class Corpus:
    """Features, predictors, periods and pre-emphasised samples of one prepared .npz."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as z:
            self.f = torch.from_numpy(z["f"])
            pcm = z["pcm"].astype(np.float32)
        self.lpc = torch.from_numpy(lpc_from_cepstrum(self.f.numpy()))
        self.lag = period(self.f).to(torch.int32)
        signal = pcm.copy()
        signal[1:] -= PREEMPHASIS * pcm[:-1]
        self.signal = torch.from_numpy(np.concatenate([np.zeros(SHIFT, np.float32), signal[:-SHIFT]]))

    def __len__(self) -> int:
        return len(self.f)


class Streams:
    """B independent readers; each goes on where it stopped and jumps to a new place now and then."""

    def __init__(
        self, corpus: Corpus, batch: int, frames: int, seed: int, noise: float = 3.0, restart: float = 0.05
    ) -> None:
        self.corpus, self.batch, self.frames = corpus, batch, frames
        self.noise, self.restart = noise, restart
        self.rng = np.random.default_rng(seed)
        self.position = np.zeros(batch, np.int64)
        self.memory = torch.zeros(batch, 16)
        self.history = torch.full((batch, 512), 128, dtype=torch.uint8)
        self.started = False

    def _place(self, fresh: np.ndarray) -> None:
        c = self.corpus
        for b in np.flatnonzero(fresh):
            p = int(self.rng.integers(CONTEXT + 1, len(c) - self.frames - CONTEXT - 1))
            self.position[b] = p
            self.memory[b] = c.signal[p * HOP - 16 : p * HOP].flip(0)
            self.history[b] = 128

    def next(self) -> Batch:
        """The next chunk of every stream."""
        c, n = self.corpus, self.frames
        end = self.position + n + CONTEXT + 1 >= len(c)
        fresh = end | (self.rng.random(self.batch) < self.restart) | (not self.started)
        self.started = True
        self._place(fresh)
        at = [int(p) for p in self.position]
        signal = torch.stack([c.signal[p * HOP : (p + n) * HOP] for p in at])
        lpc = torch.stack([c.lpc[p : p + n] for p in at])
        lag = torch.stack([c.lag[p : p + n] for p in at]).contiguous()
        f = torch.stack([c.f[p - CONTEXT : p + n + CONTEXT] for p in at])
        level = torch.from_numpy((self.rng.random(self.batch) ** 2 * self.noise).astype(np.float32))
        idx = torch.empty(n * HOP, self.batch, SLOTS, dtype=torch.uint8)
        target = torch.empty(n * HOP, self.batch, dtype=torch.uint8)
        seed = int(self.rng.integers(1, 2**31))
        kernel().teacher(signal, lpc, lag, level, self.memory, self.history, idx, target, HOP, seed)
        self.position += n
        return Batch(idx, target, f, torch.from_numpy(fresh.astype(bool)))

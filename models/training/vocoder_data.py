# SPDX-License-Identifier: BSD-2-Clause
"""Streams of consecutive speech for the vocoder's truncated back-propagation through time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dredge_kernels.features import lpc_from_cepstrum
from models.training.augment import BANDS, FLOOR_C0
from models.training.vocoder_net import CONTEXT, HOP, SLOTS_A, SLOTS_B, kernel, period

PREEMPHASIS = 0.85
SHIFT = 80  # the centre of feature frame i is sample 160 i: its 160 samples start 80 earlier


@dataclass
class Batch:
    """One chunk of T = 160 F samples from each of B streams.

    idx_a u8 [T / 2, B, 8], idx_b u8 [T, B, 3], target u8 [T, B], features f32 [B, F + 4, 20],
    fresh bool [B] (the state must start at zero).
    """

    idx_a: Tensor
    idx_b: Tensor
    target: Tensor
    features: Tensor
    fresh: Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the same batch on another device."""
        return Batch(*(x.to(device, non_blocking=True) for x in vars(self).values()))


class Conditioning:
    """Features f32 [n, 20] and the values computed from them: predictors f32 [n, 16] and periods i32 [n]."""

    def __init__(self, features: np.ndarray) -> None:
        self.f = torch.from_numpy(np.ascontiguousarray(features, np.float32))
        self.lpc = torch.from_numpy(lpc_from_cepstrum(self.f.numpy()))
        self.lag = period(self.f).to(torch.int32)


class Corpus:
    """Pre-emphasised samples of one prepared .npz with its features, and with decoded ones if available.

    Of the first folder of recordings alone (models.training.data): the others may be too coarse for a sample-rate
    network.
    """

    def __init__(self, path: Path, decoded: Path | None = None) -> None:
        with np.load(path) as z:
            rows = int(z["first"]) if "first" in z else len(z["f"])
            self.conditions = [Conditioning(z["f"][:rows])]
            pcm = z["pcm"][: rows * HOP].astype(np.float32)
        if decoded is not None and decoded.exists():
            with np.load(decoded) as z:
                self.conditions.append(Conditioning(z["f"][:rows]))
            if len(self.conditions[1].f) != len(self):
                raise ValueError(f"{decoded}: expected {len(self)} frames as in {path}, got "
                                 f"{len(self.conditions[1].f)}; make it again from the present data")
        signal = pcm.copy()
        signal[1:] -= PREEMPHASIS * pcm[:-1]
        self.signal = torch.from_numpy(np.concatenate([np.zeros(SHIFT, np.float32), signal[:-SHIFT]]))

    def __len__(self) -> int:
        return len(self.conditions[0].f)


class Streams:
    """B independent readers; each continues from its last place and jumps to a new one now and then.

    A stream keeps its gain (`gain`: range in dB) and its kind of features (a share `decoded` of them gets features as
    decoded by the RDO-VAE) until it jumps.
    """

    def __init__(
        self, corpus: Corpus, batch: int, frames: int, seed: int, noise: float = 3.0, restart: float = 0.05,
        decoded: float = 0.0, gain: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self.corpus, self.batch, self.frames = corpus, batch, frames
        self.noise, self.restart, self.gain = noise, restart, gain
        self.decoded = decoded if len(corpus.conditions) > 1 else 0.0
        self.rng = np.random.default_rng(seed)
        self.position = np.zeros(batch, np.int64)
        self.kind = np.zeros(batch, np.int64)
        self.gain_db = np.zeros(batch, np.float32)
        self.memory = torch.zeros(batch, 16)
        self.history = torch.full((batch, 512), 128, dtype=torch.uint8)
        self.started = False

    def _place(self, fresh: np.ndarray) -> None:
        c = self.corpus
        for b in np.flatnonzero(fresh):
            p = int(self.rng.integers(CONTEXT + 1, len(c) - self.frames - CONTEXT - 1))
            self.position[b] = p
            self.kind[b] = self.rng.random() < self.decoded
            self.gain_db[b] = self.rng.uniform(*self.gain)
            self.memory[b] = c.signal[p * HOP - 16 : p * HOP].flip(0) * self._factor(b)
            self.history[b] = 128

    def _factor(self, b: int) -> float:
        return float(10 ** (self.gain_db[b] / 20))

    def _features(self, b: int, p: int) -> Tensor:
        f = self.corpus.conditions[self.kind[b]].f[p - CONTEXT : p + self.frames + CONTEXT].clone()
        f[:, 0] = torch.clamp_min(f[:, 0] + math.sqrt(BANDS) / 10 * float(self.gain_db[b]), FLOOR_C0)
        return f

    def next(self) -> Batch:
        """Return the next chunk of every stream."""
        c, n = self.corpus, self.frames
        end = self.position + n + CONTEXT + 1 >= len(c)
        fresh = end | (self.rng.random(self.batch) < self.restart) | (not self.started)
        self.started = True
        self._place(fresh)
        at = [(b, int(p)) for b, p in enumerate(self.position)]
        signal = torch.stack([c.signal[p * HOP : (p + n) * HOP] * self._factor(b) for b, p in at])
        lpc = torch.stack([c.conditions[self.kind[b]].lpc[p : p + n] for b, p in at])
        lag = torch.stack([c.conditions[self.kind[b]].lag[p : p + n] for b, p in at]).contiguous()
        f = torch.stack([self._features(b, p) for b, p in at])
        level = torch.from_numpy((self.rng.random(self.batch) ** 2 * self.noise).astype(np.float32))
        idx_a = torch.empty(n * HOP // 2, self.batch, SLOTS_A, dtype=torch.uint8)
        idx_b = torch.empty(n * HOP, self.batch, SLOTS_B, dtype=torch.uint8)
        target = torch.empty(n * HOP, self.batch, dtype=torch.uint8)
        seed = int(self.rng.integers(1, 2**31))
        kernel().teacher(signal, lpc, lag, level, self.memory, self.history, idx_a, idx_b, target, HOP, seed)
        self.position += n
        return Batch(idx_a, idx_b, target, f, torch.from_numpy(fresh.astype(bool)))

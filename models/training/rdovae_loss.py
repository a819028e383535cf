# SPDX-License-Identifier: BSD-2-Clause
"""The training loss of the RDO-VAE: bits and feature error of whole chunks decoded backwards in time.

Every chunk is coded like a packet: the newest latent at level q0, older ones at the
levels of the schedule, one initial state. Each latent's loss is sqrt(lambda) * bits +
distortion / sqrt(lambda), with its own level's lambda (geometric over the 16 levels), and is weighted by the use of its
age after losses.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.training.rdovae_ages import age_weights
from models.training.rdovae_net import FEATURES, LEVELS, RdoVae, shrink

# Sixteenths of a level by which one latent step ages, indexed by the 3-bit dq (DRED 1.5 header).
LEVEL_STEPS = (0, 2, 3, 4, 6, 8, 12, 16)
BANDS = 18
LAMBDA_MIN, LAMBDA_MAX = 1.4e-4, 0.019
STATE_PRICE = 3.0         # weight of a bit of the state relative to a bit of a latent of mean weight


def lambdas(low: float = LAMBDA_MIN, high: float = LAMBDA_MAX) -> Tensor:
    """Return the 16 rate weights, geometric from level 0 (finest) to 15."""
    return torch.from_numpy(np.geomspace(low, high, LEVELS).astype(np.float32))


def inverse_dct() -> Tensor:
    """Return the orthonormal matrix [18, 18]: bands = matrix @ cepstrum (c0 without its offset of 4)."""
    n = np.arange(BANDS)
    matrix = np.cos(np.pi / BANDS * (n[:, None] + 0.5) * n[None, :]) * math.sqrt(2 / BANDS)
    matrix[:, 0] *= math.sqrt(0.5)
    return torch.from_numpy(matrix.astype(np.float32))


_BANDS_FROM_CEPSTRUM = inverse_dct()
# Low bands carry the formants that matter most.
_BAND_WEIGHT = torch.linspace(1.2, 0.7, BANDS)
# High coefficients are small and the first to be smoothed away; c0 is the level.
_CEPSTRUM_WEIGHT = torch.cat([torch.tensor([1.2]), torch.linspace(0.75, 1.3, BANDS - 1)])


def level_weight(c0: Tensor) -> Tensor:
    """Return the weight of each frame: 1 near the loudest of its sequence (dim 0), less in pauses.

    c0 is sqrt(18) times the mean band level in bels; 10 dB below the top costs a quarter.
    """
    top = torch.quantile(c0, 0.95, dim=0, keepdim=True)
    return (1 + 0.25 * (c0 - top) / math.sqrt(BANDS)).clamp(0.5, 1.0)


def distortion(target: Tensor, output: Tensor) -> Tensor:
    """Return the feature error per frame, [...], of [..., 20] against [..., 20].

    It sums cepstra in bels squared (the high ones more), loudness (energy^1/4) relative to the frame's own loudness,
    more than proportionally for large errors, pitch (counted where the frame is voiced) and correlation.
    """
    basis = _BANDS_FROM_CEPSTRUM.to(target)
    off = output - target
    level = (off[..., :BANDS] ** 2 * _CEPSTRUM_WEIGHT.to(target)).mean(-1)
    wanted = target[..., :BANDS] @ basis.T
    got = output[..., :BANDS] @ basis.T
    loud, loud_out = 10 ** (0.25 * wanted), 10 ** (0.25 * got.clamp(max=16))
    loudness = ((loud_out - loud) ** 2 * _BAND_WEIGHT.to(target)).mean(-1) / (loud**2).mean(-1)
    loudness = loudness / (1 + 0.25 * loudness)      # limits the relative error in silence
    loudness = loudness + torch.minimum(5 * loudness, 8 * loudness**2)
    voiced = torch.relu(target[..., 19] + 0.5) ** 2
    pitch = off[..., 18].abs() * voiced
    return 0.4 * level + 0.9 * loudness + 0.8 * pitch + 0.07 * off[..., 19] ** 2


def laplace_bits(z: Tensor, decay: Tensor) -> Tensor:
    """Return the bits of continuous symbols z under a two-sided geometric distribution of ratio `decay`."""
    return torch.log2((1 + decay) / (1 - decay)) - z.abs() * torch.log2(decay)


def level_schedule(q0: np.ndarray, step: np.ndarray, length: int) -> np.ndarray:
    """Return the levels [length, n] of latents 0 (newest) … length-1; step in sixteenths (LEVEL_STEPS)."""
    ages = np.arange(length)[:, None]
    return np.minimum(LEVELS - 1, q0[None] + (step[None] * ages + 8) // 16)


def draw_schedules(rng: np.random.Generator, chunks: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a random (q0, step) per chunk: a third constant, a third of any slope, a third fine at first and steep, as
    shipped.
    """
    q0 = rng.integers(0, LEVELS, chunks)
    step = rng.choice(LEVEL_STEPS[1:], chunks)
    kind = rng.random(chunks)
    step = np.where(kind < 0.35, 0, step)
    shipped = kind > 0.65
    steep = rng.choice(LEVEL_STEPS[6:], chunks)
    return np.where(shipped, rng.integers(1, 7, chunks), q0), np.where(shipped, steep, step)


@dataclass
class Chunks:
    """Which latents are decoded: `steps` [K, B, C] encoder steps (newest first) per chunk."""

    steps: Tensor
    batch: Tensor       # [1, B, 1], for gathering


def draw_chunks(rng: np.random.Generator, steps: int, batch: int, length: int) -> Chunks:
    """Return as many chunks of `length` latents as fit into `steps` encoder steps, at a random phase."""
    count = (steps - 1) // (2 * length)
    if count < 1:
        raise ValueError(f"{steps} encoder steps are too few for chunks of {length} latents")
    phase = rng.integers(0, steps - 2 * length * count, batch)
    newest = phase[:, None] + 2 * length * (np.arange(count)[None] + 1)
    index = newest[None] - 2 * np.arange(length)[:, None, None]
    return Chunks(torch.from_numpy(index), torch.arange(batch)[None, :, None])


@dataclass
class Loss:
    """Mean over the batch; bits are soft-rate bits per latent and per state."""

    total: Tensor
    distortion: Tensor
    latent_bits: Tensor
    state_bits: Tensor


def chunk_loss(model: RdoVae, frames: Tensor, heard: Tensor, chunks: Chunks, levels: Tensor, hard: Tensor,
               noise: torch.Generator, lam: Tensor, rate_weight: tuple[float, float] = (1.0, 1.0)) -> Loss:
    """Return the rate and distortion of one batch.

    frames [2N, B, 20]: the wanted output; heard: the same shape, the encoder's input; levels [K, B*C]; hard
    bool [B*C] (rounded with a straight-through gradient, else uniform noise); lam [16]; rate_weight: of the bits of
    latents and of the state.
    """
    pairs = heard.unflatten(0, (-1, 2)).transpose(1, 2).flatten(2)
    seen = model.encoder.trunk(pairs)
    z = model.encoder.latents(seen[chunks.steps, chunks.batch].flatten(1, 2))
    s = model.encoder.states(seen[chunks.steps[0], chunks.batch[0]].flatten(0, 1))
    width = z.shape[-1]
    table = model.quantiser
    scale, dead, decay = table.scale(), table.dead_zone(), table.decay()
    zq = shrink(z * scale[levels][..., :width], dead[levels][..., :width])
    sq = shrink(s * scale[levels[0]][..., width:], dead[levels[0]][..., width:])
    z_in = _requantise(zq, hard, noise) / scale[levels][..., :width]
    s_in = _requantise(sq, hard, noise) / scale[levels[0]][..., width:]
    out = model.decoder(z_in, levels, s_in)
    wanted, loud = gather_targets(frames, chunks)
    error = (distortion(wanted, out) * loud).mean(-1)
    z_bits = laplace_bits(zq, decay[levels][..., :width]).sum(-1)
    s_bits = laplace_bits(sq, decay[levels[0]][..., width:]).sum(-1)
    root = lam.sqrt()[levels]
    weight = age_weights(len(levels)).to(root)[:, None]
    latents = weight * (rate_weight[0] * root * z_bits + error / root)
    total = (latents.sum(0) + rate_weight[1] * STATE_PRICE * root[0] * s_bits).mean() / weight.sum()
    return Loss(total, error.mean(), z_bits.mean(), s_bits.mean())


def _requantise(y: Tensor, hard: Tensor, noise: torch.Generator) -> Tensor:
    """Return the values rounded where `hard`, otherwise with uniform noise of one step; the gradient is one in both."""
    spread = torch.rand(y.shape, generator=noise) - 0.5
    rounded = (torch.round(y) - y).detach()
    return y + torch.where(hard[..., None], rounded, spread.to(y))


def gather_targets(frames: Tensor, chunks: Chunks) -> tuple[Tensor, Tensor]:
    """Return the four frames of every decoded latent, [K, B*C, 4, 20], and their weights [K, B*C, 4]."""
    index = 2 * chunks.steps[..., None] - 2 + torch.arange(4, device=chunks.steps.device)
    batch = chunks.batch[..., None]
    weight = level_weight(frames[..., 0])
    wanted = frames[index, batch].flatten(1, 2)
    assert wanted.shape[-1] == FEATURES
    return wanted, weight[index, batch].flatten(1, 2)

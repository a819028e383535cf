# SPDX-License-Identifier: BSD-2-Clause
"""Measures an RDO-VAE on held-out features with real rounding and the coder's bit counts."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dredge_models.dred import DQ, Q0
from models.training.quant_fit import fit, value_bits
from models.training.rdovae_ages import LATENTS, band_errors, variance_kept, weighed
from models.training.rdovae_loss import (
    LEVEL_STEPS,
    Chunks,
    distortion,
    draw_chunks,
    gather_targets,
    level_schedule,
)
from models.training.rdovae_net import LEVELS, RdoVae, shrink

HEADER_BITS = 19.0                   # q0, dq, extra flag, offset, qmax
SHIPPED = (Q0, LEVEL_STEPS[DQ])


@torch.no_grad()
def symbols(model: RdoVae, z: Tensor, levels: Tensor, first: int) -> tuple[Tensor, Tensor]:
    """Return the integer symbols and table scales of z [..., dims], table columns from `first` on."""
    columns = slice(first, first + z.shape[-1])
    scale = table_scale(model)[levels][..., columns]
    dead = model.quantiser.dead_zone()[levels][..., columns]
    return torch.floor(shrink(z * scale, dead) + 0.5), scale


def table_scale(model: RdoVae) -> Tensor:
    """Return the scale as stored in the uint8 table."""
    return (model.quantiser.scale() * 256).round() / 256


def sequences(features: np.ndarray, steps: int = 212, count: int = 48) -> Tensor:
    """Return evenly spread held-out sequences, float32 [2 steps, B, 20]."""
    length = 2 * steps
    starts = np.linspace(0, len(features) - length, min(count, len(features) // length)).astype(int)
    return torch.from_numpy(np.stack([features[s : s + length] for s in starts], 1))


@dataclass(frozen=True)
class Coded:
    """Chunks as the decoder gets them: integer symbols and dequantised values of latents [K, n, L] and state [n, S]."""

    z_symbols: Tensor
    z: Tensor
    s_symbols: Tensor
    s: Tensor


@torch.no_grad()
def code(model: RdoVae, frames: Tensor, chunks: Chunks, levels: Tensor) -> Coded:
    """Encode and round all chunks of the frames [2N, B, 20], as a sender does; levels [K, n]."""
    seen = model.encoder.trunk(frames.unflatten(0, (-1, 2)).transpose(1, 2).flatten(2))
    z = model.encoder.latents(seen[chunks.steps, chunks.batch].flatten(1, 2))
    s = model.encoder.states(seen[chunks.steps[0], chunks.batch[0]].flatten(0, 1))
    z_int, z_scale = symbols(model, z, levels, 0)
    s_int, s_scale = symbols(model, s, levels[0], z.shape[-1])
    return Coded(z_int, z_int / z_scale, s_int, s_int / s_scale)


@torch.no_grad()
def run(model: RdoVae, frames: Tensor, q0: int, step: int, length: int = LATENTS) -> dict:
    """Code every chunk; return the symbols `z` [K, n, L], `s` [n, S], `levels` [K] and `error` [K]."""
    chunks = draw_chunks(np.random.default_rng(0), len(frames) // 2, frames.shape[1], length)
    count = chunks.steps.shape[1] * chunks.steps.shape[2]
    levels = torch.from_numpy(level_schedule(np.full(count, q0), np.full(count, step), length))
    coded = code(model, frames, chunks, levels)
    out = model.decoder(coded.z, levels, coded.s)
    wanted, weight = gather_targets(frames, chunks)
    error = (distortion(wanted, out) * weight).mean((1, 2))
    return {"z": coded.z_symbols.numpy().astype(int), "s": coded.s_symbols.numpy().astype(int),
            "levels": levels[:, 0].numpy(), "error": error.numpy(),
            "wanted": wanted, "out": out, "weight": weight}


def coded_bits(z: np.ndarray) -> float:
    """Return the mean bits of symbols [n, dims] under tables fitted to them."""
    return float(value_bits(z, *fit(z)).sum(1).mean())


def evaluate(model: RdoVae, features: np.ndarray) -> dict[str, float]:
    """Return the validation columns of the training log."""
    model.eval()
    frames = sequences(features)
    row: dict[str, float] = {}
    for level in (0, 6, LEVELS - 1):
        got = run(model, frames, level, 0)
        row[f"bits_q{level}"] = coded_bits(got["z"].reshape(-1, got["z"].shape[-1]))
        if level != 6:
            row[f"dist_q{level}"] = float(got["error"].mean())
    got = run(model, frames, *SHIPPED)
    bits = HEADER_BITS + coded_bits(got["s"]) + sum(coded_bits(z) for z in got["z"])
    row["payload_bytes"] = bits / 8
    row["valid_distortion"] = float(got["error"].mean())
    return row | used(got)


def used(got: dict) -> dict[str, float]:
    """Return the band error in dB RMS of a `run`, weighted by the ages of the frames used after short, medium and long
    losses, and the share of the variance of c9 ... c17 that is kept.
    """
    # [K, n, 4, 20], newest latent first and oldest frame first -> [n, 4 K, 20], oldest first
    wanted, out = (rows.flip(0).transpose(0, 1).flatten(1, 2).numpy() for rows in (got["wanted"], got["out"]))
    errors = weighed(band_errors(wanted, out))
    return {f"db_{kind}": value for kind, value in errors.items()} | {"kept": variance_kept(wanted, out)}


def readable_errors(wanted: Tensor, out: Tensor, weight: Tensor) -> dict[str, float]:
    """Return the errors in dB and semitones, over the frames that count (weight above its floor).

    wanted, out [..., 20]; weight [...] from level_weight. Band levels in dB RMS, pitch in semitones (mean absolute,
    voiced frames) and the correlation feature (mean absolute).
    """
    heard = weight > 0.45
    bands = ((out - wanted)[..., :18] ** 2).mean(-1)[heard].mean().sqrt() * 10
    voiced = heard & (wanted[..., 19] > 0.2)
    pitch = (out - wanted)[..., 18].abs()[voiced].mean() * 12
    corr = (out - wanted)[..., 19].abs()[heard].mean()
    return {"band_level_db_rms": float(bands), "pitch_semitones": float(pitch),
            "correlation": float(corr)}


def quality(model: RdoVae, features: np.ndarray) -> dict[str, dict[str, float]]:
    """Return the readable errors of the shipped setting: of the newest 200 ms, and of the oldest of the second."""
    got = run(model, sequences(features), *SHIPPED)
    parts = {"newest_200_ms": slice(0, 5), "oldest_200_ms": slice(LATENTS - 5, LATENTS)}
    return {name: readable_errors(got["wanted"][part], got["out"][part], got["weight"][part])
            for name, part in parts.items()}

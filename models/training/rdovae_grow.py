# SPDX-License-Identifier: BSD-2-Clause
"""Extension of a trained RDO-VAE by more latents and more state.

New latents start as the principal components of the remaining error, new state values as random projections of the
encoder.

Latents that fall to zero early in training stay there. Started from the principal components of the error, they
carry information from the first step.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from models.training.rdovae_loss import draw_chunks, gather_targets
from models.training.rdovae_net import FEATURES, INPUT_SCALE, LATENT_GAIN, RdoVae, shrink

SPREAD = 1.0               # of the strongest new latent, in units of one quantiser step at scale 1
RIDGE = 1e-3               # of the mean power of the regressors
# Share of each feature in the loss, roughly: pitch and correlation count more than a cepstral coefficient.
WEIGHT = torch.tensor([1.0] * 18 + [1.5, 1.8])


@torch.no_grad()
def left_over(model: RdoVae, frames: Tensor, length: int = 26) -> tuple[Tensor, Tensor]:
    """Return the encoder's inner values [n, width], and the weighted error [n, 80] of decoding without any rounding."""
    chunks = draw_chunks(np.random.default_rng(0), len(frames) // 2, frames.shape[1], length)
    seen = model.encoder.trunk(frames.unflatten(0, (-1, 2)).transpose(1, 2).flatten(2))
    chosen = seen[chunks.steps, chunks.batch].flatten(1, 2)
    states = model.encoder.states(seen[chunks.steps[0], chunks.batch[0]].flatten(0, 1))
    out = model.decoder(model.encoder.latents(chosen), torch.zeros(chosen.shape[:2], dtype=torch.long), states)
    wanted, heard = gather_targets(frames, chunks)
    error = (wanted - out) * WEIGHT * heard[..., None].sqrt()
    return chosen.flatten(0, 1), error.reshape(-1, 4 * FEATURES)


@torch.no_grad()
def with_more_latents(model: RdoVae, latents: int, frames: Tensor) -> RdoVae:
    """Return a network with `latents` latents that computes the same as `model`; frames float32 [2 N, B, 20] to measure
    on.

    The last layer of the encoder gets rows that predict the principal components of the error, the last layer of the
    decoder the columns that correct them.
    """
    old = model.cfg.latent
    more = latents - old
    seen, error = left_over(model, frames)
    mean = seen.mean(0)
    x = seen - mean
    power = x.T @ x
    solved = torch.linalg.solve(power + RIDGE * power.diagonal().mean() * torch.eye(len(power)), x.T @ error)
    guess = x @ solved                                   # the part of the error that the encoder can predict
    values, axes = torch.linalg.eigh(guess.T @ guess / len(guess))
    axes = axes.flip(-1)[:, :more]                       # [80, more], strongest first
    spread = values.flip(-1)[:more].clamp(min=1e-9).sqrt()
    gain = SPREAD / spread.max() / LATENT_GAIN
    rows = (solved @ axes).T * gain                      # [more, width]

    big = RdoVae(replace(model.cfg, latent=latents))
    own, got = big.state_dict(), model.state_dict()
    for name, value in got.items():
        if own[name].shape == value.shape:
            own[name] = value
    own["encoder.latent.weight"] = torch.cat([got["encoder.latent.weight"], rows])
    own["encoder.latent.bias"] = torch.cat([got["encoder.latent.bias"], -rows @ mean])
    dense = got["decoder.dense.weight"]
    weak = 0.1 * own["decoder.dense.weight"][:, old:latents]
    own["decoder.dense.weight"] = torch.cat([dense[:, :old], weak, dense[:, -1:]], 1)
    out = got["decoder.out.weight"]
    units = (WEIGHT / INPUT_SCALE).repeat(4)[:, None]  # the decoder's last layer works in scaled features
    own["decoder.out.weight"] = torch.cat([out, axes / units / gain], 1)
    for name in ("scale_logit", "dead_raw", "decay_logit"):
        table, fresh = got[f"quantiser.{name}"], own[f"quantiser.{name}"][:, old:latents]
        own[f"quantiser.{name}"] = torch.cat([table[:, :old], fresh, table[:, old:]], 1)
    big.load_state_dict(own)
    fit_decay(big, frames)
    return big.eval()


@torch.no_grad()
def with_more_state(model: RdoVae, state: int, frames: Tensor) -> RdoVae:
    """Return a network whose initial state has `state` values, starting from `model`; frames float32 [2 N, B, 20].

    The new values are random, of the spread of the old ones, and the decoder's weights for them are small at first.
    """
    old, latent = model.cfg.state, model.cfg.latent
    big = RdoVae(replace(model.cfg, state=state))
    own, got = big.state_dict(), model.state_dict()
    for name, value in got.items():
        if own[name].shape == value.shape:
            own[name] = value
    rows = got["encoder.state.weight"]
    fresh = torch.randn(state - old, rows.shape[1]) * rows.norm() / rows.numel() ** 0.5
    own["encoder.state.weight"] = torch.cat([rows, fresh])
    own["encoder.state.bias"] = torch.cat([got["encoder.state.bias"], torch.zeros(state - old)])
    hidden = got["decoder.init_hidden.weight"]
    weak = 0.2 * torch.randn(hidden.shape[0], state - old) * hidden.norm() / hidden.numel() ** 0.5
    own["decoder.init_hidden.weight"] = torch.cat([hidden, weak], 1)
    for name in ("scale_logit", "dead_raw", "decay_logit"):
        table = got[f"quantiser.{name}"]
        fresh = own[f"quantiser.{name}"][:, latent + old :]
        own[f"quantiser.{name}"] = torch.cat([table, fresh], 1)
    big.load_state_dict(own)
    fit_decay(big, frames)
    return big.eval()


@torch.no_grad()
def fit_decay(model: RdoVae, frames: Tensor) -> None:
    """Set the decay of every dimension and level to the optimum for the values that it takes.

    The optimum of `laplace_bits` for a mean magnitude m is (sqrt(1 + m^2) - 1) / m.
    """
    both = torch.cat(model.encoder(frames.unflatten(0, (-1, 2)).transpose(1, 2).flatten(2)), -1)[10:].flatten(0, 1)
    table = model.quantiser
    for level, (scale, dead) in enumerate(zip(table.scale(), table.dead_zone(), strict=True)):
        size = shrink(both * scale, dead).abs().mean(0).clamp(min=1e-3)
        table.decay_logit[level] = torch.logit((torch.sqrt(1 + size**2) - 1) / size)


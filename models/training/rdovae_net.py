# SPDX-License-Identifier: BSD-2-Clause
"""The RDO-VAE: a causal encoder, a decoder that runs backwards in time, and 16 quantiser levels.

After Valin et al., "Low-Bitrate Redundancy Coding of Speech Using a Rate-Distortion-Optimized
Variational Autoencoder" (2022), with our own layer sizes. Time-major tensors, see `recurrent`.
"""

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.training.recurrent import CausalConv, Gru

FEATURES = 20
LEVELS = 16
# The spread of latents should be several quantiser steps (the tables cannot express a step below
# 256/255), while network outputs start near one: this factor scales them.
LATENT_GAIN = 8.0
# Rough spread of the 20 features: keeps the first layer of the encoder out of saturation.
INPUT_SCALE = torch.tensor([0.25] + [0.5] * 17 + [1.0, 1.0])


@dataclass(frozen=True)
class RdoVaeConfig:
    """Layer sizes; `dilations` has one entry per stage."""

    latent: int = 48
    state: int = 32
    enc_dense: int = 64
    enc_gru: int = 32
    enc_conv: int = 56
    enc_dilations: tuple[int, ...] = (1, 2, 2, 2)
    dec_dense: int = 80
    dec_gru: int = 64
    dec_conv: int = 32
    dec_stages: int = 4
    hidden: int = 96

    def as_dict(self) -> dict:
        """Return plain types for checkpoints and model cards."""
        return asdict(self)


class Encoder(nn.Module):
    """Two feature frames per step -> latent and initial state of the backward decoder."""

    def __init__(self, cfg: RdoVaeConfig) -> None:
        super().__init__()
        self.reduced = False          # products between first and last layer in bfloat16: for training
        self.dense = nn.Linear(2 * FEATURES, cfg.enc_dense)
        self.grus, self.convs = nn.ModuleList(), nn.ModuleList()
        width = cfg.enc_dense
        for dilation in cfg.enc_dilations:
            self.grus.append(Gru(width, cfg.enc_gru))
            width += cfg.enc_gru
            self.convs.append(CausalConv(width, cfg.enc_conv, dilation))
            width += cfg.enc_conv
        self.latent = nn.Linear(width, cfg.latent)
        self.state_hidden = nn.Linear(width, cfg.hidden)
        self.state = nn.Linear(cfg.hidden, cfg.state)

    def trunk(self, frames: Tensor) -> Tensor:
        """Return the common input of both heads, [T, B, width], of frames [T, B, 40] (older frame first)."""
        scale = INPUT_SCALE.to(frames).repeat(2)
        x = torch.tanh(self.dense(frames * scale))
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.reduced):
            for gru, conv in zip(self.grus, self.convs, strict=True):
                x = torch.cat([x, gru(x)], -1)
                x = torch.cat([x, conv(x)], -1)
        return x

    def latents(self, x: Tensor) -> Tensor:
        """Return the latents [..., L] of the trunk [..., width]."""
        return self.latent(x.float()) * LATENT_GAIN

    def states(self, x: Tensor) -> Tensor:
        """Return the decoder's initial states [..., S] of the trunk [..., width]."""
        return self.state(torch.tanh(self.state_hidden(x.float()))) * LATENT_GAIN

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return latents [T, B, L] and states [T, B, S] of frames [T, B, 40] (older frame first)."""
        x = self.trunk(frames)
        return self.latents(x), self.states(x)


class Decoder(nn.Module):
    """Latents newest first -> four feature frames each (oldest of the four first)."""

    def __init__(self, cfg: RdoVaeConfig) -> None:
        super().__init__()
        self.reduced = False
        self.gru_size = cfg.dec_gru
        self.dense = nn.Linear(cfg.latent + 1, cfg.dec_dense)
        self.grus, self.convs, self.gates = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        width = cfg.dec_dense
        for _ in range(cfg.dec_stages):
            self.grus.append(Gru(width, cfg.dec_gru))
            self.gates.append(nn.Linear(cfg.dec_gru, cfg.dec_gru, bias=False))
            width += cfg.dec_gru
            self.convs.append(CausalConv(width, cfg.dec_conv, 1))
            width += cfg.dec_conv
        # The latents are connected directly as well, because a linear map suffices for small details.
        self.out = nn.Linear(width + cfg.latent, 4 * FEATURES)
        self.init_hidden = nn.Linear(cfg.state, cfg.hidden)
        self.init = nn.Linear(cfg.hidden, cfg.dec_stages * cfg.dec_gru)

    def initial(self, state: Tensor) -> tuple[Tensor, ...]:
        """Return the initial GRU state of every stage, [B, H] each, of state [B, S]."""
        hidden = torch.tanh(self.init_hidden(state / LATENT_GAIN))
        return torch.tanh(self.init(hidden)).split(self.gru_size, -1)

    def forward(self, latents: Tensor, level: Tensor, state: Tensor) -> Tensor:
        """Return features [T, B, 4, 20] of latents [T, B, L], level [T, B] (0..15), state [B, S]."""
        starts = self.initial(state)
        hint = (level.to(latents) / 8 - 1)[..., None]
        coded = latents / LATENT_GAIN
        x = torch.tanh(self.dense(torch.cat([coded, hint], -1)))
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.reduced):
            for gru, gate, conv, h0 in zip(self.grus, self.gates, self.convs, starts, strict=True):
                y = gru(x, h0)
                x = torch.cat([x, y * torch.sigmoid(gate(y))], -1)
                x = torch.cat([x, conv(x)], -1)
        y = self.out(torch.cat([x.float(), coded], -1)).unflatten(-1, (4, FEATURES))
        return y / INPUT_SCALE.to(y)


class Quantiser(nn.Module):
    """Scale, dead zone and the Laplace decay of every dimension at every level.

    Columns 0..L-1 belong to the latent, the rest to the initial state.
    """

    def __init__(self, dims: int, levels: int = LEVELS) -> None:
        super().__init__()
        ramp = torch.linspace(math.log(0.85), math.log(0.12), levels).exp()
        self.scale_logit = nn.Parameter(torch.logit(ramp)[:, None].repeat(1, dims))
        self.dead_raw = nn.Parameter(torch.zeros(levels, dims))
        self.decay_logit = nn.Parameter(torch.zeros(levels, dims))

    def scale(self) -> Tensor:
        """Return the quantiser scale in 1/256 … 255/256, [levels, dims]."""
        return (torch.sigmoid(self.scale_logit) * (255 / 256)).clamp(min=4 / 256)

    def dead_zone(self) -> Tensor:
        """Return the dead zone width in steps, [levels, dims]; the table ends at 255/256."""
        return (0.1 * functional.softplus(self.dead_raw)).clamp(max=255 / 256)

    def decay(self) -> Tensor:
        """Return the ratio of the two-sided geometric distribution that models the rate in training."""
        return torch.sigmoid(self.decay_logit)


def shrink(y: Tensor, dead: Tensor) -> Tensor:
    """Return the soft dead zone: y - d tanh(y / (d + 0.1)); the kernels' encoder does the same."""
    return y - dead * torch.tanh(y / (dead + 0.1))


class RdoVae(nn.Module):
    """Encoder, decoder and quantiser of one size."""

    def __init__(self, cfg: RdoVaeConfig | None = None) -> None:
        super().__init__()
        self.cfg = cfg or RdoVaeConfig()
        self.encoder = Encoder(self.cfg)
        self.decoder = Decoder(self.cfg)
        self.quantiser = Quantiser(self.cfg.latent + self.cfg.state)

    def reduce(self, on: bool) -> None:
        """Set whether the inner products run in bfloat16 (about twice as fast to train on CPUs that have it)."""
        self.encoder.reduced = self.decoder.reduced = on

    def weights(self) -> dict[str, int]:
        """Return the number of parameters of each side."""
        return {
            "encoder": sum(p.numel() for p in self.encoder.parameters()),
            "decoder": sum(p.numel() for p in self.decoder.parameters()),
        }

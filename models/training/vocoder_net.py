# SPDX-License-Identifier: BSD-2-Clause
"""The LPCNet vocoder for training: a frame-rate network in PyTorch around the sample-rate network.

Two samples per step of GRU A (as in Bunched LPCNet, arXiv 2008.04574). GRU B and the tree run for every sample; their
inputs are the last sample, the prediction and the last excitation. GRU A also gets the excitation one pitch period ago:
that relieves its state of storing a whole period, so that a small recurrent layer keeps its harmonics, and it
continues the pitch of real speech after a gap.

On a CPU the sample-rate network is one fused kernel; elsewhere it is `vocoder_reference`, in plain PyTorch.
"""

from __future__ import annotations

import math
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.training import vocoder_reference

SLOTS_A, LEVELS_A = 8, 128
SLOTS_B, LEVELS_B = 3, 256
EMBED = 32
HOP = 160
CONTEXT = 2  # frames of look-back and look-ahead of the frame-rate network
PERIODS = 256


@cache
def kernel() -> Any:
    """Return the compiled extension (built on first use)."""
    from torch.utils.cpp_extension import load

    # without an activated virtual environment, ninja is found beside its python
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    folder = Path(__file__).parent / "vocoder_kernel"
    flags = ["-O3", "-march=native", "-ffast-math", "-mprefer-vector-width=512", "-fno-loop-interchange"]
    return load("dredge_vocoder_kernel", [str(folder / "kernel.cpp")], extra_cflags=flags,
                extra_include_paths=[str(folder)], verbose=False)


class FusedNetwork(torch.autograd.Function):
    """Mean negative log-likelihood (nats) of the excitation, and the new states."""

    @staticmethod
    def forward(ctx, idx_a, idx_b, target, ha, hb, *weights):  # type: ignore[no-untyped-def]
        train = any(ctx.needs_input_grad[5:])
        table_a, wh, bn, ca, wbi, table_b, wb, bbn, cb, *tree = (w.detach().contiguous() for w in weights)
        out = kernel().step(idx_a, idx_b, target, ha, hb, table_a, wh, bn, ca, wbi, table_b, wb, bbn, cb, tree,
                            HOP, train)
        if train:
            dtable_a, dwh, dbn, dca, dwbi, dtable_b, dwb, dbbn, dcb, *dtree = out[3:]
            ctx.grads = (dtable_a, dwh, dbn, dca, dwbi, dtable_b, dwb, dbbn, dcb, *dtree)
        ctx.mark_non_differentiable(out[1], out[2])
        return out[0], out[1], out[2]

    @staticmethod
    def backward(ctx, d, *_):  # type: ignore[no-untyped-def]
        return (None, None, None, None, None, *(g * d for g in ctx.grads))


def _uniform(rows: int, cols: int, scale: float) -> nn.Parameter:
    return nn.Parameter(torch.empty(rows, cols).uniform_(-scale, scale))


def _embedding(slots: int, levels: int) -> nn.Parameter:
    """Start as a ramp: neighbouring codes have similar meanings."""
    ramp = torch.linspace(-1.7, 1.7, levels)[None, :, None] * torch.randn(slots, 1, EMBED) * 0.5
    return nn.Parameter(ramp + 0.1 * torch.randn(slots, levels, EMBED))


def _recurrent(size: int) -> nn.Parameter:
    return nn.Parameter(torch.cat([nn.init.orthogonal_(torch.empty(size, size)) for _ in range(3)], 1))


class VocoderNet(nn.Module):
    """Sample network `emb_a wx wh bn wbi emb_b wxb wb bbn t*`; frame network `pitch c1 c2 d1 d2 ca cb`."""

    def __init__(self, hidden: int = 192, hidden_b: int = 32, cond: int = 128) -> None:
        super().__init__()
        self.hidden, self.hidden_b, self.cond = hidden, hidden_b, cond
        self.emb_a = _embedding(SLOTS_A, LEVELS_A)
        self.wx = _uniform(SLOTS_A * EMBED, 3 * hidden, 0.08)
        self.wh = _recurrent(hidden)
        self.bn = nn.Parameter(torch.zeros(hidden))
        self.wbi = _uniform(hidden, 6 * hidden_b, 1 / math.sqrt(hidden))
        self.emb_b = _embedding(SLOTS_B, LEVELS_B)
        self.wxb = _uniform(SLOTS_B * EMBED, 3 * hidden_b, 0.08)
        self.wb = _recurrent(hidden_b)
        self.bbn = nn.Parameter(torch.zeros(hidden_b))
        for i in "12":
            setattr(self, f"tw{i}", nn.Parameter(0.3 * torch.randn(256, hidden_b)))
            setattr(self, f"tb{i}", nn.Parameter(torch.zeros(256)))
            setattr(self, f"ts{i}", nn.Parameter(0.5 * torch.ones(256)))
        self.pitch = nn.Embedding(PERIODS + 1, 64)
        self.c1 = nn.Conv1d(84, cond, 3)
        self.c2 = nn.Conv1d(cond, cond, 3)
        self.d1 = nn.Linear(cond, cond)
        self.d2 = nn.Linear(cond, cond)
        self.ca = nn.Linear(cond, 3 * hidden)
        self.cb = nn.Linear(cond, 3 * hidden_b)

    def condition(self, f: Tensor) -> Tensor:
        """Return the conditioning [F, B, C] of features [B, F + 4, 20]."""
        x = torch.cat([f, self.pitch(period(f))], -1).transpose(1, 2)
        x = torch.tanh(self.c2(torch.tanh(self.c1(x)))).permute(2, 0, 1)
        return torch.tanh(self.d2(torch.tanh(self.d1(x))))

    def tables(self) -> tuple[Tensor, Tensor]:
        """Return the contribution of a code to the gates: n, r, z of GRU A [8, 128, 3A]; r, z, n of GRU B [3, 256, 3B].
        """
        a = torch.bmm(self.emb_a, self.wx.view(SLOTS_A, EMBED, -1))
        return a, torch.bmm(self.emb_b, self.wxb.view(SLOTS_B, EMBED, -1))

    def weights(self, f: Tensor) -> tuple[Tensor, ...]:
        """Return the inputs of the sample-rate network for features [B, F + 4, 20], in the order of its arguments."""
        c = self.condition(f)
        table_a, table_b = self.tables()
        tree = [getattr(self, f"t{k}{i}") for i in "12" for k in "wbs"]
        return (table_a, self.wh, self.bn, self.ca(c), self.wbi, table_b, self.wb, self.bbn, self.cb(c), *tree)

    def forward(self, idx_a: Tensor, idx_b: Tensor, target: Tensor, f: Tensor, ha: Tensor, hb: Tensor
                ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the loss in nats per sample and the new states; shapes as in vocoder_data.Batch."""
        step = FusedNetwork.apply if target.device.type == "cpu" else vocoder_reference.step
        return step(idx_a, idx_b, target, ha, hb, *self.weights(f))  # type: ignore[no-any-return,no-untyped-call]


def period(f: Tensor) -> Tensor:
    """Return the pitch period in whole samples, 32 … 256, of features [..., 20]."""
    return (256.0 / 2.0 ** (f[..., 18] + 1.5)).round().clamp(32, 256).long()

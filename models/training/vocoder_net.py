# SPDX-License-Identifier: BSD-2-Clause
"""The LPCNet vocoder for training: a frame-rate network in PyTorch around the fused sample-rate kernel.

Beside the three inputs of LPCNet (arXiv 1810.11846: last sample, prediction, last excitation) the sample network sees
the excitation one pitch period ago (three taps). That spares it from remembering a whole period in its state, so that
a small recurrent layer keeps its harmonics, and it continues the pitch of real speech after a gap.
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

SLOTS = 6
EMBED = 32
HOP = 160
CONTEXT = 2  # frames of look-back and look-ahead of the frame-rate network
PERIODS = 256


@cache
def kernel() -> Any:
    """The compiled extension (built on first use)."""
    from torch.utils.cpp_extension import load

    # ninja of a virtual environment that was not activated is beside its python
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    source = Path(__file__).with_name("vocoder_kernel.cpp")
    flags = ["-O3", "-march=native", "-ffast-math", "-mprefer-vector-width=512", "-fno-loop-interchange"]
    return load("dredge_vocoder_kernel", [str(source)], extra_cflags=flags, verbose=False)


class SampleNetwork(torch.autograd.Function):
    """Mean negative log-likelihood (nats) of the excitation, and the new states."""

    @staticmethod
    def forward(ctx, idx, target, ha, hb, *weights):  # type: ignore[no-untyped-def]
        train = any(ctx.needs_input_grad[4:])
        emb, wx, wh, bn, ca, wbi, wb, bbn, cb, *tree = (w.detach() for w in weights)
        out = kernel().step(idx, target, emb, wx, wh, bn, ca, wbi, wb, bbn, cb, tree, ha, hb, HOP, train)
        if train:
            demb, dwx, dwh, dbn, dca, dwbi, dwb, dbbn, dcb, *dtree = out[3:]
            ctx.grads = (demb, dwx, dwh, dbn, dca, dwbi, dwb, dbbn, dcb, *dtree)
        ctx.mark_non_differentiable(out[1], out[2])
        return out[0], out[1], out[2]

    @staticmethod
    def backward(ctx, d, *_):  # type: ignore[no-untyped-def]
        return (None, None, None, None, *(g * d for g in ctx.grads))


def _uniform(rows: int, cols: int, scale: float) -> nn.Parameter:
    return nn.Parameter(torch.empty(rows, cols).uniform_(-scale, scale))


class VocoderNet(nn.Module):
    """Weights: sample network `emb, wx, wh, bn, wbi, wb, bbn, t*`; frame network `pitch, c1, c2, d1, d2, ca, cb`."""

    def __init__(self, hidden: int = 192, hidden_b: int = 32, cond: int = 128) -> None:
        super().__init__()
        self.hidden, self.hidden_b, self.cond = hidden, hidden_b, cond
        ramp = torch.linspace(-1.7, 1.7, 256)[None, :, None] * torch.randn(SLOTS, 1, EMBED) * 0.5
        self.emb = nn.Parameter(ramp + 0.1 * torch.randn(SLOTS, 256, EMBED))
        self.wx = _uniform(SLOTS * EMBED, 3 * hidden, 0.08)
        gates = [nn.init.orthogonal_(torch.empty(hidden, hidden)) for _ in range(3)]
        self.wh = nn.Parameter(torch.cat(gates, 1))
        self.bn = nn.Parameter(torch.zeros(hidden))
        self.wbi = _uniform(hidden, 3 * hidden_b, 1 / math.sqrt(hidden))
        gates = [nn.init.orthogonal_(torch.empty(hidden_b, hidden_b)) for _ in range(3)]
        self.wb = nn.Parameter(torch.cat(gates, 1))
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
        """Features [B, F + 4, 20] -> conditioning [F, B, C]."""
        x = torch.cat([f, self.pitch(period(f))], -1).transpose(1, 2)
        x = torch.tanh(self.c2(torch.tanh(self.c1(x)))).permute(2, 0, 1)
        return torch.tanh(self.d2(torch.tanh(self.d1(x))))

    def forward(self, idx: Tensor, target: Tensor, f: Tensor, ha: Tensor, hb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        c = self.condition(f)
        tree = [getattr(self, f"t{k}{i}") for i in "12" for k in "wbs"]
        return SampleNetwork.apply(
            idx, target, ha, hb, self.emb, self.wx, self.wh, self.bn, self.ca(c).contiguous(),
            self.wbi, self.wb, self.bbn, self.cb(c).contiguous(), *tree,
        )  # type: ignore[no-any-return,no-untyped-call]


def period(f: Tensor) -> Tensor:
    """Pitch period in whole samples, 32 … 256, of features [..., 20]."""
    return (256.0 / 2.0 ** (f[..., 18] + 1.5)).round().clamp(32, 256).long()

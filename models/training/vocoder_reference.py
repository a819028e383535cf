# SPDX-License-Identifier: BSD-2-Clause
"""The vocoder's sample-rate network in plain PyTorch: for GPUs, and as the reference of the fused kernel's tests."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def _gru(x: Tensor, h: Tensor, w: Tensor, bias_n: Tensor) -> Tensor:
    """Return the states of a reset-after GRU over x [T, B, 3H] = input sums r, z, n; w [H, 3H] gates r, z, n -> states
    [T, B, H].

    The library's GRU (cuDNN on a GPU) multiplies its inputs by a matrix; ours is the identity.
    """
    size = h.shape[1]
    identity = torch.eye(3 * size, device=x.device, dtype=x.dtype)
    none = torch.zeros(2 * size, device=x.device, dtype=x.dtype)
    flat = [identity, w.t().contiguous(), torch.zeros(3 * size, device=x.device, dtype=x.dtype),
            torch.cat([none, bias_n])]
    out, _ = torch._VF.gru(x, h[None].contiguous(), flat, True, 1, 0.0, torch.is_grad_enabled(), False, False)  # type: ignore[attr-defined]
    return out


def _rows(table: Tensor, idx: Tensor) -> Tensor:
    """Return the sum over slots: table [S, L, N], idx [T, B, S] -> [T, B, N]."""
    total = functional.embedding(idx[..., 0].long(), table[0])
    for k in range(1, table.shape[0]):
        total = total + functional.embedding(idx[..., k].long(), table[k])
    return total


def _tree_loss(h: Tensor, target: Tensor, tree: tuple[Tensor, ...]) -> Tensor:
    """Return the mean -log p of the eight decisions that lead to target u8 [N]; h [N, G]."""
    y = target.long()
    loss = torch.zeros((), device=h.device)
    for level in range(8):
        node = (1 << level) + (y >> (8 - level))
        bit = (y >> (7 - level)) & 1
        logit = torch.zeros_like(h[:, 0])
        for w, b, gain in (tree[:3], tree[3:]):
            logit = logit + gain[node] * torch.tanh((w[node] * h).sum(-1) + b[node])
        loss = loss + functional.binary_cross_entropy_with_logits(logit, bit.to(h.dtype))
    return loss


def step(
    idx_a: Tensor, idx_b: Tensor, target: Tensor, ha: Tensor, hb: Tensor, table_a: Tensor, wh: Tensor, bn: Tensor,
    ca: Tensor, wbi: Tensor, table_b: Tensor, wb: Tensor, bbn: Tensor, cb: Tensor, *tree: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the loss (nats per sample) and the detached new states of both GRUs; arguments as in
    vocoder_kernel/kernel.cpp.
    """
    steps, streams = idx_a.shape[:2]
    samples, a, b = idx_b.shape[0], wh.shape[0], wb.shape[0]
    frames = ca.shape[0]
    x = _rows(table_a, idx_a) + ca.repeat_interleave(steps // frames, 0)
    n, r, z = x.split(a, -1)
    states_a = _gru(torch.cat([r, z, n], -1), ha, wh, bn)
    both = (states_a @ wbi).view(steps, streams, 2, 3 * b).transpose(1, 2).reshape(samples, streams, 3 * b)
    x = both + _rows(table_b, idx_b) + cb.repeat_interleave(samples // frames, 0)
    states_b = _gru(x, hb, wb, bbn)
    loss = _tree_loss(states_b.reshape(-1, b), target.reshape(-1), tree)
    return loss[None], states_a[-1].detach(), states_b[-1].detach()

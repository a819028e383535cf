# SPDX-License-Identifier: BSD-2-Clause
"""Building blocks shared by the networks; tensors are time-major, [steps, batch, channels]."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Gru(nn.Module):
    """One GRU layer on torch.nn.GRU (oneDNN on CPU, cuDNN on CUDA), returning only the states."""

    def __init__(self, inputs: int, size: int) -> None:
        super().__init__()
        self.cell = nn.GRU(inputs, size)
        for gate in self.cell.weight_hh_l0.data.split(size):
            nn.init.orthogonal_(gate)

    def forward(self, x: Tensor, h0: Tensor | None = None) -> Tensor:
        """x [T, B, inputs], h0 [B, size] (default zero) -> [T, B, size]."""
        start = None if h0 is None else h0[None].contiguous()
        return self.cell(x, start)[0]


class CausalConv(nn.Module):
    """A dense bottleneck, then two taps (now and `dilation` steps ago): tanh([old, now] W + b)."""

    def __init__(self, inputs: int, size: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.dense = nn.Linear(inputs, size)
        self.taps = nn.Linear(2 * size, size)

    def forward(self, x: Tensor) -> Tensor:
        """x [T, B, inputs] -> [T, B, size]."""
        now = torch.tanh(self.dense(x))
        old = functional.pad(now, (0, 0, 0, 0, self.dilation, 0))[: now.shape[0]]
        return torch.tanh(self.taps(torch.cat([old, now], -1)))

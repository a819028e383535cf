# SPDX-License-Identifier: BSD-2-Clause
"""Building blocks shared by the networks; tensors are time-major, [steps, batch, channels]."""

import os
import sys
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

LANES = 16          # floats of the widest vector: sizes should be a multiple of it, for the kernel on every CPU


@lru_cache(maxsize=1)
def kernel() -> Any:
    """Return the compiled loop (gru_kernel.cpp), None without a C++ compiler."""
    from torch.utils.cpp_extension import load

    # without an activated virtual environment, ninja is found beside its python
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    flags = ["-O3", "-march=native"]
    if torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512"):
        flags += ["-DCPU_CAPABILITY=AVX2", "-DCPU_CAPABILITY_AVX2"]      # ATen's vectors of 8 floats
    try:
        return load("dredge_gru_kernel", [str(Path(__file__).with_name("gru_kernel.cpp"))], extra_cflags=flags)
    except (RuntimeError, OSError) as error:
        warnings.warn(f"gru_kernel.cpp did not compile; training uses torch.nn.GRU, slower ({error})", stacklevel=2)
        return None


class FastGru(torch.autograd.Function):
    """The recurrent part of a GRU layer: one call for all steps, and one product for the weight's gradient."""

    @staticmethod
    def forward(ctx: Any, given: Tensor, recurrent: Tensor, bias: Tensor, start: Tensor) -> Tensor:
        """Return the states [T, B, H].

        given [T, B, 3H]: input products, bias included; recurrent [3H, H], bias [3H], start [B, H].
        """
        states, gates = kernel().forward(given, recurrent, bias, start)
        ctx.save_for_backward(recurrent, start, states, gates)
        ctx.kind = given.dtype
        return states.to(given.dtype)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the gradients of the four inputs for the gradient slope [T, B, H]."""
        recurrent, start, states, gates = ctx.saved_tensors
        to_given, to_own, to_start = kernel().backward(slope, recurrent, start, states, gates)
        before = torch.cat([start[None], states[:-1]]).to(ctx.kind).flatten(0, 1)
        flat = to_own.flatten(0, 1)
        weight = (flat.to(ctx.kind).T @ before).float()
        return to_given.to(ctx.kind), weight, flat.sum(0), to_start


class Gru(nn.Module):
    """One GRU layer returning only the states; torch.nn.GRU's parameters.

    Training on a CPU uses the kernel, all other cases torch.nn.GRU (oneDNN, cuDNN).
    """

    def __init__(self, inputs: int, size: int) -> None:
        super().__init__()
        self.cell = nn.GRU(inputs, size)
        for gate in self.cell.weight_hh_l0.data.split(size):
            nn.init.orthogonal_(gate)

    def forward(self, x: Tensor, h0: Tensor | None = None) -> Tensor:
        """Return the states [T, B, size] for x [T, B, inputs], h0 [B, size] (default zero)."""
        cell = self.cell
        if x.device.type != "cpu" or not torch.is_grad_enabled() or cell.hidden_size % LANES or kernel() is None:
            start = None if h0 is None else h0[None].float().contiguous()
            with torch.autocast(x.device.type, enabled=False):
                return cell(x.float(), start)[0].to(x.dtype)
        start = x.new_zeros(x.shape[1], cell.hidden_size, dtype=torch.float32) if h0 is None else h0.float()
        given = functional.linear(x, cell.weight_ih_l0, cell.bias_ih_l0)
        return FastGru.apply(given, cell.weight_hh_l0, cell.bias_hh_l0, start)


class CausalConv(nn.Module):
    """A dense bottleneck, then two taps (now and `dilation` steps ago): tanh([old, now] W + b)."""

    def __init__(self, inputs: int, size: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.dense = nn.Linear(inputs, size)
        self.taps = nn.Linear(2 * size, size)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output [T, B, size] for x [T, B, inputs]."""
        now = torch.tanh(self.dense(x))
        old = functional.pad(now, (0, 0, 0, 0, self.dilation, 0))[: now.shape[0]]
        return torch.tanh(self.taps(torch.cat([old, now], -1)))

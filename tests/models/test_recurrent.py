# SPDX-License-Identifier: BSD-2-Clause
"""The compiled GRU loop against torch.nn.GRU, values and gradients."""

import pytest
from training_cases import torch

from models.training import recurrent
from models.training.recurrent import CausalConv, Gru


@pytest.fixture(scope="module")
def kernel():
    if recurrent.kernel() is None:
        pytest.skip("needs a C++ compiler: apt-get install g++")


def gradients(layer, value, inputs):
    return torch.autograd.grad(value, [*inputs, *layer.parameters()])


@pytest.mark.parametrize("with_start", [True, False])
def test_kernel_equals_torch(kernel, with_start):
    torch.manual_seed(1)
    layer = Gru(11, 32)
    x = torch.randn(17, 5, 11, requires_grad=True)
    inputs = [x, torch.randn(5, 32, requires_grad=True)] if with_start else [x]
    start = inputs[1] if with_start else None
    mask = torch.randn(17, 5, 32)
    got = layer(*inputs)
    wanted = layer.cell(x, None if start is None else start[None])[0]
    torch.testing.assert_close(got, wanted, atol=2e-6, rtol=1e-5)
    for a, b in zip(gradients(layer, (got * mask).sum(), inputs), gradients(layer, (wanted * mask).sum(), inputs),
                    strict=True):
        torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-4)


def test_kernel_is_what_trains_and_torch_what_evaluates(kernel, monkeypatch):
    layer, x = Gru(4, 16), torch.randn(3, 2, 4)
    used = []
    monkeypatch.setattr(recurrent.FastGru, "apply", lambda *a: used.append(1) or torch.zeros(3, 2, 16))
    layer(x)
    with torch.no_grad():
        layer(x)
    assert used == [1]


def test_without_a_compiler_torch_trains(monkeypatch):
    """The same values in reduced precision, and a gradient."""
    monkeypatch.setattr(recurrent, "kernel", lambda: None)
    layer, x, start = Gru(20, 32), torch.randn(9, 3, 20), torch.randn(3, 32)
    with torch.autocast("cpu", torch.bfloat16):
        got = layer(x.bfloat16(), start)
    assert got.dtype == torch.bfloat16
    assert (got.float() - layer.cell(x, start[None])[0]).abs().max() < 0.03
    got.float().sum().backward()
    assert layer.cell.weight_hh_l0.grad.abs().max() > 0


def test_sizes_that_do_not_suit_the_kernel_still_work():
    layer, x = Gru(4, 10), torch.randn(3, 2, 4)
    torch.testing.assert_close(layer(x), layer.cell(x)[0])


def test_kernel_refuses_what_does_not_fit(kernel):
    with pytest.raises(RuntimeError, match="sizes do not fit together"):
        recurrent.kernel().forward(torch.zeros(2, 3, 48), torch.zeros(48, 16), torch.zeros(40), torch.zeros(3, 16))


def test_bfloat16_stays_close(kernel):
    torch.manual_seed(2)
    layer, x = Gru(20, 32), torch.randn(40, 6, 20)
    with torch.autocast("cpu", torch.bfloat16):
        got = layer(x)
    assert got.dtype == torch.bfloat16
    assert (got.float() - layer.cell(x)[0]).abs().max() < 0.03


def test_convolution_sees_now_and_one_dilation_ago():
    torch.manual_seed(3)
    layer, x = CausalConv(5, 4, 3), torch.randn(12, 1, 5)
    y = x.clone()
    y[6] += 1
    changed = (layer(x) != layer(y)).any(-1).flatten().nonzero().flatten().tolist()
    assert changed == [6, 9]

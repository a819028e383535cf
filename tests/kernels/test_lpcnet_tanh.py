# SPDX-License-Identifier: BSD-2-Clause
"""The activations of the vocoder: one definition in integers, close enough to tanh and sigmoid, at every level."""

import numpy as np
import pytest
from lpcnet_cases import TANH_GAIN, tanh16, to_int16

from dredge_kernels.lpcnet import simd_levels
from dredge_kernels.lpcnet import tanh16 as kernel

ALL = np.arange(-32768, 32768).astype(np.int16)


@pytest.mark.parametrize("level", simd_levels())
def test_every_input_gives_the_defined_integer(level):
    np.testing.assert_array_equal(kernel(ALL, level), tanh16(ALL))


def test_activation_is_odd_and_stays_below_one():
    y = kernel(ALL, "scalar").astype(int)
    np.testing.assert_array_equal(y[1:], -y[:0:-1])
    assert y[0] == y[1]  # -32768 is saturated to -32767
    assert np.abs(y).max() < 32768
    assert kernel(np.zeros(16, np.int16), "scalar").tolist() == [0] * 16


def test_activation_rises_but_for_rounding():
    """Where two segments meet, the value may fall by a few of 32768."""
    assert np.diff(kernel(ALL, "scalar").astype(int)).min() >= -8


def test_tanh_is_within_the_stated_error():
    x = np.linspace(-12, 12, 480001)
    y = kernel(to_int16(x.astype(np.float32) * TANH_GAIN).astype(np.int16), "scalar") / 32768
    error = np.abs(y - np.tanh(x[: len(y)])).max()
    assert 1e-4 < error < 3.5e-4


def test_sigmoid_is_within_the_stated_error():
    x = np.linspace(-20, 20, 480001)
    half = kernel(to_int16(x.astype(np.float32) * (TANH_GAIN / 2)).astype(np.int16), "scalar")
    y = ((half.astype(int) >> 1) + 16384) / 32768
    error = np.abs(y - 1 / (1 + np.exp(-x[: len(y)]))).max()
    assert 1e-5 < error < 1.9e-4

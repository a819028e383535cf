# SPDX-License-Identifier: BSD-2-Clause
"""Probability tables: bits as the coder counts them, fits near the best there is."""

import numpy as np
import pytest
import repo_path  # noqa: F401
from hypothesis import given, settings
from hypothesis import strategies as st

from dredge_kernels.payload import decode_payload, encode_symbols
from dredge_kernels.tables import QuantTables
from models.training.quant_fit import fit, magnitude_bits, value_bits


def geometric(rng, n, zero, decay):
    """Signed values: zero with probability `zero`, magnitudes geometric with ratio `decay`."""
    magnitude = rng.geometric(1 - decay, n)
    return np.where(rng.random(n) < zero, 0, magnitude * rng.choice([-1, 1], n))[:, None]


@pytest.mark.parametrize(("zero", "decay"), [(0.2, 0.8), (0.5, 0.5), (0.9, 0.2), (0.97, 0.05)])
def test_fit_is_near_the_entropy(zero, decay):
    values = geometric(np.random.default_rng(1), 20000, zero, decay)
    p0, r = fit(values)
    entropy = (-zero * np.log2(zero) - (1 - zero) * np.log2((1 - zero) / 2)
               + (1 - zero) * (-np.log2(1 - decay) - decay / (1 - decay) * np.log2(decay)))
    assert value_bits(values, p0, r).mean() < 1.03 * entropy + 0.01


def test_no_other_table_entry_is_much_better():
    values = geometric(np.random.default_rng(2), 5000, 0.6, 0.4)
    p0, r = fit(values)
    best = min(value_bits(values, np.uint8([p]), np.uint8([q])).mean()
               for p in range(100, 200, 4) for q in range(40, 180, 4))
    assert value_bits(values, p0, r).mean() < 1.005 * best


def test_dead_dimensions_cost_nothing():
    values = np.zeros((1000, 2), int)
    values[0, 1] = 1
    p0, r = fit(values)
    assert (r == 0).all() and value_bits(values, p0, r).sum() == 0


def test_probabilities_of_magnitudes_sum_to_one():
    for r in range(1, 255):
        assert 2 ** -magnitude_bits(np.uint8(r)) @ np.ones(8) == pytest.approx(1, abs=1e-3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-30, 30), min_size=8, max_size=8), st.integers(1, 254),
       st.integers(1, 254))
def test_bits_are_those_of_the_kernels(values, p0, r):
    """Eight latents of eight equal symbols against the range coder's own count."""
    symbols = np.tile(np.array(values, np.int32), (8, 1))
    table = {f"{part}_{kind}": np.full((16, dims), value, np.uint8)
             for part, dims in (("latent", 8), ("state", 1))
             for kind, value in (("scale", 128), ("dead_zone", 0), ("r", r), ("p0", p0))}
    tables = QuantTables.from_arrays(0xD1, table)
    payload = encode_symbols(symbols, np.zeros(1, np.int32), tables, 0, 0)
    if not payload:          # too long for a packet
        return
    decoded = decode_payload(payload, tables)
    count = len(decoded.latents)
    row = np.full(8, p0, np.uint8), np.full(8, r, np.uint8)
    expected = value_bits(symbols[:count], *row).sum()
    used = decoded.tells[-1] - decoded.tells[0]
    assert abs(used - expected) < 3 + 0.02 * expected

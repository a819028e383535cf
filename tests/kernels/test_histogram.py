# SPDX-License-Identifier: BSD-2-Clause
"""The compiled histogram is the device's portable one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dredge_device import budget
from dredge_kernels import histogram as compiled

EDGES = [edge + more for edge in map(budget.edge_of, range(290)) for more in (0, 1)]


def both():
    return budget.Histogram(), compiled.Histogram()


def state(histogram):
    shares = histogram.percentiles(0, 1, 500, 950, 990, 1000)
    return histogram.count, histogram.total, histogram.max, histogram.bins(), shares, budget.summary(histogram)


@pytest.mark.parametrize("us", [-5, 0, *EDGES, 10**12, 2**40])
def test_every_value_falls_into_the_same_bin(us):
    plain, fast = both()
    plain.add(us)
    fast.add(us)
    assert state(plain) == state(fast)


@given(st.lists(st.one_of(st.integers(-10, 70), st.integers(0, 3_000_000)), max_size=300))
def test_the_same_values_make_the_same_figures(values):
    plain, fast = both()
    for value in values:
        plain.add(value)
        fast.add(value)
    assert state(plain) == state(fast)


def test_a_budget_of_either_kind_reports_the_same():
    reports = []
    for make in (budget.Histogram, compiled.Histogram):
        meter = budget.Budget(("a", "b"), 1000, make)
        meter.frame(900, [500, 0], 950)
        meter.frame(1001, [600, 300])
        reports.append(meter.report())
    assert reports[0] == reports[1] and reports[0]["late_frames"] == 1

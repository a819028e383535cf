# SPDX-License-Identifier: BSD-2-Clause
"""Histograms and ranges: nothing is lost, marks lie on the scale of the bars, labels say what they mark."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dredge_device.budget import Histogram as DeviceHistogram
from dredge_host.report import distribution


def places(svg, kind):
    return [float(x) for x in re.findall(rf'<path class="{kind}" d="M([\d.]+) 0V100"/>', svg)]


def bars(svg):
    found = re.findall(r'<rect class="bar" x="([\d.]+)" y="[\d.]+" width="([\d.]+)" height="([\d.]+)"', svg)
    return [tuple(map(float, bar)) for bar in found]


@given(st.lists(st.floats(0, 5000), min_size=1, max_size=80))
def test_every_value_is_in_a_bar(values):
    for histogram in (distribution.of_values(values), distribution.of_times(values)):
        assert sum(count for _, _, count in histogram.bars) == len(values)
        assert set(histogram.marks) == {"p50", "p95", "p99"}


def test_alike_values_have_a_range_around_them():
    histogram = distribution.of_values([1000.0] * 50)
    assert (histogram.bars[0][0], histogram.bars[-1][1]) == (990, 1010)


def test_a_devices_bins_are_not_wider_than_they_are():
    device = DeviceHistogram()
    times = [100, 101, 400, 5000]
    for time in times:
        device.add(time)
    bins = device.bins()
    got = distribution.of_bins([0, *[edge for edge, _ in bins]], [count for _, count in bins], {"p50": 0.1, "max": 5.0})
    assert sum(count for _, _, count in got.bars) == len(times)
    for (left, right, _), time in zip(got.bars, [100, 400, 5000], strict=True):
        assert left * 1000 <= time <= right * 1000 and right - left < 0.07 * right + 0.002
    assert got.marks == {"p50": 0.1}, "the largest is not a mark"


@pytest.mark.parametrize(("edges", "counts"), [([0, 1], []), ([0, 1], [1, 2]), ([], [])])
def test_bins_need_matching_edges(edges, counts):
    with pytest.raises(ValueError, match="counts need"):
        distribution.of_bins(edges, counts, {})


def test_marks_lie_on_the_scale_of_the_bars():
    histogram = distribution.Histogram([(0, 10, 1), (10, 20, 4)], {"p50": 10.0})
    svg = distribution.figure(histogram, "CPU", ("period", 40.0))
    assert bars(svg) == [(0, 250, 50), (250, 250, 100)]  # square root: 1 of 4 is half as high
    assert places(svg, "mark") == [250] and places(svg, "limit") == [1000]


def test_on_a_logarithmic_axis_equal_ratios_are_equal_ways():
    histogram = distribution.Histogram([(0.1, 0.2, 1)], {"p50": 1.0}, True)
    svg = distribution.figure(histogram, "CPU", ("period", 10.0))
    assert places(svg, "mark") == [500] and places(svg, "limit") == [1000]


def test_labels_carry_values_and_stay_inside():
    histogram = distribution.Histogram([(0, 100, 3)], {"p50": 0.05, "p95": 50.0, "p99": 99.0})
    svg = distribution.figure(histogram, "Delay <&>", None)
    flags = re.findall(r'<span class="mark (left|right)" style="(?:left|right):([\d.]+)%">([^<]+)</span>', svg)
    assert flags == [("left", "0.05", "p50 50 µs"), ("left", "50.00", "p95 50.0 ms"), ("right", "1.00", "p99 99.0 ms")]
    assert "Delay &lt;&amp;&gt;: p50 50 µs, p95 50.0 ms, p99 99.0 ms" in svg, "the picture says the same in words"


@given(st.lists(st.floats(0.001, 1e4), min_size=1, max_size=30), st.floats(0.01, 100))
def test_no_place_is_outside_the_picture(values, limit):
    svg = distribution.figure(distribution.of_times(values), "x", ("period", limit))
    assert all(0 <= place <= 1000 for kind in ("mark", "limit") for place in places(svg, kind))
    assert all(x >= 0 and x + width <= 1002 and height <= 100 for x, width, height in bars(svg))


def test_ranges_share_one_scale_and_leave_out_what_is_unknown():
    times = {"p50": 1.0, "p95": 2.0, "p99": 4.0, "max": 8.0}
    html = distribution.ranges({"a<b": times, "slow": {k: 10 * v for k, v in times.items()}, "unknown": {}},
                               ("period", 20.0), "key")  # fmt: skip
    assert "a&lt;b" in html and "unknown" not in html
    starts = [float(x) for x in re.findall(r'class="whisker" d="M([\d.]+) 50', html)]
    limits = set(places(html, "limit"))
    ends = [float(x) for x in re.findall(r'class="whisker" d="M[\d.]+ 50H([\d.]+)"', html)]
    assert len(limits) == 1 and ends[0] < limits.pop() < ends[1]
    assert starts[1] - starts[0] == pytest.approx((ends[1] - ends[0]), abs=0.2), "a factor of ten is one way"
    assert "<td>8.00 ms</td>" in html and "<td>80.0 ms</td>" in html
    assert distribution.ranges({"x": {"p50": 1.0}}, None, "key") == ""


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0, "0 µs"), (0.041, "41 µs"), (0.4, "0.40 ms"), (9.99, "9.99 ms"), (20.0, "20.0 ms"), (1002.4, "1002 ms")],
)
def test_times_are_short(value, words):
    assert distribution.ms(value) == words


def test_percentiles_are_observed_values():
    values = list(np.arange(1.0, 101.0))
    assert distribution.of_times(values).marks == {"p50": 50.0, "p95": 95.0, "p99": 99.0}

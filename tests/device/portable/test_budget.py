# SPDX-License-Identifier: BSD-2-Clause
"""Histograms, counters, bursts, interarrival jitter, timeline."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dredge_device import budget, telemetry, timeline

MICROSECONDS = st.integers(0, 2_000_000)


@given(MICROSECONDS)
def test_bin_edge_is_at_most_six_and_a_quarter_percent_above(us):
    edge = budget.edge_of(budget.bin_of(us))
    assert us <= edge <= us * 1.0625


def test_bins_are_contiguous():
    assert [budget.bin_of(us) for us in range(64)] == [
        *range(32), *(32 + i // 2 for i in range(32)),
    ]  # fmt: skip
    for index in range(1, 200):
        assert budget.bin_of(budget.edge_of(index - 1) + 1) == index


def test_huge_and_negative_values_stay_inside():
    histogram = budget.Histogram()
    histogram.add(10**12)
    histogram.add(-5)
    assert histogram.count == 2 and histogram.max == 10**12


@given(st.lists(MICROSECONDS, min_size=1, max_size=300))
def test_percentiles_bound_the_sorted_values(values):
    histogram = budget.Histogram()
    for value in values:
        histogram.add(value)
    ordered = sorted(values)
    shares = (500, 950, 990, 1000)
    for permille, edge in zip(shares, histogram.percentiles(*shares), strict=True):
        true = ordered[(len(values) * permille + 999) // 1000 - 1]
        assert true <= edge <= max(true * 1.0625, true)
        assert histogram.percentiles(permille) == [edge]
    assert budget.summary(histogram)["max_us"] == ordered[-1]
    assert sum(count for _, count in histogram.bins()) == len(values)


def test_empty_histogram_has_zeros():
    assert set(budget.summary(budget.Histogram()).values()) == {0}


def test_budget_counts_late_frames_and_skips_idle_stages():
    meter = budget.Budget(("a", "b"), period_us=1000)
    meter.frame(900, [500, 0])
    meter.frame(1001, [600, 300])
    report = meter.report()
    assert report["late_frames"] == 1
    assert report["frames"] == 2 and report["max_us"] == 1001 and report["p99_pct"] == 100.1
    assert report["stages"]["a"]["frames"] == 2 and report["stages"]["b"]["frames"] == 1
    json.dumps(report, allow_nan=False)


def test_counters_refuse_unknown_names():
    counters = telemetry.Counters(("a",))
    counters.add("a")
    counters.add("a", 4)
    assert counters.snapshot() == {"a": 5}
    with pytest.raises(ValueError, match="no counter is named 'b'"):
        counters.add("b")


@given(st.lists(st.booleans(), max_size=400))
def test_bursts_agree_with_run_length_coding(losses):
    bursts = telemetry.Bursts()
    for lost in losses:
        bursts.step(lost)
    runs = [len(run) for run in "".join("x" if lost else " " for lost in losses).split()]
    tail = bursts.open()
    if tail:
        assert runs.pop() == tail
    assert bursts.lost == sum(runs)
    assert bursts.longest == max(runs, default=0)
    assert bursts.mean() == pytest.approx(sum(runs) / len(runs) if runs else 0)
    for length in range(1, 64):
        assert bursts.histogram().get(str(length), 0) == runs.count(length)


def test_very_long_bursts_share_a_class_and_open_runs_can_be_taken_back():
    bursts = telemetry.Bursts(longest=4)
    for lost in [True] * 9 + [False] + [True] * 5:
        bursts.step(lost)
    assert bursts.histogram() == {"4+": 1} and bursts.longest == 9
    assert bursts.forget(2) == 2 and bursts.open() == 3
    bursts.close()
    assert bursts.lost == 12 and bursts.forget() == 0


def test_jitter_is_zero_for_even_arrivals_over_the_timestamp_wrap():
    jitter = telemetry.Jitter()
    for n in range(100):
        jitter.arrival((0xFFFFFF00 + 960 * n) & 0xFFFFFFFF, 5_000_000 + 20_000 * n)
    assert jitter.units() == 0


def test_jitter_settles_at_the_mean_difference():
    """Arrivals alternately 0 and 5 ms late: |D| is always 240 units."""
    jitter = telemetry.Jitter()
    for n in range(400):
        jitter.arrival(960 * n, 20_000 * n + (5000 if n % 2 else 0))
    assert 230 <= jitter.units() <= 240
    jitter.reset()
    assert jitter.units() >= 0


PERIODS = st.lists(
    st.tuples(st.sampled_from(timeline.SOURCES), st.integers(0, 2000), st.integers(0, 70000)),
    max_size=60,
)


@given(PERIODS)
def test_timeline_round_trip_through_json(periods):
    line = timeline.Timeline(limit=50)
    for index, (source, delay, cpu) in enumerate(periods):
        line.add(100 + index, source, 1000 * delay, cpu)
    part = json.loads(json.dumps(line.part()))
    names, delays = timeline.expand(part)
    kept = periods[:50]
    assert names == [source for source, _, _ in kept]
    assert delays == [delay for _, delay, _ in kept]
    assert part["cpu_us"] == [min(cpu, 65535) for _, _, cpu in kept]
    assert part["dropped"] == max(0, len(periods) - 50)
    assert part["first_packet"] == (100 if periods else None)


def test_timeline_parts_join():
    line = timeline.Timeline()
    for index in range(30):
        line.add(index, "opus" if index % 3 else "dred", 200_000, index)
    first, second = line.part(0, 12), line.part(12)
    assert first["sources"] + second["sources"] == line.part()["sources"]
    assert second["start"] == 12

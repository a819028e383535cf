# SPDX-License-Identifier: BSD-2-Clause
"""Rows of a timeline: what is kept, joined into runs and gaps, packed for scripts, and mapped to what was heard."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dredge_device import timeline as device
from dredge_device.units import PACKET_SECONDS
from dredge_host.legend import LETTERS, SOURCES, WHOLE
from dredge_host.report.timeline import Row, Run, gaps, heard_at, packed, runs, timeline_rows, worst_gap


def rows_of(sources):
    return [Row(i, s) for i, s in enumerate(sources)]


def test_every_source_of_the_device_is_known_by_the_same_letter():
    assert set(SOURCES) == set(device.SOURCES)
    assert dict(zip(device.SOURCES, device.LETTERS, strict=True)) == LETTERS


def test_rows_are_sorted_and_bad_ones_left_out():
    rows = timeline_rows(
        {"timeline": [[2, "opus", 1, 2], [0, "dred"], [-1, "opus", 1, 1], [1, "magic", 1, 1],
                      "nonsense", [5, ["opus"], 1, 1], [None, "opus", 1, 1], [3], [True, "opus"], [2, "plc", 9, 9]]}
    )  # fmt: skip
    assert [(r.packet, r.source, r.delay_ms) for r in rows] == [(0, "dred", None), (2, "plc", 9.0)]  # the last


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.text(),
            st.lists(st.one_of(st.integers(), st.floats(), st.none(), st.sampled_from(["opus", "skipped", "x"]))),
        )
    )
)
@settings(max_examples=60, deadline=None)
def test_any_timeline_is_survived(timeline):
    rows = timeline_rows({"timeline": timeline})
    assert all(a.packet < b.packet for a, b in pairwise(rows))
    assert all(r.packet >= 0 and r.source in SOURCES for r in rows)


@given(st.lists(st.sampled_from(list(SOURCES)), max_size=60))
def test_runs_cover_every_packet_once_and_never_touch_alike(sources):
    joined = runs(rows_of(sources))
    assert [r.source for r in joined for _ in range(r.start, r.end)] == sources
    for left, right in pairwise(joined):
        assert left.end == right.start and left.source != right.source


def test_runs_stop_at_missing_packets():
    assert [(r.start, r.end) for r in runs([Row(0, "dred"), Row(2, "dred")])] == [(0, 1), (2, 3)]


@given(st.lists(st.sampled_from(list(SOURCES)), max_size=60))
def test_gaps_are_what_did_not_arrive(sources):
    found = gaps(rows_of(sources))
    inside = {n for gap in found for n in range(gap.start, gap.end)}
    assert inside == {n for n, s in enumerate(sources) if s not in WHOLE}
    assert all(left.end < right.start for left, right in pairwise(found))


def test_a_gap_has_the_source_that_filled_most_of_it():
    sources = ["opus", "plc", "dred", "dred", "plc", "dtx", "skipped", "silence"]
    assert [tuple(gap) for gap in gaps(rows_of(sources))] == [(1, 5, "plc"), (6, 7, "skipped")]


def test_packed_rows_say_the_same_in_less():
    rows = [Row(0, "opus", 40.0, 100.4), Row(1, "dred", 40.0, None), Row(3, "skipped", 80.0, 0.0)]
    assert packed(rows, 5) == {
        "letters": "od.x.",
        "cpu_us": [100, -1, -1, 0, -1],
        "delay_ms": [[40.0, 2], [None, 1], [80.0, 1], [None, 1]],
    }
    assert packed([], 0)["delay_ms"] == []


@given(st.lists(st.sampled_from([10.0, 20.0, None]), min_size=1, max_size=40))
def test_packed_delays_unfold_to_the_rows(delays):
    pairs = packed([Row(i, "opus", d) for i, d in enumerate(delays)], len(delays))["delay_ms"]
    assert [value for value, count in pairs for _ in range(count)] == delays


def test_a_constant_delay_is_heard_packet_by_packet():
    rows = [Row(i, "opus", 200.0) for i in range(5)]
    np.testing.assert_allclose(heard_at(rows, 8), np.arange(9) * PACKET_SECONDS)
    np.testing.assert_allclose(heard_at([], 3), np.arange(4) * PACKET_SECONDS)


def test_growing_delay_is_speech_held_and_falling_delay_speech_shortened():
    # Held for 100 ms before packet 2; the packets after it last 15 ms each until 50 ms are paid back.
    delays = [40, 40, 140, 135, 130, 125]
    got = heard_at([Row(i, "opus", d) for i, d in enumerate(delays)], 6)
    np.testing.assert_allclose(got, [0, 0.02, 0.14, 0.155, 0.17, 0.185, 0.205])


def test_packets_given_up_take_no_time_and_a_late_start_counts_from_its_first_packet():
    rows = [Row(3, "opus", 60.0), Row(4, "skipped", 60.0), Row(5, "opus", 20.0)]
    got = heard_at(rows, 7)
    assert got[3] == 0 and got[5] == pytest.approx(0.0)
    assert got[6] == pytest.approx(0.02) and got[0] == pytest.approx(-0.06)


@given(st.lists(st.floats(0, 2000), min_size=1, max_size=50))
def test_what_is_heard_never_runs_backwards(delays):
    got = heard_at([Row(i, "dred", d) for i, d in enumerate(delays)], len(delays) + 2)
    assert len(got) == len(delays) + 3 and (np.diff(got) >= 0).all()


def test_the_worst_gap_took_most_speech_and_of_equal_ones_the_longest():
    found = [Run(0, 30, "dred"), Run(40, 50, "dred"), Run(60, 72, "plc")]
    speech = np.zeros(80, bool)
    speech[45:80] = True
    assert worst_gap(found) == found[0]
    assert worst_gap(found, speech) == found[2]
    speech[:] = False
    assert worst_gap(found, speech) == found[0]
    assert worst_gap([]) is None

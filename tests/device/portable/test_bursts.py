# SPDX-License-Identifier: BSD-2-Clause
"""Which gaps are worth a wait."""

from hypothesis import given
from hypothesis import strategies as st

from dredge_device.bursts import LONGEST, BurstTracker


def heard(*gaps, calm=0):
    """A tracker after gaps (packets before each, lost in it), and then packets without a loss."""
    tracker, number = BurstTracker(), 0
    tracker.arrival(0, 0)
    for before, lost in [*gaps, (calm, 0)]:
        for _ in range(before - 1 if lost else before):
            number += 1
            tracker.arrival(number, 0)
        if lost:
            number += lost + 1
            tracker.arrival(number, lost)
    return tracker


def test_nothing_lost_nothing_waited_for():
    assert heard(calm=300).periods == 0


def test_a_lone_gap_decides_nothing_and_gaps_that_come_again_do():
    assert heard((200, 8)).periods == 0
    assert heard(*[(50, 8)] * 6).periods == 8
    assert heard((1500, 0), (10, 8), (10, 8), (10, 8)).periods == 8


def test_a_longer_wait_has_to_bring_more():
    assert heard(*[(200, 30)] * 6).periods == 10  # one in 230: too seldom for more than 200 ms
    assert heard(*[(40, 30)] * 12).periods == 30
    assert heard(*[(5, 60)] * 16).periods == LONGEST


def test_single_losses_ask_for_one_period():
    assert heard(*[(20, 1)] * 60).periods == 1


def test_old_gaps_are_forgotten():
    assert heard(*[(50, 8)] * 10, calm=1100).periods == 0


def test_packets_that_were_only_late_were_no_gap():
    tracker = BurstTracker()
    for n in range(0, 600, 10):
        tracker.arrival(n, 9 if n else 0)
    assert tracker.periods == 9
    for n in range(0, 600, 10):
        for late in range(max(0, n - 9), n):
            tracker.late(late)
    tracker.arrival(660, 0)
    assert tracker.periods == 0


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 300), st.booleans()), max_size=200))
def test_it_stays_within_its_limits(steps):
    tracker, number = BurstTracker(), 0
    tracker.arrival(number, 0)
    for step, lost, late in steps:
        number += step + lost
        tracker.arrival(number, lost)
        if late and lost:
            tracker.late(number - 1 - lost // 2)
        assert 0 <= tracker.periods <= LONGEST

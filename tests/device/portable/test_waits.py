# SPDX-License-Identifier: BSD-2-Clause
"""Which delay is worth its price."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dredge_device.units import PACKET_US
from dredge_device.waits import LONGEST, WaitHistory


def heard(*gaps, calm=0, history=None):
    """A history after gaps (packets before each, lost in it), and then packets without a loss."""
    waits = history or WaitHistory()
    for before, lost in [*gaps, (calm, 0)]:
        for n in range(before):
            waits.arrival(lost if lost and n == before - 1 else 0, 0)
    return waits


def worth_ms(waits):
    return waits.worth_us() / 1000


def test_nothing_lost_nothing_waited_for():
    assert worth_ms(heard(calm=300)) == 40


def test_it_begins_with_a_guess():
    assert worth_ms(WaitHistory()) == 60


def test_a_lone_gap_decides_nothing_and_gaps_that_come_again_do():
    assert worth_ms(heard((300, 8))) == 40
    assert worth_ms(heard(*[(32, 8)] * 10)) == 160


def test_a_longer_wait_has_to_bring_more():
    assert worth_ms(heard(*[(70, 30)] * 8)) <= 120  # one in 100
    assert worth_ms(heard(*[(15, 30)] * 20)) == 300  # one in 45
    assert worth_ms(heard(*[(7, 10)] * 20, calm=0)) == 200


def test_single_losses_cost_no_delay():
    assert worth_ms(heard(*[(20, 1)] * 60)) == 40


@pytest.mark.parametrize("seconds", [3, 6])
def test_losses_that_begin_are_met_within_seconds(seconds):
    waits = heard(calm=2000)
    heard(*[(18, 6)] * (2 * seconds), history=waits)
    assert worth_ms(waits) >= 100


def test_losses_that_end_are_forgotten_within_seconds():
    waits = heard(*[(20, 8)] * 40)
    assert worth_ms(waits) == 160
    heard(calm=400, history=waits)
    assert worth_ms(waits) == 40


def test_steady_losses_are_remembered_for_long_and_change_little():
    dice, waits, found = np.random.default_rng(3), WaitHistory(), []
    for _ in range(6000):
        waits.arrival(int(dice.geometric(0.2)) if dice.random() < 0.02 else 0, 0)
        found.append(worth_ms(waits))
    settled = np.array(found[1500:])
    assert 60 <= settled.mean() <= 120 and settled.std() <= 30
    assert np.count_nonzero(np.diff(settled)) <= 12


def test_arrivals_in_clumps_are_waited_for_like_gaps():
    """A radio that sleeps: five packets at a time, the first of them 80 ms late."""
    waits = WaitHistory()
    for n in range(400):
        waits.arrival(0, (4 - n % 5) * PACKET_US)
    assert worth_ms(waits) == 80


def test_packets_that_are_overtaken_are_waited_for():
    waits = WaitHistory()
    for n in range(400):
        if n % 5 == 0:
            waits.arrival(1, 0)
            waits.late(90_000)
        else:
            waits.arrival(0, 0)
    assert worth_ms(waits) == 90


@pytest.mark.parametrize(("reach", "expected"), [(0, 40), (1, 40), (4, 80), (LONGEST, 160)])
def test_what_no_packet_describes_is_not_waited_for(reach, expected):
    assert worth_ms(heard(*[(32, 8)] * 10, history=WaitHistory(reach))) == expected


def test_a_new_stream_begins_anew():
    waits = heard(*[(20, 8)] * 40)
    waits.reset()
    assert worth_ms(waits) == 60
    assert worth_ms(heard(calm=300, history=waits)) == 40


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(-50_000, 3_000_000), st.integers(1, 90)), max_size=60))
def test_it_stays_within_its_limits(steps):
    waits = WaitHistory()
    for missing, late_us, count in steps:
        for _ in range(count):
            waits.arrival(missing, late_us)
            waits.late(late_us)
        assert 40 <= worth_ms(waits) <= 1030

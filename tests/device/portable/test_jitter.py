# SPDX-License-Identifier: BSD-2-Clause
"""The jitter buffer: one decision per period, whatever the link does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dredge_device import jitter, playout
from dredge_device.jitter import JitterBuffer
from dredge_device.units import PACKET_US


def play(buffer, arrivals, periods):
    """arrivals: {period: [numbers]}; what step() gave in each period, None where packets lack."""
    out = []
    for period in range(periods):
        for number in arrivals.get(period, ()):
            buffer.insert(number, b"%d" % number, period * PACKET_US)
        number = buffer.step(period * PACKET_US)
        out.append((number, number is not None and buffer.get(number) is not None))
    return out


@pytest.mark.parametrize("text", ["fixed:0", "fixed:200", "fixed:5000"])
def test_playout_text(text):
    assert playout.parse_playout(text) == ("fixed", int(text[6:]))


@pytest.mark.parametrize("text", ["", "200", "fixed:", "fixed:-1", "fixed:1.5", "soon", "adaptive:"])
def test_other_playout_text_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="expected fixed:<milliseconds>"):
        playout.parse_playout(text)


def test_impossible_playout_is_refused():
    with pytest.raises(ValueError, match="longer than 5000"):
        playout.parse_playout("fixed:5001")
    with pytest.raises(ValueError, match="is not in 0"):
        JitterBuffer(-1)


def test_even_arrivals_play_after_the_delay():
    steps = play(JitterBuffer(100), {n: [n] for n in range(20)}, 25)
    assert steps[:5] == [(None, False)] * 5
    assert steps[5:] == [(n, True) for n in range(20)]


def test_delay_is_never_shorter_than_asked():
    buffer = JitterBuffer(50)
    buffer.insert(3, b"x", 0)
    assert buffer.step(49_999) is None
    assert buffer.step(50_000) == 3
    assert buffer.delay_us(3, 50_000) == 50_000


@given(st.sets(st.integers(1, 99)), st.integers(0, 20))
def test_losses_are_periods_and_nothing_else_changes(lost, delay):
    arrivals = {n: [n] for n in range(100) if n not in lost}
    steps = play(JitterBuffer(20 * delay), arrivals, 100 + delay)
    assert steps[delay:] == [(n, n not in lost) for n in range(100)]


@given(st.permutations(range(10)), st.integers(0, 3))
def test_reordering_within_the_delay_loses_nothing(order, first_period):
    arrivals = {first_period + i: [number] for i, number in enumerate(order)}
    steps = [s for s in play(JitterBuffer(500), arrivals, 60) if s[0] is not None]
    assert steps[:10] == [(n, True) for n in range(10)]


@given(st.dictionaries(st.integers(0, 80), st.lists(st.integers(0, 120), max_size=4)))
def test_any_arrivals_give_rising_numbers_without_holes(arrivals):
    buffer = JitterBuffer(100)
    steps = play(buffer, arrivals, 120)
    numbers = [number for number, _ in steps if number is not None]
    if buffer.resyncs == 0:
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True
    started = [index for index, (number, _) in enumerate(steps) if number is not None]
    if started and buffer.resyncs == 0:
        assert started == list(range(started[0], 120))


def test_duplicates_late_and_reordered_packets_are_counted():
    buffer = JitterBuffer(40)
    assert buffer.insert(10, b"a", 0) == jitter.STORED
    assert buffer.insert(10, b"b", 0) == jitter.DUPLICATE
    assert buffer.insert(12, b"c", 0) == jitter.STORED
    assert buffer.insert(11, b"d", 0) == jitter.STORED
    assert [buffer.step(t * PACKET_US) for t in (2, 3, 4, 5)] == [10, 11, 12, 13]
    assert buffer.insert(13, b"e", 0) == jitter.LATE
    assert buffer.insert(12, b"f", 0) == jitter.DUPLICATE
    assert (buffer.duplicate, buffer.late, buffer.reordered) == (2, 1, 1)
    assert buffer.get(10) == b"a"


def test_announced_first_packets_are_losses():
    buffer = JitterBuffer(100)
    buffer.announce(7)
    arrivals = {n - 7: [n] for n in range(10, 20)}
    steps = [s for s in play(buffer, arrivals, 30) if s[0] is not None]
    assert steps[:4] == [(7, False), (8, False), (9, False), (10, True)]


def test_announced_packets_whose_time_has_passed_are_skipped():
    """Nine were lost but only five fit into the delay: no arrived packet is thrown away."""
    buffer = JitterBuffer(100)
    buffer.announce(1)
    steps = [s for s in play(buffer, {9: [10], 10: [11]}, 30) if s[0] is not None]
    assert steps[:3] == [(5, False), (6, False), (7, False)]
    assert (10, True) in steps and (11, True) in steps


def test_earlier_packet_before_the_start_moves_the_start():
    buffer = JitterBuffer(100)
    steps = [s for s in play(buffer, {0: [5], 1: [4], 2: [6]}, 20) if s[0] is not None]
    assert steps[:3] == [(4, True), (5, True), (6, True)]


def test_pause_of_the_sender_sets_the_clock_anew():
    """All packets 2 s late: after half a second of them they play again, none is skipped."""
    arrivals = {n: [n] for n in range(50)}
    arrivals.update({n + 100: [n] for n in range(50, 150)})
    buffer = JitterBuffer(100)
    steps = play(buffer, arrivals, 300)
    assert buffer.resyncs == 1 and buffer.late == 25
    heard = [number for number, present in steps if present]
    assert heard == [*range(50), *range(74, 150)]


def test_numbers_far_ahead_set_the_clock_anew():
    buffer = JitterBuffer(40)
    play(buffer, {n: [n] for n in range(5)}, 5)
    buffer.insert(3000, b"x", 5 * PACKET_US)
    assert buffer.resyncs == 1
    steps = [buffer.step(t * PACKET_US) for t in range(5, 9)]
    assert steps == [None, None, 3000, 3001]


def test_finished_stream_ends_on_its_last_packet():
    buffer = JitterBuffer(40)
    buffer.finish(11)
    steps = play(buffer, {n: [n] for n in range(10)}, 20)
    assert [number for number, _ in steps] == [None] * 2 + list(range(12)) + [None] * 6
    assert buffer.ended and buffer.beyond_last() == 0


def test_late_goodbye_tells_how_many_periods_were_none():
    buffer = JitterBuffer(0)
    play(buffer, {n: [n] for n in range(5)}, 9)
    buffer.finish(5)
    assert buffer.step(9 * PACKET_US) is None
    assert buffer.ended and buffer.beyond_last() == 3


def test_next_after_and_depth():
    buffer = JitterBuffer(100)
    assert buffer.next_after(0) is None and buffer.depth() == 0
    for number in (0, 3, 7):
        buffer.insert(number, b"x", 0)
    assert [buffer.next_after(n) for n in (0, 3, 6, 7)] == [3, 7, 7, None]
    assert buffer.step(100_000) == 0
    assert buffer.depth() == 7


def test_clear_forgets_packets_but_keeps_counters():
    buffer = JitterBuffer(0)
    buffer.insert(1, b"x", 0)
    buffer.insert(1, b"x", 0)
    buffer.clear()
    assert buffer.get(1) is None and buffer.step(10**9) is None
    assert buffer.duplicate == 1


def test_slots_are_reused_without_mixing_packets_up():
    buffer = JitterBuffer(0, capacity=8)
    for n in range(40):
        buffer.insert(n, b"%d" % n, n * PACKET_US)
        assert buffer.get(buffer.step(n * PACKET_US)) == b"%d" % n
    assert buffer.get(0) is None

# SPDX-License-Identifier: BSD-2-Clause
"""The governor alone, under clocks that only move when told to."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dredge_device.pi.quality import (
    AFTER,
    CLASSIC,
    CLOSED,
    FIRST,
    FOUND,
    FULL,
    LATE,
    LOST,
    NEXT,
    PLAIN,
    QUALITY,
    SMALL,
)
from dredge_device.pi.service import governor as load
from dredge_device.pi.service.governor import Costs, Governor
from dredge_device.units import PACKET_US

FAR, NEAR = 400_000, 10_000  # microseconds that finished periods last: a long queue and one that runs dry


class Desk:
    """A governor; work is what moves both clocks."""

    def __init__(self):
        self.wall = self.cpu = 0
        self.governor = Governor(lambda: self.wall, lambda: self.cpu)
        self.in_gap = False

    def period(self, us, kind=PLAIN, ahead_us=FAR, idle=0, streams=1):
        """20 ms in which every stream renders one period of this kind; idle: time that another program had."""
        governor, begun = self.governor, self.wall
        for _ in range(streams):
            governor.begin()
            self.wall += us
            self.cpu += us
            governor.rendered(kind, governor.level, ahead_us, ahead_us < 0, self.in_gap)
        self.in_gap = kind in LOST
        self.wall = max(self.wall + idle, begun + PACKET_US)
        governor.judge()
        return governor.level

    def levels(self, count, us, **more):
        """The level after each of so many periods."""
        return [self.period(us, **more) for _ in range(count)]


def test_light_load_changes_nothing():
    desk = Desk()
    assert set(desk.levels(1000, 4000)) == {FULL}
    report = desk.governor.report()
    assert report["level"] == "full" and report["changes"] == [] and report["degraded"] == 0
    assert report["periods"] == {"full": 1000, "small": 0, "classic": 0, "closed": 0}
    assert report["busy"]["frames"] == 1000 and report["busy"]["max_us"] == 4000
    assert report["load_pct"] == 20.0 and report["headroom_pct"] == 80.0


@pytest.mark.parametrize("kind", [PLAIN, AFTER, FIRST, NEXT, FOUND])
def test_one_dear_period_changes_nothing(kind):
    """A page fault, a model that is loaded, another program's second: nothing is taken away and nobody refused."""
    desk = Desk()
    desk.levels(100, 1000)
    assert desk.period(300_000, kind=kind, ahead_us=NEAR) == FULL
    assert set(desk.levels(100, 1000, ahead_us=NEAR)) == {FULL}
    assert desk.period(1000, idle=1_000_000, ahead_us=-900_000) == FULL
    assert set(desk.levels(100, 1000, ahead_us=NEAR)) == {FULL} and desk.governor.refusal(1) is None


def test_a_board_whose_gaps_cost_more_than_their_time_keeps_its_quality_while_the_queue_lasts():
    desk = Desk()
    desk.levels(100, 2300)
    for _ in range(20):
        assert set(desk.levels(5, 21_000, kind=NEXT)) == {FULL}  # 105 % for 100 ms, a third of it on average
        assert set(desk.levels(20, 2300)) == {FULL}


def test_overload_takes_the_stated_order_and_ends_there():
    desk = Desk()
    levels = desk.levels(300, 19_500, ahead_us=NEAR)  # what arrives alone is too much
    assert [level for i, level in enumerate(levels) if i == 0 or level != levels[i - 1]][:4] == [0, 1, 2, 3]
    assert levels.count(CLOSED) > 100
    report = desk.governor.report()
    assert [name for _, name in report["changes"]][:3] == ["small", "classic", "closed"]
    assert [at for at, _ in report["changes"]] == sorted(at for at, _ in report["changes"])
    assert sum(report["periods"].values()) == 300


def test_what_the_small_vocoder_can_do_it_does():
    desk = Desk()
    desk.levels(50, 2000)
    levels = []
    for _ in range(1000):
        levels.append(desk.period(24_000 if desk.governor.level == FULL else 15_000, kind=NEXT, ahead_us=NEAR))
    assert levels.count(SMALL) > 700 and set(levels) == {FULL, SMALL}


def test_gaps_that_want_more_than_there_is_are_spoken_as_far_as_there_is_time():
    """The small vocoder goes on, and the queue decides on single gaps."""
    desk = Desk()
    desk.levels(50, 2000)
    assert max(desk.levels(400, 30_000, kind=NEXT, ahead_us=NEAR)) == SMALL


def test_a_gap_goes_on_with_the_vocoder_that_began_it():
    governor = known(first=40_000, next=18_000, small_first=20_000, small_next=9_000)
    governor.level = SMALL
    assert governor.quality(NEXT, 15_000, begun=SMALL) == SMALL
    assert governor.quality(NEXT, 15_000, begun=FULL) == LATE
    governor.level = CLASSIC
    assert governor.quality(NEXT, 25_000, begun=FULL) == CLASSIC and governor.quality(NEXT, 5_000, begun=SMALL) == LATE


def test_the_dearest_first_period_lately_is_reckoned_with():
    """How far back a gap must be decoded decides on what its first period takes."""
    governor = known(first=40_000)
    governor.costs.add(FIRST, FULL, 60_000)
    assert governor.quality(FIRST, 55_000) != FULL and governor.quality(FIRST, 60_000) == FULL
    assert governor.reserve_us(FIRST, 0) >= 40_000
    for _ in range(60):
        governor.costs.add(FIRST, FULL, 40_000)
    assert governor.quality(FIRST, 50_000) == FULL  # and forgotten again


def test_it_comes_back_within_two_seconds_of_calm():
    desk = Desk()
    assert CLOSED in desk.levels(400, 19_500, ahead_us=NEAR)[-100:]
    levels = desk.levels(150, 2000)
    assert levels.index(FULL) <= 150
    assert desk.levels(400, 2000)[-1] == FULL


def test_nothing_is_left_of_a_session_when_the_next_begins():
    desk = Desk()
    desk.levels(400, 19_500, ahead_us=NEAR)
    desk.governor.restart()
    report = desk.governor.report()
    assert report["level"] == "full" and report["changes"] == [] and sum(report["periods"].values()) == 0
    assert desk.governor.costs.plain == 0 and desk.governor.expected_load(FULL) == 0


def known(**costs):
    governor = Desk().governor
    for _ in range(200):
        governor.costs.add(PLAIN, FULL, 2000)
    for name, us in costs.items():
        kind = {"first": FIRST, "next": NEXT, "found": FOUND, "after": AFTER}[name.removeprefix("small_")]
        for _ in range(100):
            governor.costs.add(kind, SMALL if name.startswith("small_") else FULL, us)
    return governor


def test_the_guard_takes_the_best_that_fits():
    governor = known(first=60_000, small_first=40_000, next=20_000, after=10_000)
    assert governor.quality(FIRST, 67_000) == FULL and governor.degraded == 0
    assert governor.quality(FIRST, 65_000) == SMALL and governor.degraded == 0
    assert governor.quality(FIRST, 43_000) == CLASSIC and governor.degraded == 1
    assert governor.quality(NEXT, 23_000) == FULL
    assert governor.quality(NEXT, 21_000) == LATE and governor.quality(AFTER, 10_000) == LATE
    assert governor.degraded == 3
    assert governor.quality(PLAIN, 0) == governor.quality(None, 0) == FULL  # what arrived is decoded whatever happens


def test_rendering_begins_as_long_before_as_a_gap_may_take():
    governor = known(first=60_000, next=20_000)
    assert governor.reserve_us(FIRST, 0) == 60_000  # 75 ms, of which the period itself is 20
    assert governor.reserve_us(NEXT, 0) == 20_000
    assert governor.reserve_us(NEXT, 10) == 40_000  # ten other streams take 2 ms each
    assert governor.reserve_us(NEXT, 2, together=True) == 60_000  # all three have a gap at once
    assert governor.reserve_us(FIRST, 100, together=True) == 300_000  # at most
    assert governor.reserve_us(FIRST, 0, then=NEXT) == 60_000 and governor.reserve_us(NEXT, 0, then=FIRST) == 60_000
    assert known(first=10_000).reserve_us(FIRST, 0) == 0  # a fast machine decides at the last moment


def test_a_gap_whose_description_comes_just_before_it_is_in_time():
    """Its first period then takes what the first one and a later one with a description take."""
    governor = known(first=14_400, next=5_900, found=16_600)
    assert governor.reserve_us(FIRST, 0) == 0 and governor.reserve_us(FIRST, 0, together=True) == 20_000
    governor = known(first=13_600, next=5_700, found=7_000)  # short descriptions
    assert governor.reserve_us(FIRST, 0, together=True) == 0


def test_with_an_adaptive_delay_a_period_begins_the_earlier_the_more_its_cost_varies():
    costs = Costs()
    costs.add(PLAIN, FULL, 200)
    assert costs.reserve_us(FIRST, FULL, 0, False, None) == 20_000  # 12 ms are assumed, twice as many may be right
    costs.add(FIRST, FULL, 13_000)
    assert costs.reserve_us(FIRST, FULL, 0, False, None) == 20_000
    for _ in range(20):
        costs.add(FIRST, FULL, 13_000)
    assert costs.reserve_us(FIRST, FULL, 0, False, None) == 0
    for us in (13_000, 19_000, 12_000, 18_000):  # other threads take turns on the same core
        costs.add(FIRST, FULL, us)
    assert costs.reserve_us(FIRST, FULL, 0, False, None) == 20_000


def test_a_gap_begins_early_until_one_has_been_measured():
    """With a constant delay that costs nothing, and one that is guessed too cheap is late."""
    costs = Costs()
    costs.add(PLAIN, FULL, 10)
    assert costs.reserve_us(FIRST, FULL, 0, True, None) == costs.reserve_us(FIRST, SMALL, 0, True, None) == 100_000
    assert costs.reserve_us(FIRST, FULL, 0, False, None) == costs.reserve_us(NEXT, FULL, 0, True, None) == 0
    costs.add(FIRST, FULL, 10_000)
    assert costs.reserve_us(FIRST, FULL, 0, True, None) == costs.reserve_us(FIRST, SMALL, 0, True, None) == 0


def test_costs_are_guessed_from_plain_periods_until_they_are_known():
    costs = Costs()
    assert costs.of(FIRST, FULL) == 0
    for us in (9000, 1000, 1500):  # the first one found nothing in the caches
        costs.add(PLAIN, FULL, us)
    assert costs.plain == 1000
    first = load.ASSUMED[FIRST] * 1000
    assert costs.of(FIRST, FULL) == first and costs.of(FIRST, SMALL) == load.ASSUMED_SMALL * first
    costs.add(FIRST, FULL, 20_000)
    assert costs.of(FIRST, FULL) == 20_000
    costs.add(FIRST, FULL, 900_000)
    assert costs.of(FIRST, FULL) == 22_500  # an outlier counts as twice the usual
    costs.add(FIRST, CLASSIC, 500)
    assert costs.of(FIRST, CLASSIC) == costs.plain == 1000


def test_what_cost_too_much_once_is_tried_again_but_ever_more_seldom():
    desk = Desk()
    tried = []
    for period in range(6000):  # two minutes
        before = desk.governor.level
        level = desk.period(30_000 if desk.governor.level == FULL else 12_000, kind=NEXT, ahead_us=NEAR)
        tried += [period] if level < before else []
    waits = [b - a for a, b in pairwise(tried)]
    assert 2 < len(tried) < 15 and waits == sorted(waits) and waits[-1] > 3 * waits[0]


def at_level(level):
    desk = Desk()
    while desk.governor.level < level:
        desk.period(19_500, ahead_us=NEAR)
    return desk


def test_hosts_are_refused_at_the_last_level_only():
    for level in (FULL, SMALL, CLASSIC):
        governor = at_level(level).governor
        governor.costs.plain = 2000.0
        assert governor.refusal(3) is None
    closed = at_level(CLOSED).governor
    assert closed.refusal(0) is None  # nobody is there to be protected
    sentence = closed.refusal(3)
    assert sentence.startswith("the device is at its load limit: it has 3 streams") and "try again later" in sentence


def test_hosts_are_refused_when_their_packets_alone_would_be_too_many():
    governor = Desk().governor
    assert governor.refusal(100) is None  # nothing measured yet
    governor.costs.add(PLAIN, FULL, 1000)
    assert governor.refusal(15) is None
    assert "19 streams would take 19.0 ms of every 20 ms" in governor.refusal(18)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 30000), st.sampled_from([None, PLAIN, *LOST, AFTER]), st.integers(-50_000, 500_000),
            st.integers(0, 25000), st.integers(0, 4),
        ),
        max_size=300,
    )
)  # fmt: skip
def test_whatever_happens_levels_change_by_one_and_the_books_agree(periods):
    desk, last = Desk(), FULL
    for us, kind, ahead_us, idle, streams in periods:
        assert desk.governor.quality(kind, ahead_us) in (*range(last, CLOSED + 1), LATE)
        desk.period(us, kind, ahead_us, idle, streams)
        assert FULL <= desk.governor.level <= CLOSED and abs(desk.governor.level - last) <= 1
        last = desk.governor.level
    report = desk.governor.report()
    assert sum(report["periods"].values()) == report["busy"]["frames"] == len(periods)
    assert report["level"] == QUALITY[last] and 0 <= report["headroom_pct"] <= 100


@pytest.mark.parametrize("name", ["full", "small", "classic", "closed"])
def test_every_level_has_its_name(name):
    assert QUALITY[at_level(QUALITY.index(name)).governor.level] == name


def test_thresholds_leave_room_between_them():
    assert 0 < load.HYSTERESIS < load.HIGH < load.MOST < 1 < load.MARGIN < load.HEAVY

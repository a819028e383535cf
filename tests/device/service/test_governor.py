# SPDX-License-Identifier: BSD-2-Clause
"""The governor alone, under clocks that only move when told to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dredge_device.pi.service import governor as load
from dredge_device.pi.service.governor import CLASSIC, CLOSED, EFFORTS, FULL, HURRIED, SMALL, Governor

LIGHT, MIDDLE, HEAVY = 4000, 13000, 17000  # below LOW, between, above HIGH


class Desk:
    """A governor; work is what moves both clocks."""

    def __init__(self):
        self.wall = self.cpu = 0
        self.governor = Governor(lambda: self.wall, lambda: self.cpu)

    def spend(self, us):
        self.wall += us
        self.cpu += us

    def period(self, us, streams=1, idle=0):
        """One period of equal streams; idle: time that another process had. Returns the efforts."""
        governor = self.governor
        governor.begin()
        efforts = []
        for waiting in range(streams, 0, -1):
            efforts.append(governor.effort(waiting))
            self.spend(us // streams)
            governor.served("opus")
        self.wall += idle
        governor.end()
        return efforts

    def levels(self, count, us, **more):
        """The level after each of so many periods."""
        out = []
        for _ in range(count):
            self.period(us, **more)
            out.append(self.governor.level)
        return out


def test_light_load_changes_nothing():
    desk = Desk()
    assert desk.levels(1000, LIGHT) == [FULL] * 1000
    report = desk.governor.report()
    assert report["level"] == "full" and report["changes"] == [] and report["hurried"] == 0
    assert report["periods"] == {"full": 1000, "small": 0, "classic": 0, "closed": 0}
    assert report["busy"]["frames"] == 1000 and report["busy"]["max_us"] == LIGHT


def test_overload_takes_the_stated_order_and_ends_there():
    desk = Desk()
    levels = desk.levels(200, HEAVY)
    assert [level for i, level in enumerate(levels) if i == 0 or level != levels[i - 1]] == [0, 1, 2, 3]
    assert levels[1] == FULL and levels[2] == SMALL  # the third long period of the window
    assert levels.index(CLASSIC) == 2 + load.SETTLE + load.OFTEN
    assert levels.index(CLOSED) == 2 + 2 * (load.SETTLE + load.OFTEN)
    report = desk.governor.report()
    assert [name for _, name in report["changes"]] == ["small", "classic", "closed"]
    assert [at for at, _ in report["changes"]] == sorted(at for at, _ in report["changes"])
    assert sum(report["periods"].values()) == 200


def test_one_or_two_long_periods_are_chance():
    desk = Desk()
    for _ in range(20):
        assert desk.levels(2, HEAVY) == [FULL] * 2
        assert desk.levels(load.WINDOW, LIGHT) == [FULL] * load.WINDOW


def test_a_period_that_somebody_else_made_too_long_counts_as_well():
    desk = Desk()
    assert desk.levels(2, LIGHT, idle=20000) == [FULL, FULL]
    assert desk.levels(1, LIGHT, idle=20000) == [SMALL]
    assert desk.governor.overruns == 3 and desk.governor.busy.max == LIGHT


def at_level(level):
    desk = Desk()
    while desk.governor.level < level:
        desk.period(HEAVY, streams=17)
    return desk


def test_between_the_thresholds_nothing_moves():
    desk = at_level(SMALL)
    assert desk.levels(5000, MIDDLE) == [SMALL] * 5000


def test_it_steps_back_one_level_at_a_time_and_only_after_calm():
    desk = at_level(CLOSED)
    calm = load.SETTLE + load.PATIENCE
    levels = desk.levels(3 * calm, LIGHT)
    assert levels.index(CLASSIC) == calm - 1
    assert levels.index(SMALL) == 2 * calm - 1
    assert levels.index(FULL) == 3 * calm - 1


def test_calm_must_not_be_interrupted():
    desk = at_level(SMALL)
    desk.levels(load.SETTLE + load.PATIENCE - load.OFTEN, LIGHT)
    desk.levels(load.OFTEN, MIDDLE)  # three in the window: not calm
    assert desk.levels(load.PATIENCE - 1, LIGHT)[-1] == SMALL


def test_every_relapse_doubles_the_patience_up_to_a_minute():
    desk, waited = at_level(SMALL), []
    for _ in range(6):
        periods = 0
        while desk.governor.level == SMALL:
            desk.period(LIGHT)
            periods += 1
        waited.append(periods - load.SETTLE)
        while desk.governor.level == FULL:
            desk.period(HEAVY)
    assert waited == [250, 500, 1000, 2000, 3000, 3000]
    desk.levels(load.SETTLE + 3000, LIGHT)
    assert desk.levels(3000, LIGHT)[-1] == FULL  # a minute at full quality: the slate is clean
    desk.levels(3, HEAVY)
    assert desk.levels(load.SETTLE + load.PATIENCE, LIGHT)[-1] == FULL


def test_the_guard_cuts_what_would_not_fit_into_the_period():
    desk = Desk()
    desk.governor.costs.add(1000, spoken=False)
    desk.governor.costs.add(4000, spoken=True)
    efforts = desk.period(16000, streams=16)
    assert efforts == [HURRIED] * 16 and desk.governor.hurried == 16  # one gap and 15 packets take 19 ms
    assert desk.period(15000, streams=15) == [FULL] * 15  # with 14 packets they just fit


def test_streams_that_come_after_a_slow_one_hurry():
    desk = Desk()
    desk.governor.costs.add(1000, spoken=False)
    desk.governor.costs.add(4000, spoken=True)
    efforts = desk.period(20000, streams=10)  # every packet takes twice as long as it used to
    ran_out = efforts.index(HURRIED)
    assert 3 < ran_out < 8 and efforts == [FULL] * ran_out + [HURRIED] * (10 - ran_out)


def test_streams_that_had_to_hurry_count_as_pressure():
    desk = Desk()
    desk.governor.costs.add(1000, spoken=False)
    for _ in range(3):
        desk.governor.costs.add(15000, spoken=True)
        desk.period(LIGHT, streams=10)
    assert desk.governor.level == SMALL and desk.governor.overruns == 0


def test_the_dearest_gap_is_forgotten_in_seconds():
    costs = load.Costs()
    costs.add(5000, spoken=True)
    for _ in range(256):
        costs.fade()
    assert 1700 < costs.dearest < 2000
    assert costs.plain == 0  # a gap says nothing about ordinary packets


def test_hosts_are_refused_at_the_last_level_only():
    for level in (FULL, SMALL, CLASSIC):
        assert at_level(level).governor.refusal(3) is None
    closed = at_level(CLOSED).governor
    assert closed.refusal(0) is None  # nobody is there to be protected
    sentence = closed.refusal(3)
    assert sentence.startswith("the device is at its load limit: it has 3 streams") and "try again later" in sentence


def test_hosts_are_refused_when_their_packets_alone_would_be_too_many():
    governor = Desk().governor
    assert governor.refusal(100) is None  # nothing measured yet
    governor.costs.add(1000, spoken=False)
    assert governor.refusal(15) is None
    assert "17 streams would take 17.0 ms of every 20 ms" in governor.refusal(16)


@given(st.lists(st.tuples(st.integers(0, 30000), st.integers(1, 8), st.integers(0, 25000)), max_size=300))
def test_whatever_happens_levels_change_by_one_and_the_books_agree(periods):
    desk, last, hurried = Desk(), FULL, 0
    for us, streams, idle in periods:
        efforts = desk.period(us, streams, idle)
        assert all(effort in (last, HURRIED) for effort in efforts)
        hurried += efforts.count(HURRIED)
        assert FULL <= desk.governor.level <= CLOSED and abs(desk.governor.level - last) <= 1
        last = desk.governor.level
    report = desk.governor.report()
    assert sum(report["periods"].values()) == report["busy"]["frames"] == len(periods)
    assert report["hurried"] == hurried and report["level"] == EFFORTS[last]


@pytest.mark.parametrize("name", ["full", "small", "classic", "closed"])
def test_every_level_has_its_name(name):
    assert EFFORTS[at_level(EFFORTS.index(name)).governor.level] == name

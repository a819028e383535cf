# SPDX-License-Identifier: BSD-2-Clause
"""Boards of several speeds on a virtual clock, with measured costs: what is heard in time, what comes back."""

import random
from itertools import pairwise

import pytest
from virtual_board import SMALL, STANDARD, Board

from dredge_device.pi.playing import figures
from dredge_device.pi.quality import FIRST, FULL
from dredge_device.pi.render_queue import RenderQueue
from dredge_device.pi.stage_timer import StageTimer
from dredge_device.units import PACKET_US
from dredge_host.live.checks.verdict import coverable
from dredge_host.sending.loss import parse_loss
from dredge_host.settings import Settings

BURSTS, GAPS, HEAVY = "gilbert:rate=20%,burst=5", "burst:ms=1000,every=1.02s", "70%"
PACKETS = 800
ZERO_2_W = 500


def play(mips, work, loss, **more):
    """The board, its report, and the share of the coverable losses that DRED filled."""
    model = parse_loss(loss, 3)
    trace = [model.lost() for _ in range(PACKETS)]
    board = Board(mips, work, SMALL, **more)
    report = board.run(PACKETS, lambda host, n: trace[n])[0]
    wanted, sources = coverable(trace, Settings()), board.sources()
    return board, report, sum(sources[n] == "dred" for n in wanted) / len(wanted)


@pytest.mark.parametrize("work", [STANDARD, SMALL], ids=["standard", "small"])
@pytest.mark.parametrize("mips", [ZERO_2_W, 700, 1000, 2000])
def test_at_20_percent_loss_everything_that_was_described_comes_back_in_time(mips, work):
    board, report, share = play(mips, work, BURSTS)
    queue = report["queue"]
    assert share >= 0.99 and queue["late_periods"] == queue["underruns"] == 0
    assert board.governor.report()["changes"] == [] and board.governor.degraded == 0
    assert queue["headroom_pct"] > 50 and queue["recovered"] == report["sources"]["dred"]
    assert queue["length"]["most"] > 10 and report["delay_ms"]["mean"] < 1000 + PACKET_US / 1000


@pytest.mark.parametrize("work", [STANDARD, SMALL], ids=["standard", "small"])
@pytest.mark.parametrize("mips", [350, ZERO_2_W, 700, 1000])
def test_gaps_of_a_second_back_to_back_never_run_dry(mips, work):
    _, report, share = play(mips, work, GAPS)
    assert share >= 0.95 and report["queue"]["underruns"] == 0
    assert report["delay_ms"]["max"] < 1000 + PACKET_US / 1000


@pytest.mark.parametrize(("mips", "work"), [(700, SMALL), (800, SMALL), (900, STANDARD), (1000, STANDARD)])
def test_a_gap_as_long_as_the_delay_is_in_time(mips, work):
    """The packet that describes the whole gap arrives just before the first period of it."""
    board = Board(mips, work, SMALL, playout_ms=960)
    queue = board.run(200, lambda host, n: n % 49 != 0)[0]["queue"]
    assert queue["late_periods"] == 0 and queue["recovered"] > 180


@pytest.mark.parametrize(
    ("lost", "dred", "lbrr", "share"), [(0, 0, 0, 100), (10, 6, 3, 90), (7, 6, 3, 100), (0, 3, 0, 100)]
)
def test_never_more_than_all_is_recovered(lost, dred, lbrr, share):
    """Rendering is ahead of the counting: a period is filled before it is known as lost."""
    statistics = {"sources": {"dred": dred, "lbrr": lbrr}, "packets": {"lost": lost}}
    part = figures.ahead(RenderQueue(), StageTimer(lambda: 0), statistics)
    assert (part["recovered"], part["recovered_pct"]) == (dred + lbrr, share)


def test_after_an_outage_a_gap_is_as_costly_as_before_it():
    """Once speech has faded, a lost period is the background alone, whatever it is called."""
    board = Board(700, STANDARD, SMALL)
    report = board.run(300, lambda host, n: 20 < n < 120 or (n > 150 and n % 51 != 0))[0]
    assert board.governor.costs.of(FIRST, FULL) > 15_000 and report["queue"]["late_periods"] == 0


@pytest.mark.parametrize(("work", "loss", "least"), [(STANDARD, HEAVY, 0.8), (SMALL, HEAVY, 0.8), (STANDARD, GAPS, 0.9),
                                                     (SMALL, GAPS, 0.95)])  # fmt: skip
def test_a_board_that_is_too_slow_stays_in_time_and_spends_its_time_on_gaps(work, loss, least):
    """Gaps take 90 to 130 % of its time: what is given up is single gaps, not all of them."""
    board, report, share = play(350, work, loss)
    assert report["queue"]["underruns"] <= 2 and share > least
    assert {name for _, name in board.governor.report()["changes"]} <= {"small", "full"}


def test_another_program_on_the_same_core_changes_nothing():
    _, report, share = play(1000, STANDARD, BURSTS, busy=0.5)
    assert share >= 0.99 and report["queue"]["late_periods"] == 0


def test_a_second_that_another_program_takes_is_over_when_it_is_over():
    taken = []

    def disturb(board):
        if not taken and board.now_us > 6e6:
            taken.append(board.now_us)
            board.now_us += 1_000_000

    model = parse_loss(BURSTS, 3)
    trace = [model.lost() for _ in range(PACKETS)]
    board = Board(1000)
    report = board.run(PACKETS, lambda host, n: trace[n], disturb=disturb)[0]
    sources = board.sources()
    first = int((taken[0] - 1e6) / PACKET_US) + 150  # two seconds after it had begun
    later = {n for n in coverable(trace, Settings()) if n > first}
    assert all(sources[n] == "dred" for n in later) and len(later) > 20
    assert report["queue"]["late_periods"] < 60 and report["queue"]["underruns"] <= 2
    assert board.governor.level == 0 and board.governor.refusal(1) is None


def test_eight_streams_share_a_fast_core():
    board = Board(5000, streams=8)
    models = [parse_loss(BURSTS, host) for host in range(8)]
    traces = [[model.lost() for _ in range(PACKETS)] for model in models]
    reports = board.run(PACKETS, lambda host, n: traces[host][n], hosts=8)
    for host, report in enumerate(reports):
        wanted, sources = coverable(traces[host], Settings()), board.sources(host)
        assert sum(sources[n] == "dred" for n in wanted) >= 0.99 * len(wanted)
        assert report["queue"]["late_periods"] == 0


def test_periods_are_handed_out_in_order_every_20_ms():
    board, report, _ = play(ZERO_2_W, STANDARD, BURSTS)
    times = board.sessions.streams[0].output.times
    assert len(times) == report["queue"]["periods"] >= PACKETS
    assert {after - before for before, after in pairwise(times)} == {PACKET_US}


def test_adaptive_playout_waits_as_long_as_the_board_needs():
    model = parse_loss("gilbert:rate=5%,burst=2", 3)
    trace = [model.lost() for _ in range(PACKETS)]
    slow, fast = Board(ZERO_2_W, adaptive=True), Board(100_000, adaptive=True)
    reports = [board.run(PACKETS, lambda host, n: trace[n])[0] for board in (slow, fast)]
    delays = [report["delay_ms"]["mean"] for report in reports]
    assert delays[1] + 15 < delays[0] < 200  # and what is waited for is reported
    assert reports[0]["queue"]["late_periods"] <= 5 and reports[1]["queue"]["late_periods"] == 0


@pytest.mark.parametrize("mips", [ZERO_2_W, 1000, 1500])
def test_adaptive_playout_is_in_time_while_other_threads_take_turns_on_the_core(mips):
    """Both ends of a talk on one core: a period takes up to twice its CPU time, now and then."""
    model, others, learnt = parse_loss(BURSTS, 3), random.Random(1), []
    trace = [model.lost() for _ in range(PACKETS)]
    board = Board(mips, STANDARD, SMALL, adaptive=True, busy=lambda: others.uniform(0, 0.5))
    learn = board.governor.costs.add
    board.governor.costs.add = lambda *period: (learnt.append(period), learn(*period))
    report = board.run(PACKETS, lambda host, n: trace[n])[0]
    assert report["queue"]["late_periods"] == 0 and report["delay_ms"]["mean"] < 200
    firsts = [us for kind, _, us in learnt if kind == FIRST]  # a loss that was left out is none of them
    assert len(firsts) > 20 and min(firsts) > 5e6 / mips


def test_what_arrives_late_but_in_time_is_played():
    """Nothing is decided before packets that are late, as packets on this path are, could have come."""
    board = Board(ZERO_2_W, playout_ms=300)
    board.run(200, lambda host, n: n % 10 == 5)
    late = Board(ZERO_2_W, playout_ms=300)
    sessions_handle = late.sessions.handle
    held = []

    def handle(datagram, peer, now_us):
        if datagram[1] < 192 and int.from_bytes(datagram[2:4], "big") % 10 == 5:
            held.append((now_us + 180_000, datagram))
            return []
        for item in [item for item in held if item[0] <= now_us]:
            held.remove(item)
            sessions_handle(item[1], peer, item[0])
        return sessions_handle(datagram, peer, now_us)

    late.sessions.handle = handle
    report = late.run(200, lambda host, n: False)[0]
    assert report["packets"]["late"] <= 3 and report["sources"]["opus"] >= 190

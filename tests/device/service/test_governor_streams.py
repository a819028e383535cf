# SPDX-License-Identifier: BSD-2-Clause
"""What a level does to the streams: fake parts whose work takes as long as they say, under one fake clock."""

import pytest
from device_fakes import Bench, FakeVocoder, fake_parts, packet
from virtual_board import Board, Work

from dredge_device import control, rtp
from dredge_device.pi.quality import CLASSIC, CLOSED, FULL, LATE, OVERLOAD, SMALL
from dredge_device.pi.receiver import Receiver


def bench(qualities, count=60, lost=(), **more):
    """A receiver with two vocoders that plays with qualities[period], FULL beyond; everything played by packet."""
    parts = fake_parts()
    parts.small_vocoder = FakeVocoder()
    table = Bench(parts=parts, **more)
    played = {}
    for step in range(count + 10):
        if step < count and step not in lost:
            table.send(step)
        frame = table.receiver.pull(qualities.get(step - 10, FULL))
        table.now_us += 20_000
        if frame.packet is not None:
            played[frame.packet] = frame
    return parts, played, table.receiver


def sources(played, numbers):
    return [played[n].source for n in numbers]


def test_a_level_holds_for_gaps_that_begin_in_it():
    qualities = {n: CLASSIC for n in range(12, 32)}
    parts, played, receiver = bench(qualities, lost={10, 11, 12, 13, 20, 21, 40})
    assert sources(played, [10, 11, 12, 13]) == ["dred"] * 4  # it had begun before
    assert sources(played, [20, 21]) == ["conceal"] * 2 and played[20].reason == OVERLOAD
    assert sources(played, [40]) == ["dred"]
    assert sorted(played) == list(range(60))  # one frame per period, whatever the level
    assert receiver.report()["load"]["classic"] == 20
    assert receiver.report()["reasons"] == {OVERLOAD: 2}
    assert not parts.small_vocoder.begun and len(parts.vocoder.begun) == 2


def test_the_small_vocoder_takes_over_at_the_start_of_a_gap():
    qualities = {n: SMALL for n in range(12, 32)}
    parts, played, _ = bench(qualities, lost={10, 11, 12, 13, 20, 21, 30, 31, 32, 33, 40})
    assert set(sources(played, [10, 13, 20, 21, 33, 40])) == {"dred"}
    assert len(parts.vocoder.begun) == 2 and len(parts.small_vocoder.begun) == 2
    # Both speak of what the redundancy says: the number of the frame is in the samples.
    assert played[21].pcm[0] == 42 and played[33].pcm[0] == 66


def test_without_a_cheaper_vocoder_the_one_there_is_goes_on():
    table = Bench()
    for step in range(30):
        if step != 12:
            table.send(step)
        played = table.receiver.pull(SMALL)
        table.now_us += 20_000
        assert played.packet is None or played.source == ("dred" if played.packet == 12 else "opus")
    assert len(table.parts.vocoder.begun) == 1


def test_who_must_hurry_leaves_a_gap_at_once_and_without_a_click():
    lost = {10, 11, 12, 13, 14}
    parts, played, _ = bench({12: LATE, 13: CLASSIC}, lost=lost)
    assert sources(played, range(10, 16)) == ["dred", "dred", "conceal", "conceal", "dred", "opus"]
    before, after = played[11].pcm, played[12].pcm
    assert abs(int(after[0]) - int(before[-1])) < 5 and after[-1] == 77
    assert len(parts.vocoder.begun) == 2  # taken up again when there is time


def test_who_must_hurry_when_speech_comes_back_skips_the_join():
    parts, played, _ = bench({12: LATE}, lost={10, 11})
    assert sources(played, range(9, 14)) == ["opus", "dred", "dred", "opus", "opus"]
    assert abs(int(played[12].pcm[0]) - int(played[11].pcm[-1])) < 60
    assert len(parts.vocoder.rows) == 2  # no tail
    assert played[12].pcm[-1] == 1012


@pytest.mark.parametrize("quality", [SMALL, CLASSIC, CLOSED, LATE])
def test_what_arrived_is_decoded_at_every_level(quality):
    _, played, receiver = bench({n: quality for n in range(60)}, lost={30})
    assert [n for n in played if played[n].source == "opus"] == [n for n in range(60) if n != 30]
    assert receiver.report()["sources"]["opus"] == 59


def test_a_stream_that_stands_still_is_concealed_cheaply_too():
    table = Bench(parts=fake_parts())
    table.receiver = Receiver(500, adaptive=True, clock_us=lambda: table.now_us, parts=table.parts)
    for step in range(60):
        if step < 20:
            table.send(step)
        table.receiver.pull(CLASSIC)
        table.now_us += 20_000
    assert not table.parts.vocoder.begun and table.parts.decoder.calls.count(("conceal",)) > 5


MANY = Work(plain=0.28, speech=2.0, priming=2.0, after=0.0, latents=0.0, conceal=0.25)
MANY_SMALL = Work(plain=0.28, speech=1.2, priming=1.2, after=0.0, latents=0.0, conceal=0.25)


def fifth(host, n):
    """20 % lost in bursts of five, at another time for every host."""
    return n > 0 and (n + 7 * host) % 25 < 5


def many(hosts, periods=300):
    """A device with that many streams, and their reports."""
    board = Board(1000, MANY, MANY_SMALL, streams=100, playout_ms=500)
    return board, board.run(periods, fifth, hosts=hosts)


def in_order(board):
    """The levels that were reached for the first time, in that order."""
    return list(dict.fromkeys(name for _, name in board.governor.report()["changes"] if name != "full"))


@pytest.mark.parametrize("hosts", [8, 16])
def test_within_the_rating_nothing_is_taken_away(hosts):
    board, reports = many(hosts)
    report = board.governor.report()
    assert report["changes"] == [] and report["degraded"] == report["overruns"] == report["refused"] == 0
    assert all(set(r["reasons"]) <= {"no later packet"} for r in reports)  # at the very end


@pytest.mark.parametrize(("hosts", "worst"), [(34, "small"), (45, "classic"), (64, "closed")])
def test_beyond_the_rating_quality_goes_in_order_and_timing_never(hosts, worst):
    board, reports = many(hosts)
    order = ["small", "classic", "closed"]
    assert in_order(board) == order[: len(in_order(board))] and order.index(worst) < len(in_order(board))
    assert board.governor.overruns <= hosts  # while nobody knows yet what a gap costs
    for report in reports:
        assert report["sources"]["opus"] == report["packets"]["expected"] - report["packets"]["lost"]
        assert sum(report["load"].values()) >= 300


def test_the_guard_is_fair():
    _, reports = many(40)
    recovered = [report["queue"]["recovered_pct"] for report in reports]
    assert min(recovered) >= 0.5 * max(recovered)


def test_a_new_host_is_refused_and_those_there_go_on():
    board, _ = many(64)
    governor, sessions = board.governor, board.sessions
    governor.level = CLOSED
    hello = control.build(control.Message(control.HELLO, 5))
    (answer,) = sessions.handle(hello, "stranger", int(board.now_us))
    document = control.parse(answer)[0].document()
    assert document["ok"] is False
    assert document["error"].startswith("the device is at its load limit: it has 64 streams")
    refused = governor.refused
    media = rtp.build(0, 0, 9, packet(0))
    assert sessions.handle(media, "stranger", int(board.now_us)) == []
    assert sessions.handle(b"\x80\xcc garbage", "stranger", int(board.now_us)) == []
    assert governor.refused == refused == 1 and len(sessions.streams) == 64
    (answer,) = sessions.handle(control.build(control.Message(control.BYE, 6)), "stranger", int(board.now_us))
    assert control.parse(answer)[0].document() == {"ok": True}  # whose first answer was lost may still go
    (answer,) = sessions.handle(hello, 3, int(board.now_us))  # one that is there already
    assert control.parse(answer)[0].document()["ok"]
    assert all(stream.agent.peer != "stranger" for stream in sessions.streams)


def test_after_the_rush_nothing_of_it_is_left():
    board, _ = many(40)
    assert in_order(board)
    board.sessions.interrupt()
    board.sessions.give_up()
    board.sessions.tick(int(board.now_us))
    assert board.governor.level == FULL and board.governor.report()["changes"] == []
    assert board.sessions.sessions_ended == 40

# SPDX-License-Identifier: BSD-2-Clause
"""Measuring the whole receiver: live frames, the end of a gap, many streams."""

import pytest
from bench_fakes import FakeReceiver, numbered

from dredge_host.bench import receiver as benchlive
from dredge_host.bench.clock import Disturbance
from dredge_host.bench.receiver import PERIODS_PER_S, STREAMS, WARM_UP, Listener, burst, datagrams, live, streams
from dredge_host.sending.audio import bundled_clip, read_audio


@pytest.fixture
def unpaced(monkeypatch):
    """Periods follow one another at once."""
    monkeypatch.setattr(benchlive, "paced", lambda call, count, disturb: _times(call, count, disturb))


def _times(call, count, disturb):
    from dredge_host.bench.clock import back_to_back

    return back_to_back(call, count, disturb)


def remembered(made, **options):
    def make(clock, playout_ms):
        made.append(FakeReceiver(clock, playout_ms, **options))
        return made[-1]

    return make


def test_a_listener_turns_the_clock_and_leaves_out_what_is_lost():
    made = []
    listener = Listener(numbered(4), remembered(made), playout_ms=20)
    listener.run([False, True, False])
    played = listener.period()
    assert made[0].arrived == {0, 2, 3}
    assert made[0].times == [0, 20_000, 40_000, 60_000]
    assert played.packet == 2


def test_live_frames_are_sorted_by_what_filled_them(unpaced):
    made = []
    result = live(numbered(PERIODS_PER_S + 200), Disturbance(4096), remembered(made))
    by_source = result["by_source_us"]
    assert set(by_source) == {"opus", "dred"}
    assert sum(row["frames"] for row in by_source.values()) == result["frames"] == 200
    assert 10 <= by_source["dred"]["frames"] <= 80
    assert result["p99_pct_of_period"] == pytest.approx(result["cpu_us"]["p99"] / 200, abs=0.01)
    assert made[0].delay == 50


def test_late_frames_are_counted(unpaced, monkeypatch):
    monkeypatch.setattr(benchlive, "PACKET_SECONDS", 0.0)
    monkeypatch.setattr(benchlive, "PERIODS_PER_S", 1)
    monkeypatch.setattr(benchlive, "_share", lambda us: 0.0)
    assert live(numbered(11), Disturbance(64), remembered([], work=100))["late_frames"] == 10


@pytest.mark.parametrize("gap_s", [0.1, 1.0])
def test_a_gap_ends_with_a_packet_at_the_last_moment(gap_s, monkeypatch):
    made, gap = [], round(50 * gap_s)
    monkeypatch.setattr(benchlive, "datagrams", lambda pcm, count, redundancy_s: numbered(count))
    result = burst([], 3, gap_s, make=remembered(made))
    receiver = made[0]
    assert receiver.delay == gap and result["gap_ms"] == 20 * gap
    lost = set(range(3 * (WARM_UP + 2 * gap))) - receiver.arrived
    assert lost == {start + i for start in (WARM_UP, 2 * WARM_UP + 2 * gap, 3 * WARM_UP + 4 * gap) for i in range(gap)}
    assert result["recovered_pct"] == 100.0


def test_the_whole_gap_holds_the_first_packet(monkeypatch):
    monkeypatch.setattr(benchlive, "datagrams", lambda pcm, count, redundancy_s: numbered(count))
    disturbed = []
    result = burst([], 2, 0.1, disturb=lambda: disturbed.append(1), make=remembered([], work=1000))
    for kind in ("cpu_us", "wall_us"):
        first, whole = result["first_20_ms"][kind], result["whole_gap"][kind]
        assert 0 < first["min"] < whole["min"] and first["max"] < whole["max"]
    assert len(disturbed) == 2 * 5


def test_streams_are_added_until_they_are_too_many(monkeypatch):
    made = []
    limit = iter([10.0, 10.0, 25_000.0])
    monkeypatch.setattr(benchlive, "timed", lambda call: call() or next(limit))
    rows = streams(numbered(PERIODS_PER_S + 1), 1, make=remembered(made))
    assert [(row["streams"], row["real_time"]) for row in rows] == [(1, True), (2, True), (3, False)]
    assert len(made) == 1 + 2 + 3
    arrived = [receiver.arrived for receiver in made[3:]]
    assert arrived[0] != arrived[1] != arrived[2], "every stream has its own losses"
    assert all(len(receiver.times) == PERIODS_PER_S + 1 for receiver in made)


def test_streams_stop_at_the_most_that_were_asked_for(monkeypatch):
    rows = streams(numbered(PERIODS_PER_S + 2), 2, most=3, make=remembered([]))
    assert [row["streams"] for row in rows] == [1, 2, 3]
    assert list(STREAMS) == sorted(STREAMS)


def test_the_real_receiver_recovers_a_whole_second():
    """The figure is only worth something if the speech really comes from DRED."""
    with bundled_clip() as path:
        pcm = read_audio(path).pcm
    assert burst(pcm, 1)["recovered_pct"] == 100.0


def test_speech_is_repeated_when_the_stream_is_longer():
    with bundled_clip() as path:
        pcm = read_audio(path).pcm[:3200]
    made = datagrams(pcm, 25, 0.1)
    assert len(made) == 25 and all(len(data) > 12 for data in made)
    assert int.from_bytes(made[24][2:4], "big") - int.from_bytes(made[0][2:4], "big") == 24

# SPDX-License-Identifier: BSD-2-Clause
"""When what is played: both policies, pauses without packets, restarts, drifting clocks."""

from collections import deque

import numpy as np
import pytest
from device_fakes import SSRC, Bench, fake_parts, packet
from hypothesis import given
from hypothesis import strategies as st

from dredge_device import rtp
from dredge_device.delay import DelayTracker
from dredge_device.pi.receiver import Receiver
from dredge_device.playout import parse_playout
from dredge_device.telemetry import Arrivals
from dredge_device.timeline import Timeline, expand, numbers


class Live:
    """A receiver whose sender and clock drift apart as told; loss and delay per packet."""

    def __init__(self, adaptive=True, playout_ms=1000, ppm=0.0, **dred):
        self.now_us, self.ppm = 0, ppm
        self.parts = fake_parts(**dred)
        self.receiver = Receiver(playout_ms, clock_us=lambda: self.now_us, parts=self.parts, adaptive=adaptive)
        self.played, self.frames = [], []
        self._queue = deque()

    def run(self, count, lost=(), delay=lambda n: 0.0, first=0, flags=None, tail=0):
        flags, start_us = flags or {}, self.now_us
        step_us = 20_000 * (1 + self.ppm * 1e-6)
        for n in range(first, first + count):
            if n not in lost:
                data = rtp.build(n, 960 * n, SSRC, packet(n, flags.get(n, b"D")))
                self._queue.append((start_us + round((n - first) * step_us + 1e6 * delay(n)), data))
        self._queue = deque(sorted(self._queue, key=lambda item: item[0]))
        periods = round(count * step_us / 20_000) + tail
        for _ in range(periods):
            while self._queue and self._queue[0][0] <= self.now_us:
                when_us, data = self._queue.popleft()
                self.receiver.push(data, when_us)
            self.played.append(self.receiver.pull())
            self.frames += self.played[-1].frames
            self.now_us += 20_000
        return self.frames

    def sources(self, numbers):
        wanted = set(numbers)
        return [frame.source for frame in self.frames if frame.packet in wanted]

    def delays(self, numbers):
        wanted = set(numbers)
        return [frame.delay_us / 1000 for frame in self.frames if frame.packet in wanted]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("adaptive", ("adaptive", 1000)), ("adaptive:400", ("adaptive", 400)), ("fixed:0", ("fixed", 0))],
)
def test_policies_by_name(text, expected):
    assert parse_playout(text) == expected


def test_adaptive_plays_close_behind_a_quiet_path():
    live = Live()
    live.run(200)
    assert {p.source for p in live.played[10:]} == {"opus"}
    assert max(live.delays(range(150, 190))) <= 60


def test_a_lone_gap_is_concealed_and_the_delay_stays():
    """200 ms lost at a delay of 60 ms: what is left of the gap when the next packet comes is recovered."""
    live = Live()
    live.run(300, lost=range(100, 110))
    sources = live.sources(range(100, 110))
    assert 2 <= sources.count("dred") <= 4 and sources.count("plc") == 10 - sources.count("dred")
    held = [p for p in live.played if p.source == "hold"]
    assert 0 <= len(held) - sources.count("plc") <= 1 and all(p.of_stream and p.packet is None for p in held)
    assert max(live.delays(range(95, 290))) <= 80
    report = live.receiver.report()
    assert report["playout"]["holds"] == len(held)
    assert report["playout"]["shortened_ms"] == report["sources"]["skipped"] == 0
    assert report["reasons"] == {"no later packet": sources.count("plc")}


def test_gaps_that_come_again_are_waited_for_and_then_forgotten():
    live = Live()
    bursts = [n for start in range(100, 900, 30) for n in range(start, start + 8)]
    live.run(2600, lost=bursts)
    last = [n for n in bursts if n > 500]
    assert live.sources(last).count("dred") >= 0.95 * len(last)
    assert 150 <= np.mean(live.delays(range(500, 880))) <= 230
    assert max(live.delays(range(2400, 2590))) <= 90


def bursts(first, last, rate=0.25, burst=6, seed=3):
    """Numbers lost in first..last by a Gilbert model."""
    dice, lost, bad = np.random.default_rng(seed), [], False
    for n in range(first, last):
        bad = dice.random() >= 1 / burst if bad else dice.random() < rate / (1 - rate) / burst
        lost += [n] * bad
    return lost


def awake_every_160_ms(n):
    """Delay of a packet that a sleeping radio keeps."""
    return 0.02 * (7 - n % 8) if 1000 <= n < 2000 else 0.0


@pytest.mark.parametrize(
    ("lost", "delay"), [(bursts(1000, 2000), lambda n: 0.0), ((), awake_every_160_ms)], ids=["bursts", "sleeping radio"]
)
def test_on_a_path_that_changes_less_is_concealed_than_with_a_fixed_delay_of_the_same_mean(lost, delay):
    """20 s calm, 20 s not, 20 s calm."""
    live = Live()
    live.run(3000, lost=lost, delay=delay, tail=60)
    mean = live.receiver.report()["delay_ms"]["mean"]
    fixed = Live(adaptive=False, playout_ms=20 * int(np.ceil(mean / 20)))
    fixed.run(3000, lost=lost, delay=delay, tail=60)
    concealed = [sum(frame.source != "opus" for frame in one.frames[:-60]) for one in (live, fixed)]
    guessed = [sum(frame.source == "plc" for frame in one.frames[:-60]) for one in (live, fixed)]
    assert mean <= 110 and guessed[0] <= guessed[1] + 5 and concealed[0] <= concealed[1] + 5, (mean, guessed, concealed)
    assert guessed[0] < guessed[1] or concealed[0] < 0.5 * concealed[1], (mean, guessed, concealed)


def test_packets_that_come_late_all_at_once_are_played():
    """Nothing arrives for 300 ms, and then everything: nothing was lost, so nothing is left out."""
    live = Live()
    live.run(400, delay=lambda n: max(0.0, 0.02 * (115 - n)) if 100 <= n < 115 else 0.0)
    assert set(live.sources(range(90, 390))) == {"opus"}
    assert max(live.delays(range(100, 120))) >= 250
    assert max(live.delays(range(300, 390))) <= 150


def test_every_packet_is_decided_once_and_in_order():
    live = Live()
    live.run(400, lost=[*range(100, 130), *range(200, 203), 300], delay=lambda n: 0.03 * (n % 3 == 0))
    decided = [frame.packet for frame in live.frames]
    assert decided == list(range(decided[0], decided[0] + len(decided)))
    counts = live.receiver.report()["sources"]
    assert sum(counts.values()) - counts["silence"] == len(decided)


def test_delay_follows_the_spread_of_arrivals():
    live = Live()
    live.run(1500, delay=lambda n: (n * 7919 % 100) / 1000)  # up to 99 ms, seldom in order
    assert 95 <= live.receiver.report()["delay_ms"]["target"] <= 125
    assert live.sources(range(700, 1400)).count("plc") <= 0.03 * 700
    live.run(2500, first=1500)
    assert live.receiver.report()["delay_ms"]["target"] <= 60
    assert max(live.delays(range(3900, 3990))) <= 90


def test_blackout_longer_than_the_history_gives_up_what_nobody_describes():
    live = Live(span=100)
    live.run(2200, lost=range(100, 1600))
    report = live.receiver.report()
    assert report["delay_ms"]["max"] <= 1100  # never waits longer than it may
    assert report["playout"]["holds"] <= 52  # and only once
    assert report["sources"]["dred"] >= 1  # as far back as its delay reaches: nobody waits for one blackout
    back = live.sources(range(1600, 1610))
    assert set(back) == {"opus"}
    assert max(live.delays(range(2100, 2190))) <= 90
    assert report["packets"]["sent"] == 2200 and report["packets"]["missing"] == 1500


def test_a_gap_beyond_the_redundancy_is_not_waited_through():
    live = Live(span=20)  # ten packets of history
    live.run(300, lost=range(100, 140))
    sources = live.sources(range(100, 140))
    assert set(sources) - {"skipped"} == {"plc", "dred"} and len(sources) == 40 and sources.count("skipped") <= 1
    assert max(live.delays(range(140, 290))) <= 80


def test_fixed_delay_is_kept_to_the_millisecond():
    live = Live(adaptive=False, playout_ms=300)
    live.run(400, lost=range(100, 112))
    assert set(live.delays(range(0, 380))) == {300.0}
    assert set(live.sources(range(100, 112))) == {"dred"}


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("ppm", [-300.0, 300.0])
def test_clock_drift_does_not_grow_the_delay(ppm, adaptive):
    """Five minutes at 300 ppm are 90 ms, at a tolerance of 20. Positive: the sender is slow."""
    live = Live(adaptive, playout_ms=200, ppm=ppm)
    live.run(15_000)
    last = live.delays(range(14_000, 14_900))
    target = live.receiver.report()["delay_ms"]["target"]
    assert len(last) == 900 and max(abs(delay - target) for delay in last) <= 45
    report = live.receiver.report()
    assert report["sources"]["plc"] == report["packets"]["late"] == 0
    moved = report["playout"]["lengthened_ms"] - report["playout"]["shortened_ms"]
    assert moved == pytest.approx(0.3 * ppm, abs=45)


def test_a_first_packet_that_came_late_is_no_reason_to_hurry():
    live = Live(adaptive=False, playout_ms=200)
    live.run(300, delay=lambda n: 0.08 if n == 0 else 0.0)
    assert live.receiver.report()["playout"]["corrections"] == 0


def dtx(live, n, sequence, flags=b"D"):
    live.receiver.push(rtp.build(sequence, 960 * n, SSRC, packet(n, flags)), live.now_us)


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_pause_without_packets_is_silence_and_not_loss(adaptive):
    live = Live(adaptive, playout_ms=200)
    sequence, speaking = 0, [*range(50), *range(120, 170)]
    for n in range(200):
        if n in speaking:
            dtx(live, n, sequence, b"N" if n == 49 else b"D")
            sequence += 1
        live.frames += live.receiver.pull().frames
        live.now_us += 20_000
    live.receiver.finish(sequence - 1, 960 * 169)
    live.run(0, tail=20)
    by_number = {frame.packet: frame.source for frame in live.frames}
    assert {by_number[n] for n in range(50, 120)} == {"dtx"}
    assert {by_number[n] for n in speaking if n in by_number} == {"opus"}
    packets = live.receiver.report()["packets"]
    assert packets["lost"] == 0 and packets["sent"] == packets["arrived"] == 100


def test_loss_inside_a_stream_with_pauses_is_still_loss():
    live = Live(False, playout_ms=200)
    sequence = 0
    for n in range(120):
        if not 30 <= n < 60:
            if n not in (80, 81):
                dtx(live, n, sequence, b"N" if n == 29 else b"D")
            sequence += 1
        live.frames += live.receiver.pull().frames
        live.now_us += 20_000
    assert live.sources(range(80, 82)) == ["dred", "dred"]
    packets = live.receiver.report()["packets"]
    assert packets["missing"] == 2 and packets["lost"] == 2


def test_a_wrong_timestamp_moves_nothing_for_long():
    live = Live(False, playout_ms=200)
    for n in range(100):
        wrong = 960 * 40 if n == 50 else 0
        live.receiver.push(rtp.build(n, 960 * n + wrong, SSRC, packet(n)), live.now_us)
        live.frames += live.receiver.pull().frames
        live.now_us += 20_000
    assert live.receiver.report()["packets"]["bad_timestamp"] >= 1
    assert live.sources(range(51, 89)).count("opus") == 38


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_stream_is_joined_in_the_middle(adaptive):
    live = Live(adaptive, playout_ms=100)
    live.receiver.announce(SSRC, 10, 9600)
    live.run(200, first=4000)
    assert live.frames[0].packet == 4000 and set(live.sources(range(4000, 4190))) == {"opus"}
    assert live.receiver.report()["packets"]["missing"] == 0


def test_a_restarted_sender_is_heard_and_the_books_balance():
    live = Live(playout_ms=400)
    live.run(100, lost=(50,))
    for n in range(300):
        live.receiver.push(rtp.build(n + 7000, 960 * n + 5, 77, packet(n)), live.now_us)
        live.frames += live.receiver.pull().frames
        live.now_us += 20_000
    packets = live.receiver.report()["packets"]
    assert packets["restarts"] == 1 and live.receiver.ssrc == 77
    assert packets["sent"] == 400 and packets["arrived"] == 399 and packets["missing"] == 1
    assert live.sources(range(7100, 7290)).count("opus") == 190


def test_reordering_by_five_packets_costs_nothing_at_120_ms():
    live = Live(False, playout_ms=120)
    live.run(500, delay=lambda n: 0.1 if n % 10 == 3 else 0.0)
    assert {frame.source for frame in live.frames} == {"opus"}
    assert live.receiver.report()["packets"]["reordered"] > 30


FATES = st.lists(st.sampled_from(["ok", "ok", "ok", "lost", "twice", "late"]), min_size=5, max_size=150)


@given(FATES, st.booleans(), st.integers(4, 60), st.sampled_from([40, 200, 1000]))
def test_counters_add_up_whatever_the_link_does(fates, adaptive, span, playout_ms):
    live = Live(adaptive, playout_ms, span=span)
    live.receiver.announce(SSRC, 0, 0)
    arrived = set()
    queue = []
    for n, fate in enumerate(fates):
        if fate != "lost":
            arrived.add(n)
            queue += [(n + (6 if fate == "late" else 0), n)] * (2 if fate == "twice" else 1)
        for when, number in [item for item in queue if item[0] == n]:
            queue.remove((when, number))
            live.receiver.push(rtp.build(number, 960 * number, SSRC, packet(number)), live.now_us)
        live.frames += live.receiver.pull().frames
        live.now_us += 20_000
    for _, number in queue:
        live.receiver.push(rtp.build(number, 960 * number, SSRC, packet(number)), live.now_us)
    live.receiver.finish(len(fates) - 1, 960 * (len(fates) - 1))
    for _ in range(200):
        played = live.receiver.pull()
        assert played.pcm.shape == (320,) and played.pcm.dtype == np.int16
        live.frames += played.frames
        live.now_us += 20_000
    report = live.receiver.report()
    if arrived:
        assert report["packets"]["sent"] == len(fates)
        assert report["packets"]["arrived"] == len(arrived)
        assert report["packets"]["sent"] == report["packets"]["arrived"] + report["packets"]["missing"]
    sources = report["sources"]
    assert sum(sources.values()) - sources["silence"] == len(live.frames)


@given(st.lists(st.integers(-40, 40), max_size=200), st.integers(0, 70000))
def test_arrivals_count_each_number_once(steps, start):
    books, seen, number = Arrivals(), set(), start
    for step in steps:
        number += step
        assert books.add(number) is (number not in seen)
        seen.add(number)
    assert books.arrived == len(seen)
    if seen:
        assert books.expected() == max(seen) - min(seen) + 1


def test_arrivals_know_the_announced_ends():
    books = Arrivals()
    books.announce(5)
    books.add(8)
    books.reached(20)
    assert (books.expected(), books.arrived, books.missing()) == (16, 1, 15)
    assert books.add(20) and not books.add(8)


def test_base_delay_follows_the_fastest_packets_and_forgets():
    tracker = DelayTracker()
    for n in range(1000):
        tracker.arrival(n, 20_000 * n + 30_000 + (n % 7) * 1000)
    assert tracker.base_us() == 30_000 and 0 <= tracker.spread_us() <= 10_000
    for n in range(1000, 2000):  # a longer way now
        tracker.arrival(n, 20_000 * n + 80_000)
    assert tracker.base_us() == 80_000


def test_one_impossibly_early_packet_does_not_count_but_three_do():
    tracker = DelayTracker()
    for n in range(100):
        tracker.arrival(n, 20_000 * n)
    tracker.arrival(200, 20_000 * 100)
    assert tracker.base_us() == 0
    for n in range(3):
        tracker.arrival(101 + n, 20_000 * n + 20_000 * 101 - 90_000)
    assert tracker.base_us() == -90_000


def test_spread_is_the_share_that_is_asked_for():
    tracker = DelayTracker()
    dice = np.random.default_rng(1)
    for n in range(6000):
        tracker.arrival(n, 20_000 * n + int(dice.integers(0, 100_000)))
    assert 90_000 <= tracker.spread_us(970) <= 100_000
    assert 40_000 <= tracker.spread_us(500) <= 60_000


def test_timeline_keeps_reasons_and_jumps():
    line = Timeline(10)
    for number, reason in ((5, ""), (6, "no later packet"), (900, "something else"), (901, "")):
        line.add(number, "plc", 40_000, 1, reason)
    part = line.part()
    assert numbers(part) == [5, 6, 900, 901] and part["reasons"] == ".n?."
    assert numbers(line.part(3)) == [6 + 2] or numbers(line.part(2)) == [900, 901]
    assert expand(part)[0] == ["plc"] * 4


def test_a_bench_of_the_old_kind_still_counts_periods():
    bench = Bench(playout_ms=100)
    spoken = bench.run(40, lost=(10,))
    assert [len(p.frames) for p in spoken] == [1] * 40
    assert [p.frames[0].source for p in spoken] == [p.source for p in spoken]


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(-80_000, 900_000)), min_size=1, max_size=1500))
def test_a_delay_tracker_skips_only_weights_that_are_zero(steps):
    """Against the definition: every packet moves 1/512, rounded up, of the weight of all 80 steps to its own."""
    tracker, weights, number = DelayTracker(), [0] * 80, 0
    for step, late_us in steps:
        number += step
        before = list(tracker._weights)
        tracker.arrival(number, 20_000 * number + late_us)
        if list(tracker._weights) == before == weights and any(weights):
            continue  # too early to be true
        own = min(79, (late_us + 20_000 * number - tracker.base_us() - 20_000 * number) // 5000)
        parts = [weight + 511 >> 9 for weight in weights]
        weights = [weight - part for weight, part in zip(weights, parts, strict=True)]
        weights[own] += sum(parts) or 1 << 20
        assert list(tracker._weights) == weights

# SPDX-License-Identifier: BSD-2-Clause
"""An agent with a loudspeaker keeps the card's time, on a virtual clock."""

from collections import deque

import numpy as np
import pytest
from device_fakes import Bench

from dredge_device import agent as states
from dredge_device.pi.output.card_clock import CardClock
from dredge_device.pi.service.streams.rendering import Rendering, StreamSession
from dredge_device.units import PACKET_US


class Card:
    """Plays what it is given at its own speed; `ends_us` is when that is over. Runs dry when it is given too little."""

    def __init__(self, ppm):
        self._period_us = PACKET_US / (1 + ppm * 1e-6)
        self.ends_us = -1.0
        self.dry = 0

    def write(self, at_us):
        """A writer that waits for its turn, and for room for 60 ms."""
        now_us = max(at_us, self.ends_us - 60_000)
        if self.ends_us < now_us:
            self.dry += 1
            self.ends_us = now_us + 30_000  # a card that begins anew plays silence first
        self.ends_us += self._period_us


def run(ppm, minutes, follow=True, ahead=25, disturb=lambda n, card: None):
    """(card, µs from every period's turn to its end): periods are timed so many before they are written."""
    card, clock, held, at_us = Card(ppm), CardClock(), [], 0
    waiting = deque()
    dice = np.random.default_rng(1)
    for n in range(round(minutes * 3000)):
        waiting.append(at_us)
        at_us += PACKET_US + (clock.step_us() if follow else 0)
        if len(waiting) > ahead:
            turn = waiting.popleft()
            card.write(turn)
            disturb(n, card)
            ends_us = int(card.ends_us + dice.uniform(-4000, 4000))  # told in the card's own steps
            held.append(ends_us - turn)
            clock.written(turn, ends_us)
    return card, clock, np.array(held)


@pytest.mark.parametrize("ahead", [1, 25])
@pytest.mark.parametrize("ppm", [-200.0, 200.0])
def test_a_quarter_of_an_hour_changes_nothing(ppm, ahead):
    card, clock, held = run(ppm, 15, ahead=ahead)
    seconds = held[100:][: len(held[100:]) // 50 * 50].reshape(-1, 50).mean(axis=1)
    assert np.ptp(seconds) < 6000 and card.dry <= 1
    assert clock.corrected_us == pytest.approx(-ppm * 900, abs=15_000)


def test_without_it_the_card_runs_dry_or_falls_behind():
    assert run(200.0, 15, follow=False)[0].dry > 2
    held = run(-200.0, 15, follow=False)[2]
    assert held[-1] - held[100] > 100_000


def test_a_card_that_began_anew_is_no_drift():
    def stop(n, card):
        if n == 2000:
            card.ends_us += 45_000

    _, clock, held = run(0.0, 2, disturb=stop)
    assert abs(clock.corrected_us) < 5000 and np.mean(held[-500:]) > np.mean(held[500:1500]) + 30_000


def test_while_there_is_no_card_nothing_is_followed():
    clock = CardClock()
    for n in range(200):
        clock.written(n * PACKET_US, n * PACKET_US + 40_000)
    for n in range(200):
        clock.written(n * PACKET_US, None)
        assert clock.step_us() == 0


def test_the_periods_of_a_stream_follow_its_clock():
    class Slow:
        def step_us(self):
            return 150

    class Sink:
        def write(self, pcm, spoken, at_us):
            times.append(at_us)

    times, bench = [], Bench(playout_ms=60)

    class Playing:
        state, receiver = states.ACTIVE, bench.receiver

        def played(self, *about):
            pass

    session = StreamSession(Playing(), Sink(), clock=Slow())
    rendering = Rendering(None, lambda session, error: None, lambda: 0)
    rendering.tick([session], 1_000_000)
    for n in range(20):
        assert rendering.render([session], 1_000_000 + 25_000 * n)
    assert np.diff(times).tolist() == [PACKET_US + 150] * 19

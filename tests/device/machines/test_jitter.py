# SPDX-License-Identifier: BSD-2-Clause
"""The jitter buffer and its policy alone, with few slots, so that every rule meets every state."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from machine_profile import profile, steps

from dredge_device import jitter
from dredge_device.jitter import JitterBuffer
from dredge_device.playout import HOLD, PLAY, SKIP, WAIT, Playout
from dredge_device.units import PACKET_US

CAPACITY = 16
WIDEST = CAPACITY * 3 // 2  # before playout starts an earlier packet may widen what is held by a half
OUTCOMES = (jitter.STORED, jitter.DUPLICATE, jitter.LATE, jitter.BEYOND)


class JitterMachine(RuleBasedStateMachine):
    """Numbers arrive in any order at any time; one decision is taken per period."""

    @initialize(playout_ms=st.sampled_from([0, 20, 60, 200, 1000]), adaptive=st.booleans(),
                start=st.integers(-5, 70000))  # fmt: skip
    def begin(self, playout_ms, adaptive, start):
        steps["jitter examples"] += 1
        self.buffer = JitterBuffer(playout_ms, CAPACITY)
        self.playout = Playout(self.buffer, adaptive)
        self.now = 5_000_000
        self.number = start
        self.packets = {}
        self.outcomes = dict.fromkeys(OUTCOMES, 0)
        self.inserted = self.holds = 0

    def _insert(self, number, data=None):
        data = b"%d" % number if data is None else data
        outcome = self.buffer.insert(number, data, self.now)
        self.outcomes[outcome] += 1
        self.inserted += 1
        if outcome == jitter.STORED:
            self.packets[number] = data
            assert self.buffer.get(number) == data

    @rule(count=st.integers(1, 30), ahead=st.just(0) | st.integers(-40, 60))
    def arrive(self, count, ahead):
        """ahead: playout is that many periods in front of or behind the arrivals."""
        for _ in range(count):
            self._insert(self.number + ahead)
            self.number += 1
            self._decide()

    @rule(step=st.integers(-60, 60))
    def insert(self, step):
        self._insert(self.number + step)

    @rule(count=st.integers(1, 40))
    def nothing_arrives(self, count):
        for _ in range(count):
            self.number += 1
            self._decide()

    @rule(first=st.integers(-20, 20), count=st.integers(0, 3000))
    def leave_out(self, first, count):
        self.buffer.leave_out(self.number + first, self.number + first + count)
        for number in range(self.number + first, self.number + first + count + 1):
            self.packets.setdefault(number, None)

    @rule(seconds=st.floats(0, 30))
    def stand_still(self, seconds):
        self.now += int(seconds * 1e6)

    @rule(ahead=st.integers(-10, 10))
    def finish(self, ahead):
        self.buffer.finish(self.number + ahead)

    @precondition(lambda self: self.buffer.highest is None)
    @rule(ahead=st.integers(-30, 10))
    def announce(self, ahead):
        """Comes before the stream's first packet, as the receiver does it."""
        self.buffer.announce(self.number + ahead)

    @precondition(lambda self: self.buffer.next is not None)
    @rule()
    def another_sender(self):
        self.buffer.clear()
        self.playout.restart()
        self.packets = {}

    def _decide(self):
        """SKIP moves on by one and asks again, PLAY moves on by one, the others stand still."""
        steps["jitter periods"] += 1
        for _ in range(WIDEST + 1):
            before = self.buffer.next
            action, period = self.playout.step(self.now)
            number = period and period.number
            if action in (WAIT, HOLD):
                self.holds += action == HOLD
                assert number is None and (before is None or self.buffer.next == before)
            else:
                assert before is None or number == before
                assert self.buffer.next == number + 1
            if action != SKIP:
                break
        assert action != SKIP  # not more than is held
        if action == PLAY:
            self.playout.observe(self.now, 0)
            self.playout.lag.corrected(max(-5000, min(5000, self.playout.lag.us)))
        self.now += PACKET_US

    @invariant()
    def every_packet_has_one_outcome(self):
        steps["jitter rules"] += 1
        buffer, count = self.buffer, self.outcomes
        # A packet that moves the buffer on is late or beyond, and then stored.
        assert buffer.duplicate == count[jitter.DUPLICATE]
        assert buffer.late + buffer.beyond == count[jitter.LATE] + count[jitter.BEYOND] + buffer.resyncs
        assert sum(count.values()) == self.inserted
        assert self.playout.holds == self.holds

    @invariant()
    def what_is_stored_is_what_came(self):
        buffer, slots = self.buffer, self.buffer._slots
        assert len(slots._data) == len(slots._number) == CAPACITY
        for number, data in zip(slots._number, slots._data, strict=True):
            if number is not None:
                assert data in (b"", self.packets[number]) and buffer.get(number) == data

    @invariant()
    def looking_ahead_finds_the_nearest(self):
        buffer = self.buffer
        start = buffer.next if buffer.next is not None else self.number - CAPACITY
        held = [n for n in buffer._slots._number if n is not None and buffer.get(n)]
        assert buffer.next_after(start) == min((n for n in held if n > start), default=None)
        assert 0 <= buffer.depth() <= WIDEST

    @invariant()
    def delays_are_bounded(self):
        buffer = self.buffer
        assert 0 <= self.playout.target_us() <= buffer.playout_us
        assert len(buffer.delays._minima) <= 6 and len(self.playout.lag._window) <= 50


TestJitterMachine = JitterMachine.TestCase
TestJitterMachine.settings = profile(examples=40, rules=30, long_examples=5000, long_rules=100)

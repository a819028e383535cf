# SPDX-License-Identifier: BSD-2-Clause
# The jitter buffer: packets in by running sequence number, one decision out per packet period.
# A missing packet is an event on time, not a pause; nothing that arrived is thrown away because
# a neighbour did not. All times are integer microseconds, passed in.

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


STORED = const(0)
DUPLICATE = const(1)
LATE = const(2)  # its period was played already
BEYOND = const(3)  # further ahead than the buffer is long

PERIOD_US = const(20000)
_LATE_RUN = const(25)  # this many late packets in a row (0.5 s) mean that the sender paused


# Delay in ms from "fixed:<ms>"; ValueError with a sentence for anything else.
def parse_playout(text):
    kind, _, value = text.partition(":")
    if kind != "fixed" or not value.isdigit():
        raise ValueError("playout is '%s', expected fixed:<milliseconds>, e.g. fixed:200" % text)
    if int(value) > 5000:
        raise ValueError("playout of %s ms is longer than 5000 ms" % value)
    return int(value)


# Constant playout delay: the packet that arrived first is played playout_ms after its arrival,
# every other one relative to it, so each gap shorter than the delay can be filled from behind.
class JitterBuffer:
    def __init__(self, playout_ms, capacity=512):
        if not 0 <= playout_ms <= 5000:
            raise ValueError("playout of %d ms is not in 0..5000" % playout_ms)
        self.playout_us = playout_ms * 1000
        self.duplicate = 0
        self.late = 0
        self.reordered = 0
        self.beyond = 0
        self.resyncs = 0
        self._capacity = capacity
        self._number = [None] * capacity  # running sequence number in each slot
        self._data = [None] * capacity
        self._arrival = [0] * capacity
        self.clear()

    # Forget the stream (a new sender follows); the counters stay.
    def clear(self):
        for i in range(self._capacity):
            self._number[i] = None
            self._data[i] = None
        self.next = None  # the number the next step() decides, None before playout starts
        self.highest = None
        self.last = None  # the stream's last number, when the sender told it
        self.ended = False
        self._first = None  # lowest number seen or announced before playout starts
        self._anchor = None  # number of the packet that set the clock, and
        self._anchor_us = 0  # its arrival
        self._late_run = 0

    # The sender announced its first number: packets lost before the first arrival count as lost.
    def announce(self, first):
        if self.next is None:
            self._first = first

    # The sender said that this was its last number.
    def finish(self, last):
        self.last = last

    # Store one packet: STORED, DUPLICATE, LATE or BEYOND.
    def insert(self, number, data, now_us):
        if self.next is not None and number < self.next:
            return self._too_late(number, data, now_us)
        if self.next is not None and number >= self.next + self._capacity:
            self.beyond += 1
            self._resync()
        if self._anchor is None:
            self._anchor = number
            self._anchor_us = now_us
            if self._first is None or not number - self._capacity < self._first <= number:
                self._first = number
        slot = number % self._capacity
        if self._number[slot] == number:
            self.duplicate += 1
            return DUPLICATE
        if self.next is None:
            if not self._anchor - self._capacity // 2 < number < self._first + self._capacity:
                self.beyond += 1
                return BEYOND
            self._first = min(self._first, number)
        self._late_run = 0
        if self.highest is not None and number < self.highest:
            self.reordered += 1
        self.highest = number if self.highest is None else max(self.highest, number)
        self._number[slot] = number
        self._data[slot] = data
        self._arrival[slot] = now_us
        return STORED

    # A pause of the sender makes all that follows late: then the clock is set anew.
    def _too_late(self, number, data, now_us):
        if number > self.next - self._capacity and self._number[number % self._capacity] == number:
            self.duplicate += 1
            return DUPLICATE
        self.late += 1
        self._late_run += 1
        if self._late_run < _LATE_RUN:
            return LATE
        self._resync()
        return self.insert(number, data, now_us)

    def _resync(self):
        last = self.last
        self.clear()
        self.last = last
        self.resyncs += 1

    # The number to be played in this period; None before the stream starts and after its end.
    # Call once per period: once started, every call moves on by one.
    def step(self, now_us):
        if self.next is None:
            if self._anchor is None or now_us < self.due_us(self._first):
                return None
            behind = (now_us - self.due_us(self._first)) // PERIOD_US
            self.next = min(self._first + behind, self._anchor)
        if self.last is not None and self.next > self.last:
            self.ended = True
            return None
        number = self.next
        self.next += 1
        return number

    # When a number is to be played, by the clock of the first arrival.
    def due_us(self, number):
        return self._anchor_us + self.playout_us + (number - self._anchor) * PERIOD_US

    # How long ago the packet with this number would have arrived, had it met no jitter.
    def delay_us(self, number, now_us):
        return now_us - self.due_us(number) + self.playout_us

    # Periods that were decided although the stream had ended before them.
    def beyond_last(self):
        if self.last is None or self.next is None:
            return 0
        return max(0, self.next - 1 - self.last)

    # The packet, or None. A packet stays readable until its slot is needed again.
    def get(self, number):
        slot = number % self._capacity
        return self._data[slot] if self._number[slot] == number else None

    # The lowest stored number above this one, or None.
    def next_after(self, number):
        if self.highest is None:
            return None
        for candidate in range(number + 1, self.highest + 1):
            if self._number[candidate % self._capacity] == candidate:
                return candidate
        return None

    # Packets between the playout point and the newest one (missing ones counted as well).
    def depth(self):
        if self.next is None or self.highest is None:
            return 0
        return max(0, self.highest - self.next + 1)

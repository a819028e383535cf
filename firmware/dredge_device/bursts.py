# SPDX-License-Identifier: BSD-2-Clause
# How long the gaps of the last 20 s were, and how long a wait for the packet after them pays.
# Packet numbers only: no clock, fixed memory.
from array import array

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


_MEMORY = const(1000)  # packets that count
_ENOUGH = const(500)  # as if so many had been seen at least: the first gap decides nothing alone
_BURSTS = const(128)  # gaps kept
_REFRESH = const(50)  # packets after which old gaps are forgotten even if none follows
LONGEST = const(50)  # packets of history that a packet has

# A wait of one period more has to recover so many packets in 1000. Up to 200 ms nobody notices, and
# beyond 400 ms people begin to interrupt each other (ITU-T G.114).
_PRICES = ((10, 3), (20, 6), (LONGEST, 12))


class BurstTracker:
    def __init__(self):
        self._ends = array("i", bytes(4 * _BURSTS))  # first number after each gap
        self._lengths = array("b", bytes(_BURSTS))
        self._counts = array("H", bytes(2 * (LONGEST + 1)))
        self.reset()

    # Forget the stream.
    def reset(self):
        self._at = 0
        self._kept = 0
        self._first = None
        self._fresh = 0
        self.periods = 0  # the longest wait that pays

    # A packet arrived, newer than all others, after so many missing ones.
    def arrival(self, number, missing):
        if self._first is None:
            self._first = number
        if missing > 0:
            self._ends[self._at] = number
            self._lengths[self._at] = min(missing, LONGEST)
            self._at = (self._at + 1) % _BURSTS
            self._kept = min(self._kept + 1, _BURSTS)
        if missing > 0 or number - self._fresh >= _REFRESH:
            self._fresh = number
            self.periods = self._worth(number)

    # An older packet arrived: what lies before it in a gap is another gap.
    def late(self, number):
        for index in range(self._kept):
            if self._ends[index] - self._lengths[index] <= number < self._ends[index]:
                self._lengths[index] = self._ends[index] - 1 - number

    def _worth(self, number):
        counts = self._counts
        for length in range(LONGEST + 1):
            counts[length] = 0
        oldest = max(self._first, number - _MEMORY)
        if self._kept == _BURSTS:
            oldest = max(oldest, self._ends[self._at])
        for index in range(self._kept):
            if self._ends[index] >= oldest:
                counts[self._lengths[index]] += 1
        seen = max(number - oldest, _ENOUGH)
        price = len(_PRICES) - 1
        gaps = 0  # at least so long
        for length in range(LONGEST, 0, -1):
            gaps += counts[length]
            if price and length <= _PRICES[price - 1][0]:
                price -= 1
            if gaps * 1000 >= seen * _PRICES[price][1]:
                return length
        return 0

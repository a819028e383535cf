# SPDX-License-Identifier: BSD-2-Clause
# How late packets are compared with the fastest of them: the path's base delay, which follows clock drift and route
# changes, and the spread above it. Integer microseconds, no clock, fixed memory.
from array import array

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


_SPAN_US = const(2000000)  # one bin of minima
_SPANS = const(5)  # the base is the lowest of the last 8 to 10 s
_STEP_US = const(5000)
_STEPS = const(80)  # spread up to 400 ms; the last step holds the rest
_EARLY_US = const(60000)  # a packet this much before all others is rather misnumbered; the path
_CONFIRM = const(3)  # became that much shorter if so many in a row say so
_FORGET = const(9)  # a packet weighs 1/512: the spread remembers about 10 s
_ROUND = const(511)
_ALL = const(1048576)  # sum of all weights


class DelayTracker:
    def __init__(self, period_us=20000):
        self._period_us = period_us
        self._weights = array("I", bytes(4 * _STEPS))
        self.reset()

    # Forget the stream.
    def reset(self):
        self._minima = []  # [start of the bin, lowest transit in it], oldest first
        self._free = None
        self._transit0 = None
        self._early = 0  # consecutive arrivals that were implausibly early
        self._base_us = 0
        self._used = 1  # steps from there on have no weight
        for index in range(_STEPS):
            self._weights[index] = 0

    # Note an arrival. Transit times are kept relative to the first one, so they stay small.
    def arrival(self, number, now_us):
        transit = now_us - number * self._period_us
        if self._transit0 is None:
            self._transit0 = transit
        elif transit - self.base_us() < -_EARLY_US:
            self._early += 1
            if self._early < _CONFIRM:
                return
        self._early = 0
        self._minimum(transit - self._transit0, now_us)
        above = transit - self.base_us()
        self._enter(min(_STEPS - 1, above // _STEP_US))

    def _minimum(self, transit, now_us):
        minima = self._minima
        if not minima or now_us - minima[-1][0] >= _SPAN_US:
            entry = self._free or [0, 0]  # reused, so that no garbage arises
            self._free = None
            entry[0] = now_us
            entry[1] = transit
            minima.append(entry)
            while len(minima) > 1 and now_us - minima[0][0] >= _SPANS * _SPAN_US:
                self._free = minima.pop(0)
        elif transit < minima[-1][1]:
            minima[-1][1] = transit
        else:
            return
        lowest = minima[0][1]
        for entry in minima:  # a generator would take heap for every packet
            if entry[1] < lowest:
                lowest = entry[1]
        self._base_us = self._transit0 + lowest

    # Exponential forgetting in integers: every packet moves 1/512 of all weight to its own step.
    def _enter(self, step):
        weights = self._weights
        moved = 0
        for index in range(self._used):
            if weights[index]:
                part = (weights[index] + _ROUND) >> _FORGET
                weights[index] -= part
                moved += part
        weights[step] += moved if moved else _ALL
        if step >= self._used:
            self._used = step + 1
        elif not weights[self._used - 1]:
            self._used -= 1

    # Return the arrival time that packet 0 would have had without jitter; add number * period for another packet.
    def base_us(self):
        return self._base_us

    # Return True once a packet has arrived.
    def known(self):
        return self._transit0 is not None

    # Return the delay above the base that permille/1000 of the packets do not exceed.
    def spread_us(self, permille=970):
        need = _ALL * permille // 1000
        seen = 0
        for index in range(_STEPS):
            seen += self._weights[index]
            if seen >= need:
                return index * _STEP_US
        return 0  # nothing has arrived

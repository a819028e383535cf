# SPDX-License-Identifier: BSD-2-Clause
# What delay is worth what it costs: how long packets had to be waited for lately, lost ones until
# the packet that describes them. Fixed memory, integers.
from array import array

from dredge_device.units import PACKET_US

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


LONGEST = const(50)  # packets of history that a packet has
_STEP_US = const(10000)
_STEPS = const(104)  # up to 1.03 s; the last step holds the rest
_BLOCK = const(64)  # packets whose waits are counted together
_BLOCKS = const(32)  # 41 s, as long as the path stays what it is
_ENOUGH = const(128)  # as if so many packets had been seen at least: the first gap decides nothing alone
_BEGIN = const(6)  # steps, until so many have been seen
_LEAST = const(4)
_SURE = const(8)  # counts differ by more than chance explains: square of so many standard deviations
_EVENTS = const(3)  # and by so many at least
_GAIN = const(2000)  # a change has to bring so much; parts per million of the packets, as in all that follows

# What 20 ms more have to save of the packets that would be concealed. A conversation bears 150 ms from mouth to ear
# well and is hard beyond 400 ms (ITU-T G.114); playout is all of it but some 30 ms.
_DELAY_COSTS = ((120000, 11000), (300000, 22000), (1000000, 44000))


class WaitHistory:
    # reach: packets before a packet that it can describe.
    def __init__(self, reach=LONGEST):
        self._reach = reach
        self._counts = bytearray(_BLOCKS * _STEPS)  # of every wait in every block; the newest is open
        self._sizes = array("H", bytes(2 * _BLOCKS))  # packets in each block
        self._events = array("H", bytes(2 * _BLOCKS))  # times in each block that arrivals stood still
        self._closed = array("H", bytes(2 * _STEPS))  # the waits of all blocks that count but the open one
        self._costs = _cost_table()
        self.reset()

    # Forget the stream.
    def reset(self):
        self._open = 0
        self._kept = 0  # closed blocks that count
        self._late_us = 0
        self._step = _BEGIN
        self._empty(self._open)
        self._sum()

    # The delay that is worth what it costs.
    def worth_us(self):
        return self._step * _STEP_US

    # A packet arrived, newer than all others, after so many missing ones and so late.
    def arrival(self, missing, late_us):
        late_us = max(0, late_us)
        block = self._open
        stood = missing > 0 or late_us >= self._late_us + PACKET_US
        self._late_us = late_us
        self._events[block] += stood
        self._sizes[block] += min(missing, LONGEST) + 1
        for index in range(min(missing, self._reach) + 1):
            self._enter(late_us + index * PACKET_US)
        if self._sizes[block] >= _BLOCK:
            self._close()
        elif stood:
            self._choose()

    # A packet arrived after newer ones, so late. One that describes it was there before, but is worth less than the
    # packet itself: both waits count.
    def late(self, late_us):
        self._enter(max(0, late_us))

    def _enter(self, wait_us):
        step = min(_STEPS - 1, (wait_us + _STEP_US - 1) // _STEP_US)
        place = self._open * _STEPS + step
        self._counts[place] = min(255, self._counts[place] + 1)

    # The open block is full: the next one begins, and what the path is not like any more is forgotten.
    def _close(self):
        self._kept = min(self._kept + 1, _BLOCKS - 1)
        self._open = (self._open + 1) % _BLOCKS
        self._empty(self._open)
        self._forget()
        self._sum()
        self._choose()

    def _empty(self, block):
        self._sizes[block] = 0
        self._events[block] = 0
        for place in range(block * _STEPS, (block + 1) * _STEPS):
            self._counts[place] = 0

    # The newest 1, 2, 4 ... closed blocks against those before them: where arrivals stood still more or less often than
    # chance explains, the path has changed, and the older ones do not count any more.
    def _forget(self):
        every = newer = 0
        for back in range(1, self._kept + 1):
            every += self._events[(self._open - back) % _BLOCKS]
        kept, span = self._kept, 1
        for back in range(1, kept):
            newer += self._events[(self._open - back) % _BLOCKS]
            if back == span:
                span *= 2
                more = newer * kept - every * back  # than expected, times kept
                if abs(more) >= _EVENTS * kept and more * more > _SURE * every * back * (kept - back):
                    self._kept = back
                    return

    def _sum(self):
        closed = self._closed
        for step in range(_STEPS):
            closed[step] = 0
        for back in range(1, self._kept + 1):
            place = (self._open - back) % _BLOCKS * _STEPS
            for step in range(_STEPS):
                closed[step] += self._counts[place + step]

    # The delay at which the packets that come later and the cost of the delay are least together.
    def _choose(self):
        place, closed, costs = self._open * _STEPS, self._closed, self._costs
        beyond = seen = 0
        for back in range(self._kept + 1):
            seen += self._sizes[(self._open - back) % _BLOCKS]
        for step in range(_STEPS):
            beyond += closed[step] + self._counts[place + step]
        lowest = now = best = 0
        for step in range(_STEPS):
            beyond -= closed[step] + self._counts[place + step]
            cost = beyond * 1000000 // max(seen, _ENOUGH) + costs[step]
            if step == self._step:
                now = cost
            if step >= (_LEAST if seen >= _ENOUGH else _BEGIN) and (not best or cost < lowest):
                lowest, best = cost, step
        if now - lowest >= _GAIN:
            self._step = best


# What a delay of every step costs.
def _cost_table():
    costs = array("I", bytes(4 * _STEPS))
    for step in range(1, _STEPS):
        for until_us, cost in _DELAY_COSTS:
            if step * _STEP_US <= until_us or until_us == _DELAY_COSTS[-1][0]:
                costs[step] = costs[step - 1] + cost * _STEP_US // PACKET_US
                break
    return costs

# SPDX-License-Identifier: BSD-2-Clause
# The choice of the adaptive delay: it records how long packets, or the later packets that describe lost ones, had to be
# waited for lately, and weighs that against the cost of delay. Fixed memory, integers.
from array import array

from dredge_device.units import PACKET_US

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


LONGEST = const(50)  # packets that one packet's redundancy describes at most
_STEP_US = const(10000)
_STEPS = const(104)  # up to 1.03 s; the last step holds the rest
_BLOCK = const(64)  # packets whose waits are counted together
_BLOCKS = const(32)  # 41 s, as long as the path stays what it is
_ENOUGH = const(128)  # shares are of at least so many packets, so that the first gap does not decide alone
_BEGIN = const(6)  # steps of delay until so many packets have been seen
_LEAST = const(4)
_SURE = const(8)  # square of the standard deviations above which a difference of counts is not chance
_EVENTS = const(3)  # and the least difference that counts
_GAIN = const(2000)  # least gain of a change, in parts per million of the packets, as all values below

# The share of packets that another 20 ms of delay must save. A conversation bears 150 ms from mouth to ear well and is
# hard beyond 400 ms (ITU-T G.114); playout is all of it but some 30 ms.
_DELAY_COSTS = ((120000, 11000), (300000, 22000), (1000000, 44000))


class WaitHistory:
    # reach: packets before a packet that it can describe.
    def __init__(self, reach=LONGEST):
        self._reach = reach
        self._counts = bytearray(_BLOCKS * _STEPS)  # packets per wait in every block; the newest block is open
        self._sizes = array("H", bytes(2 * _BLOCKS))  # packets in each block
        self._events = array("H", bytes(2 * _BLOCKS))  # times in each block that arrivals stood still
        self._closed = array("H", bytes(2 * _STEPS))  # sum over the closed blocks that count
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

    # Return the delay that is worth its cost.
    def worth_us(self):
        return self._step * _STEP_US

    # Note a packet newer than all others: the missing ones before it, and how late it is.
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

    # Note how late a packet is that arrived after newer ones. A newer packet may have described it before, but that is
    # worth less than the packet itself, so both waits count.
    def late(self, late_us):
        self._enter(max(0, late_us))

    def _enter(self, wait_us):
        step = min(_STEPS - 1, (wait_us + _STEP_US - 1) // _STEP_US)
        place = self._open * _STEPS + step
        self._counts[place] = min(255, self._counts[place] + 1)

    # Close the full block, begin the next one, and drop blocks that no longer represent the path.
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

    # Compare the newest 1, 2, 4 ... closed blocks with those before them. Where arrivals stood still more or less often
    # than chance explains, the path has changed, and the older blocks are dropped.
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

    # Return the delay at which the sum of its cost and of the packets that arrive later is least.
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


# Return the cost of the delay of every step.
def _cost_table():
    costs = array("I", bytes(4 * _STEPS))
    for step in range(1, _STEPS):
        for until_us, cost in _DELAY_COSTS:
            if step * _STEP_US <= until_us or until_us == _DELAY_COSTS[-1][0]:
                costs[step] = costs[step - 1] + cost * _STEP_US // PACKET_US
                break
    return costs

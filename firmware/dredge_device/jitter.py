# SPDX-License-Identifier: BSD-2-Clause
# The jitter buffer: packets are stored by running sequence number, and every packet period takes one decision. A
# missing packet does not stop playout, and no packet that arrived is dropped because a neighbour is missing. All times
# are integer microseconds, passed in.
from dredge_device.delay import DelayTracker
from dredge_device.slots import PacketSlots
from dredge_device.start import StreamStart
from dredge_device.units import PACKET_US
from dredge_device.waits import LONGEST

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


STORED = const(0)
DUPLICATE = const(1)
LATE = const(2)  # its period has been played
BEYOND = const(3)  # further ahead than the buffer is long

_LATE_RUN = const(25)  # this many late packets in a row (0.5 s) mean that the sender paused


# Constant playout delay: the packet that arrived first is played playout_ms after its arrival, every other one relative
# to it, so each gap shorter than the delay can be filled from behind. An empty packet stands for a period that the
# sender left out in a pause of speech (DTX).
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
        self.changes = 0  # number of changes of its content
        self.delays = DelayTracker(PACKET_US)
        self.waits = None  # a WaitHistory, if the waits for packets are to be recorded
        self._capacity = capacity
        self._slots = PacketSlots(capacity)
        self._start = StreamStart(capacity)
        self.clear()

    # Forget the stream, since a new sender follows; the counters are kept.
    def clear(self):
        self.changes += 1
        self._slots.clear()
        self.next = None  # the number the next step() decides, None before playout starts
        self.highest = None
        self.last = None  # the stream's last number, once the sender has announced it
        self.ended = False
        self._start.clear()
        self._late_run = 0
        self.delays.reset()
        if self.waits is not None:
            self.waits.reset()

    # Note the first number that the sender announced: packets missing before the first arrival count as lost.
    def announce(self, first):
        if self.next is None:
            self._start.announce(first)

    # Note the last number that the sender announced.
    def finish(self, last):
        self.last = last

    # Store one packet; return STORED, DUPLICATE, LATE or BEYOND.
    def insert(self, number, data, now_us):
        if self.next is not None and number < self.next:
            return self._too_late(number, data, now_us)
        if self.next is not None and number >= self.next + self._capacity:
            self.beyond += 1
            self._resync()
        self._start.arrived(number, now_us)
        if self.get(number):
            self.duplicate += 1
            return DUPLICATE
        if self.next is None and not self._start.takes(number):
            self.beyond += 1
            return BEYOND
        self._late_run = 0
        self.delays.arrival(number, now_us)
        if self.highest is not None and number < self.highest:
            self.reordered += 1
            if self.waits is not None:
                self.waits.late(self.delay_us(number, now_us))
        else:
            if self.waits is not None:
                newest = number if self.highest is None else self.highest
                missing = self._slots.missing(newest, number, LONGEST)
                self.waits.arrival(missing, self.delay_us(number, now_us))
            self.highest = number
        self.changes += 1
        self._slots.put(number, data)
        return STORED

    # Note that the sender sent nothing in the periods first..last, because of a pause of speech.
    def leave_out(self, first, last):
        first = max(first, last - self._capacity + 1)
        if self.next is not None:
            first = max(first, self.next)
        self.changes += 1
        self._slots.leave_out(first, last)

    # Return LATE, or reset the clock after a pause of the sender, which makes all packets after it late.
    def _too_late(self, number, data, now_us):
        if number > self.next - self._capacity and self.get(number):
            self.duplicate += 1
            return DUPLICATE
        self.late += 1
        self._late_run += 1
        self.delays.arrival(number, now_us)
        if self.waits is not None:
            self.waits.late(self.delay_us(number, now_us))
        if self._late_run < _LATE_RUN:
            return LATE
        self._resync()
        return self.insert(number, data, now_us)

    def _resync(self):
        last = self.last
        self.clear()
        self.last = last
        self.resyncs += 1

    # Return the number to be played in this period; None before the stream starts and after its end. Call once per
    # period: once started, every call advances by one.
    def step(self, now_us):
        if self.next is None:
            self.begin(now_us)
        if self.next is None:
            return None
        if self.last is not None and self.next > self.last:
            self.ended = True
            return None
        number = self.next
        self.next += 1
        return number

    # Skip the next number; return it, None before playout starts.
    def skip(self):
        number = self.next
        if number is not None:
            self.next = number + 1
        return number

    # Return True once playout has started: delay_us after the first number arrived, or some time after that.
    def begin(self, now_us, delay_us=None):
        self.next = self._start.begin(now_us, self.playout_us if delay_us is None else delay_us)
        return self.next is not None

    # Return how long ago the packet with this number would have arrived without jitter.
    def delay_us(self, number, now_us):
        return now_us - self.delays.base_us() - number * PACKET_US

    # Return the number of periods decided although the stream had ended before them.
    def beyond_last(self):
        if self.last is None or self.next is None:
            return 0
        return max(0, self.next - 1 - self.last)

    # Return the packet, empty in a period without speech, or None. It stays readable until its slot is needed again.
    def get(self, number):
        return self._slots.get(number)

    # Return the lowest number above this one that has a packet that is not empty, or None.
    def next_after(self, number):
        return None if self.highest is None else self._slots.first(number + 1, self.highest)

    # Return the packets between the playout point and the newest one, missing ones included.
    def depth(self):
        if self.next is None or self.highest is None:
            return 0
        return max(0, self.highest - self.next + 1)

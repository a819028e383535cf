# SPDX-License-Identifier: BSD-2-Clause
# The number with which playout begins and the time, by the clock of the packet that arrived first.
from dredge_device.units import PACKET_US


# capacity: numbers that are held at most before playout begins. Integer microseconds.
class StreamStart:
    def __init__(self, capacity):
        self._capacity = capacity
        self.clear()

    # Forget the stream.
    def clear(self):
        self._first = None  # lowest number seen or announced
        self._anchor = None  # number of the packet that set the clock
        self._anchor_us = 0  # arrival of that packet

    # Note the first number that the sender announced: packets missing before the first arrival count as lost.
    def announce(self, first):
        self._first = first

    # Note an arrival; the first one sets the clock.
    def arrived(self, number, now_us):
        if self._anchor is None:
            self._anchor = number
            self._anchor_us = now_us
            if self._first is None or not number - self._capacity < self._first <= number:
                self._first = number

    # Return True for a packet that can be held before playout begins; it may become the first one.
    def takes(self, number):
        if not self._anchor - self._capacity // 2 < number < self._first + self._capacity:
            return False
        self._first = min(self._first, number)
        return True

    # Return the number to begin with, delay_us after its arrival at the earliest; None before that.
    def begin(self, now_us, delay_us):
        if self._anchor is None:
            return None
        due_us = self._anchor_us + (self._first - self._anchor) * PACKET_US + delay_us
        if now_us < due_us:
            return None
        return min(self._first + (now_us - due_us) // PACKET_US, self._anchor)

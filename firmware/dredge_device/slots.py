# SPDX-License-Identifier: BSD-2-Clause
# The packets of a jitter buffer by their running sequence numbers, in a ring of fixed length.


class PacketSlots:
    def __init__(self, capacity):
        self._number = [None] * capacity  # type: list  # running sequence number in each slot
        self._data = [None] * capacity  # type: list

    def clear(self):
        for slot in range(len(self._number)):
            self._number[slot] = None
            self._data[slot] = None

    # Store data, the packet (empty for a period without speech), in place of an older number.
    def put(self, number, data):
        slot = number % len(self._number)
        self._number[slot] = number
        self._data[slot] = data

    # Mark the periods first..last as without speech, where there is no packet.
    def leave_out(self, first, last):
        for number in range(first, last + 1):
            if self.get(number) is None:
                self.put(number, b"")

    # Return the packet, empty in a period without speech, or None. It stays readable until its slot is needed again.
    def get(self, number):
        slot = number % len(self._number)
        return self._data[slot] if self._number[slot] == number else None

    # Return how many numbers before this one neither arrived nor were left out, back to the next that did, or to the
    # newest packet; at most `most`.
    def missing(self, newest, number, most):
        missing = 0
        while missing < most and number - 1 - missing > newest and self.get(number - 1 - missing) is None:
            missing += 1
        return missing

    # Return the lowest number from `number` to `last` that has a packet that is not empty, or None.
    def first(self, number, last):
        numbers = self._number
        capacity = len(numbers)
        for candidate in range(number, last + 1):
            if numbers[candidate % capacity] == candidate and self._data[candidate % capacity]:
                return candidate
        return None

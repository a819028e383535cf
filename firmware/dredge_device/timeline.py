# SPDX-License-Identifier: BSD-2-Clause
# What happened in every packet period, compact enough to be sent: source, delay, CPU time.
from array import array

SOURCES = ("silence", "opus", "lbrr", "dred", "plc", "conceal")
LETTERS = "_oldpc"  # the same, one letter per period


# The first limit periods of a session; later ones are only counted, in dropped.
class Timeline:
    def __init__(self, limit=6000):
        self._source = bytearray(limit)
        self._delay = array("H", bytes(2 * limit))  # ms
        self._cpu = array("H", bytes(2 * limit))  # us, at most 65535
        self._limit = limit
        self.count = 0
        self.dropped = 0
        self.first = None  # sequence number of the first period

    def add(self, number, source, delay_ms, cpu_us):
        if self.count >= self._limit:
            self.dropped += 1
            return
        if self.first is None:
            self.first = number
        self._source[self.count] = SOURCES.index(source)
        self._delay[self.count] = max(0, min(65535, int(delay_ms)))
        self._cpu[self.count] = max(0, min(65535, int(cpu_us)))
        self.count += 1

    # Periods start..stop as {"start", "first_packet", "sources", "delay_ms", "cpu_us", "dropped"};
    # delay_ms is run-length coded as [value, periods] pairs because it seldom changes.
    def part(self, start=0, stop=None):
        stop = self.count if stop is None else min(stop, self.count)
        return {
            "start": start,
            "first_packet": self.first,
            "sources": "".join(LETTERS[self._source[i]] for i in range(start, stop)),
            "delay_ms": _runs(self._delay, start, stop),
            "cpu_us": [self._cpu[i] for i in range(start, stop)],
            "dropped": self.dropped,
        }


def _runs(values, start, stop):
    runs = []  # type: list
    for index in range(start, stop):
        if runs and runs[-1][0] == values[index]:
            runs[-1][1] += 1
        else:
            runs.append([values[index], 1])
    return runs


# The other end: source names and delays per period from part().
def expand(part):
    names = [SOURCES[LETTERS.index(letter)] for letter in part["sources"]]
    delays = []
    for value, count in part["delay_ms"]:
        delays.extend([value] * count)
    return names, delays

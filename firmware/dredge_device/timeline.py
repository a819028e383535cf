# SPDX-License-Identifier: BSD-2-Clause
# The record of every packet period, compact enough to be sent: source, delay, CPU time, and the reason why DRED was not
# used where it was not.
from array import array

# dtx: the sender sent nothing in a pause of speech; skipped: never played (see playout.SKIP).
SOURCES = ("silence", "opus", "lbrr", "dred", "plc", "conceal", "dtx", "skipped")
LETTERS = "_oldpcnx"  # the same, one letter per period
REASONS = (
    "",
    "no later packet",
    "no DRED in packet",
    "damaged payload",
    "gap longer than redundancy",
    "concealment without DRED",
    "device at its load limit",
    "no model for version",
)
WHY = ".ndxgwlm"  # the same; ? is anything else


# The first limit periods of a session; later ones are only counted, in dropped.
class Timeline:
    def __init__(self, limit=6000):
        self._source = bytearray(limit)
        self._delay = array("H", bytes(2 * limit))  # ms
        self._cpu = array("H", bytes(2 * limit))  # us, at most 65535
        self._why = bytearray(limit)
        self._jumps = []  # [index, number] where the numbers do not go on by one
        self._next = None
        self._limit = limit
        self.count = 0
        self.dropped = 0
        self.first = None  # sequence number of the first period

    def add(self, number, source, delay_us, cpu_us, reason=""):
        if self.count >= self._limit:
            self.dropped += 1
            return
        if self.first is None:
            self.first = number
        elif number != self._next and len(self._jumps) < 100:
            self._jumps.append([self.count, number])
        self._next = number + 1
        if reason:
            reason = reason.rstrip(" 0123456789")  # reports append the version to it
            self._why[self.count] = REASONS.index(reason) if reason in REASONS else len(REASONS)
        self._source[self.count] = SOURCES.index(source)
        self._delay[self.count] = max(0, min(65535, delay_us // 1000))
        self._cpu[self.count] = max(0, min(65535, int(cpu_us)))
        self.count += 1

    # Return the periods start..stop as {"start", "first_packet", "sources", "reasons", "delay_ms", "cpu_us", "jumps",
    # "dropped"}; delay_ms is run-length coded as [value, periods] pairs because it seldom changes.
    def part(self, start=0, stop=None):
        stop = self.count if stop is None else min(stop, self.count)
        return {
            "start": start,
            "first_packet": self.first,
            "sources": "".join(LETTERS[self._source[i]] for i in range(start, stop)),
            "reasons": "".join((WHY + "?")[self._why[i]] for i in range(start, stop)),
            "jumps": [list(jump) for jump in self._jumps if start <= jump[0] < stop],
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


# Return the source names and delays per period of the dict of part().
def expand(part):
    names = [SOURCES[LETTERS.index(letter)] for letter in part["sources"]]
    delays = []
    for value, count in part["delay_ms"]:
        delays.extend([value] * count)
    return names, delays


# Return the packet number of every period in the dict of part().
def numbers(part):
    jumps = {index: number for index, number in part.get("jumps", ())}
    number = part["first_packet"]
    out = []
    for index in range(part.get("start", 0), part.get("start", 0) + len(part["sources"])):
        number = jumps.get(index, number)
        out.append(number)
        number += 1
    return out

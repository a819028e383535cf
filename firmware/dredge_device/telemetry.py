# SPDX-License-Identifier: BSD-2-Clause
# Counters of the link and of the recovery.
from dredge_device.units import RTP_CLOCK_HZ


# Named counters. The names are fixed at the start, so that a misspelt name raises an error.
class Counters:
    def __init__(self, names):
        self._values = {name: 0 for name in names}

    def add(self, name, amount=1):
        if name not in self._values:
            raise ValueError("no counter is named '%s'" % name)
        self._values[name] += amount

    def get(self, name):
        return self._values[name]

    def snapshot(self):
        return dict(self._values)


# Lengths of runs of lost packets. A run is counted as a burst only when a packet ends it, because before that it is
# unknown whether those packets were ever sent.
class Bursts:
    def __init__(self, longest=64):
        self._counts = [0] * (longest + 1)  # the last one holds everything longer
        self._run = 0
        self.lost = 0
        self.longest = 0

    def step(self, lost):
        if lost:
            self._run += 1
            return
        self.close()

    # Count the open run as a loss, because the stream is known to go on or to have ended here.
    def close(self):
        if self._run:
            self._counts[min(self._run, len(self._counts) - 1)] += 1
            self.lost += self._run
            self.longest = max(self.longest, self._run)
            self._run = 0

    def open(self):
        return self._run

    # The last periods of the open run (all of them by default) turned out to be no loss, because
    # the stream had ended before them. Returns how many were taken back.
    def forget(self, periods=None):
        back = self._run if periods is None else min(periods, self._run)
        self._run -= back
        return back

    # Return {"length": bursts}; the key of the last class has a plus sign.
    def histogram(self):
        last = len(self._counts) - 1
        return {
            str(i) if i < last else str(i) + "+": self._counts[i]
            for i in range(1, last + 1)
            if self._counts[i]
        }

    def mean(self):
        bursts = sum(self._counts)
        return self.lost / bursts if bursts else 0.0


# Which sequence numbers of one stream arrived: expected = arrived + missing, exactly, whatever was
# late, reordered or repeated. Numbers are running ones (rtp.StreamTracker).
class Arrivals:
    def __init__(self, window=4096):
        self._window = window
        self._seen = bytearray(window // 8)
        self._top = None  # highest number so far
        self._low = None  # lowest number counted as sent
        self._before = 0  # expected of streams that are over
        self.arrived = 0

    # Begin a new stream; the counts of the old one are kept.
    def restart(self):
        self._before = self.expected()
        self._top = None
        self._low = None

    # Note that the stream began with this number, or is known to reach up to it.
    def announce(self, number):
        if self._low is None or number < self._low:
            self._low = number

    def reached(self, number):
        if self._top is not None:
            self._move_to(number)

    # Note an arrival; return True when the number had not arrived before; too old ones count as repeated.
    def add(self, number):
        if self._top is None:
            self._top = number
            for index in range(len(self._seen)):
                self._seen[index] = 0
        self._move_to(number)
        self.announce(number)
        if number + self._window <= max(number, self._top):
            return False
        index = number % self._window
        mask = 1 << (index & 7)
        if self._seen[index >> 3] & mask:
            return False
        self._seen[index >> 3] |= mask
        self.arrived += 1
        return True

    def _move_to(self, number):
        top = number if self._top is None else self._top
        fresh = max(top + 1, number - self._window + 1)
        while fresh <= number:
            index = fresh % self._window
            if index & 7 == 0 and fresh + 7 <= number:
                self._seen[index >> 3] = 0
                fresh += 8
            else:
                self._seen[index >> 3] &= ~(1 << (index & 7)) & 0xFF
                fresh += 1
        self._top = max(top, number)

    # Return the number of packets that the sender must have sent.
    def expected(self):
        low = self._low
        if self._top is None or low is None:
            return self._before
        return self._before + self._top - low + 1

    def missing(self):
        return self.expected() - self.arrived


# Interarrival jitter in RTP clock units (RFC 3550 section 6.4.1 and appendix A.8).
class Jitter:
    def __init__(self, clock_hz=RTP_CLOCK_HZ):
        self._clock_khz = clock_hz // 1000
        self._transit = None
        self._scaled = 0  # sixteenths

    def arrival(self, timestamp, now_us):
        transit = (now_us * self._clock_khz // 1000 - timestamp) & 0xFFFFFFFF
        if self._transit is not None:
            delta = (transit - self._transit) & 0xFFFFFFFF
            if delta & 0x80000000:
                delta = 0x100000000 - delta
            self._scaled += delta - ((self._scaled + 8) >> 4)
        self._transit = transit

    def reset(self):
        self._transit = None
        self._scaled = 0

    def units(self):
        return self._scaled >> 4

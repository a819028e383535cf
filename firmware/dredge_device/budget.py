# SPDX-License-Identifier: BSD-2-Clause
# CPU time of frames in histograms of fixed size, without allocation per frame.
from array import array

from dredge_device.units import PACKET_US

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


_SUB = const(16)  # bins per octave: an edge is at most 6.25 % above the value
_OCTAVES = const(17)  # up to 2 s
_BINS = const(_SUB * (_OCTAVES + 1))


# Return the bin of a value in microseconds: one bin per microsecond below 16, then 16 per octave.
def bin_of(us):
    if us < _SUB:
        return us if us > 0 else 0
    shift = 0
    while us >> shift >= 512 * _SUB:  # few steps, also for a delay of a second
        shift += 8
    if us >> shift >= 32 * _SUB:
        shift += 4
    while us >> shift >= 2 * _SUB:
        shift += 1
    index = _SUB * shift + (us >> shift)
    return index if index < _BINS else _BINS - 1


# Return the largest value that falls into a bin.
def edge_of(index):
    if index < 2 * _SUB:
        return index
    shift = index // _SUB - 1
    return (((index % _SUB) + _SUB + 1) << shift) - 1


# A histogram of microseconds; dredge_kernels.histogram is the same, compiled.
class Histogram:
    def __init__(self):
        self._bins = array("I", bytes(4 * _BINS))
        self.count = 0
        self.total = 0
        self.max = 0

    def add(self, us):
        self._bins[bin_of(us)] += 1
        self.count += 1
        self.total += us
        if us > self.max:
            self.max = us

    # Return for each of these rising shares the smallest bin edge that at least permille/1000 of the values do not
    # exceed; 0 when empty.
    def percentiles(self, *permilles):
        out = []
        index = seen = 0
        for permille in permilles:
            need = (self.count * permille + 999) // 1000
            while seen < need:
                octave = need if index % _SUB else sum(self._bins[index : index + _SUB])
                if seen + octave < need:
                    seen += octave
                    index += _SUB
                else:
                    seen += self._bins[index]
                    index += 1
            out.append(min(edge_of(index - 1), self.max) if index else 0)
        return out

    # Return [[edge in us, count], ...] of the bins that are not empty, lowest first.
    def bins(self):
        return [[edge_of(i), count] for i, count in enumerate(self._bins) if count]


# Return a histogram's summary in six figures.
def summary(histogram):
    p50, p95, p99 = histogram.percentiles(500, 950, 990)
    return {
        "frames": histogram.count,
        "mean_us": histogram.total // histogram.count if histogram.count else 0,
        "p50_us": p50,
        "p95_us": p95,
        "p99_us": p99,
        "max_us": histogram.max,
    }


# One histogram per stage and one for the whole frame. The percentiles of a stage are over the frames in which it ran,
# so its zeros are not entered. make: a class like Histogram.
class Budget:
    def __init__(self, stages, period_us=PACKET_US, make=Histogram):
        self.stages = stages
        self.period_us = period_us
        self.total = make()
        self.wall = make()
        self.late = 0  # frames whose CPU time was longer than the period
        self._histograms = [make() for _ in stages]

    # Enter a frame. times: CPU microseconds per stage, in the order of stages; whole: of the frame; wall: time that the
    # frame took by the monotonic clock.
    def frame(self, whole, times, wall=None):
        self.total.add(whole)
        if wall is not None:
            self.wall.add(wall)
        if whole > self.period_us:
            self.late += 1
        for index in range(len(times)):  # an iterator would take heap for every frame
            if times[index] > 0:
                self._histograms[index].add(times[index])

    def report(self):
        out = summary(self.total)
        out["period_us"] = self.period_us
        out["late_frames"] = self.late
        out["p99_pct"] = round(100 * out["p99_us"] / self.period_us, 2)
        out["wall"] = summary(self.wall)
        out["histogram"] = self.total.bins()
        out["stages"] = {
            name: summary(self._histograms[i]) for i, name in enumerate(self.stages)
        }
        return out

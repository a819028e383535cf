# SPDX-License-Identifier: BSD-2-Clause
"""Histograms of microseconds: dredge_device.budget.Histogram, compiled.

A value is entered several times in every period; nothing is allocated for it.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

cdef enum:
    SUB = 16                   # bins per octave
    OCTAVES = 17               # above the first 16 values, which have a bin each
    BINS = SUB * (OCTAVES + 1)


cdef inline int bin_of(int64_t us) noexcept nogil:
    """The bin of a value; the last one holds all that is larger."""
    cdef int shift = 0
    if us < SUB:
        return <int>us if us > 0 else 0
    while us >> shift >= 2 * SUB and shift < OCTAVES:
        shift += 1
    us = SUB * shift + (us >> shift)
    return <int>us if us < BINS else BINS - 1


cdef inline int64_t edge_of(int index) noexcept nogil:
    """The largest value that falls into a bin."""
    if index < 2 * SUB:
        return index
    return (<int64_t>(index % SUB + SUB + 1) << (index // SUB - 1)) - 1


cdef class Histogram:
    """16 bins per octave up to 2 s: an edge is at most 6.25 % above the values in its bin."""

    cdef uint32_t _bins[BINS]
    cdef readonly int64_t count
    cdef readonly int64_t total
    cdef readonly int64_t max

    def __cinit__(self):
        memset(self._bins, 0, sizeof(self._bins))

    def add(self, int64_t us):
        """Enter one value."""
        self._bins[bin_of(us)] += 1
        self.count += 1
        self.total += us
        if us > self.max:
            self.max = us

    def percentiles(self, *permilles):
        """Of each of these rising shares: the smallest edge that at least permille/1000 of the values do not exceed."""
        cdef int64_t need, seen = 0
        cdef int index = 0
        cdef list out = []
        for permille in permilles:
            need = (self.count * <int64_t>permille + 999) // 1000
            while seen < need:
                seen += self._bins[index]
                index += 1
            out.append(min(edge_of(index - 1), self.max) if index else 0)
        return out

    def bins(self):
        """[[edge in microseconds, count], ...] of the bins that are not empty, lowest first."""
        cdef int index
        cdef list out = []
        for index in range(BINS):
            if self._bins[index]:
                out.append([edge_of(index), self._bins[index]])
        return out

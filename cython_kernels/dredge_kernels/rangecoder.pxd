# SPDX-License-Identifier: BSD-2-Clause
"""The Python faces of the range coder, for kernels that code into them."""

from dredge_kernels.rangecore cimport RangeDec, RangeEnc


cdef class RangeEncoder:
    cdef RangeEnc state        # borrows `buffer`
    cdef bytearray buffer      # the output; never resized
    cdef bint finished         # finish() was called: the stream is closed
    cdef int must_be_open(self) except -1


cdef class RangeDecoder:
    cdef RangeDec state        # borrows `data`
    cdef bytes data            # the input, kept alive


cdef class RangeState:
    cdef RangeEnc state        # what the owner's registers were
    cdef RangeEncoder owner    # the only encoder it fits

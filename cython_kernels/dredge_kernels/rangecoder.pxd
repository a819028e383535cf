# SPDX-License-Identifier: BSD-2-Clause
"""The Python classes of the range coder, declared for the kernels that code into them."""

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
    cdef RangeEnc state        # saved registers of the owner
    cdef RangeEncoder owner    # the only encoder that may restore it

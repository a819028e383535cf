# SPDX-License-Identifier: BSD-2-Clause
"""C interface of the Laplace symbols: r and p0 are the bytes of a QuantTables row."""

from libc.stdint cimport int32_t, uint8_t

from dredge_kernels.rangecore cimport RangeDec, RangeEnc

cdef void put_laplace(RangeEnc *e, int32_t value, uint8_t r, uint8_t p0) noexcept nogil
cdef int32_t get_laplace(RangeDec *d, uint8_t r, uint8_t p0) noexcept nogil
cdef bint always_zero(uint8_t r, uint8_t p0) noexcept nogil

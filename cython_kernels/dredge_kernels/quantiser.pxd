# SPDX-License-Identifier: BSD-2-Clause
"""C interface of the quantiser. A table t is uint8 [4, 16, dim]: scale, dead zone, r, p0 (QuantTables)."""

from libc.stdint cimport int32_t, uint8_t

from dredge_kernels.payloadheader cimport Header
from dredge_kernels.rangecore cimport RangeDec, RangeEnc

cdef int level_at(const Header *h, int index) noexcept nogil
cdef void quantise(const float *x, const uint8_t[:, :, ::1] t, int level, int32_t *out) noexcept nogil
cdef void put_vector(RangeEnc *e, const int32_t *q, const uint8_t[:, :, ::1] t, int level) noexcept nogil
cdef void get_vector(RangeDec *d, int32_t *q, const uint8_t[:, :, ::1] t, int level) noexcept nogil
cdef void dequantise(const int32_t *q, const uint8_t[:, :, ::1] t, int level, float *x) noexcept nogil

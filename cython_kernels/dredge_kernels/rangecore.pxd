# SPDX-License-Identifier: BSD-2-Clause
"""C interface of the range coder: plain structs, no Python objects, no allocation.

A struct borrows its buffer and may be copied at any time: a copy of the encoder, put back later,
undoes everything coded in between, because bytes already in the buffer are never changed.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t


cdef struct RangeEnc:
    uint8_t *buf       # borrowed output, `size` bytes
    uint32_t size      # capacity of buf in bytes
    uint32_t offs      # bytes written, [0, size]
    uint32_t low       # lower end of the current interval below bit 31; bit 31 is a carry to come
    uint32_t rng       # width of the current interval, (2**23, 2**31]
    int32_t held       # last byte, kept back until no carry can reach it; -1 before the first
    uint32_t pending   # 0xFF bytes behind `held`: a carry would ripple through them
    int32_t bits       # bits shifted out so far, plus the 33 of the register
    bint overflow      # a byte did not fit into buf


cdef struct RangeDec:
    const uint8_t *buf # borrowed input, `size` bytes; beyond them the stream is all zeros
    uint32_t size      # length of buf in bytes
    uint32_t offs      # bytes read, [0, size]
    uint32_t gap       # top of the interval minus the code word minus 1, [0, rng)
    uint32_t rng       # width of the current interval, (2**23, 2**31]
    uint32_t last      # byte read last: its lowest bit is not yet in `gap`
    int32_t bits       # bits consumed so far, counted as the encoder counts them


cdef void enc_start(RangeEnc *e, uint8_t *buf, uint32_t size) noexcept nogil
cdef void enc_span(RangeEnc *e, uint32_t first, uint32_t end, uint32_t total) noexcept nogil
cdef void enc_icdf(RangeEnc *e, int symbol, const uint16_t *icdf, int precision) noexcept nogil
cdef int32_t enc_tell(const RangeEnc *e) noexcept nogil
cdef uint32_t enc_finish(RangeEnc *e) noexcept nogil

cdef void dec_start(RangeDec *d, const uint8_t *buf, uint32_t size) noexcept nogil
cdef uint32_t dec_peek(const RangeDec *d, uint32_t total) noexcept nogil
cdef void dec_span(RangeDec *d, uint32_t first, uint32_t end, uint32_t total) noexcept nogil
cdef uint32_t dec_uniform(RangeDec *d, uint32_t total) noexcept nogil
cdef int dec_icdf(RangeDec *d, const uint16_t *icdf, int precision) noexcept nogil
cdef int32_t dec_tell(const RangeDec *d) noexcept nogil

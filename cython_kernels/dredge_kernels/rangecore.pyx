# SPDX-License-Identifier: BSD-2-Clause
"""Range coder of Opus: RFC 6716 section 4.1 (decoder) and section 5.1 (encoder).

32-bit registers, renormalised by whole bytes. Only what DRED needs: symbols given as a span of a
total of at most 2**16, and symbols given by an inverse cumulative distribution whose total is a
power of two. There are no raw bits at the end of the buffer.
"""

from libc.string cimport memset

cdef extern from *:
    """
    #define BYTE_BITS 8
    #define TOP_SHIFT 23           /* a full byte leaves the register above this bit */
    #define SPARE_BITS 7           /* bits of the first byte that the decoder starts with */
    #define TOP 0x80000000u
    #define BOTTOM 0x00800000u
    """
    const int BYTE_BITS, TOP_SHIFT, SPARE_BITS
    const uint32_t TOP, BOTTOM


cdef inline int width(uint32_t x) noexcept nogil:
    """Number of bits needed for x; 0 for 0."""
    cdef int n = 0
    while x:
        n += 1
        x >>= 1
    return n


# --- encoder ---

cdef inline void put(RangeEnc *e, uint32_t byte) noexcept nogil:
    if e.offs >= e.size:
        e.overflow = True
        return
    e.buf[e.offs] = byte & 0xFF
    e.offs += 1


cdef void shift_out(RangeEnc *e, uint32_t nine) noexcept nogil:
    """Take 9 bits: a byte and the carry that goes into the bytes before it."""
    cdef uint32_t carry = nine >> BYTE_BITS
    if nine == 0xFF:           # the carry of a later byte could still pass through this one
        e.pending += 1
        return
    if e.held >= 0:
        put(e, <uint32_t>e.held + carry)
    while e.pending > 0:
        put(e, 0xFF + carry)
        e.pending -= 1
    e.held = nine & 0xFF


cdef inline void enc_normalise(RangeEnc *e) noexcept nogil:
    while e.rng <= BOTTOM:
        shift_out(e, e.low >> TOP_SHIFT)
        e.low = (e.low << BYTE_BITS) & (TOP - 1)
        e.rng <<= BYTE_BITS
        e.bits += BYTE_BITS


cdef void enc_start(RangeEnc *e, uint8_t *buf, uint32_t size) noexcept nogil:
    """Begin a stream in buf."""
    e.buf = buf
    e.size = size
    e.offs = 0
    e.low = 0
    e.rng = TOP
    e.held = -1
    e.pending = 0
    e.bits = 33
    e.overflow = False


cdef void enc_span(RangeEnc *e, uint32_t first, uint32_t end, uint32_t total) noexcept nogil:
    """Code the symbol that owns [first, end) of [0, total); first < end <= total <= 2**16."""
    cdef uint32_t unit = e.rng // total
    if first > 0:              # the first symbol also gets what the division left over
        e.low += e.rng - unit * (total - first)
        e.rng = unit * (end - first)
    else:
        e.rng -= unit * (total - end)
    enc_normalise(e)


cdef void enc_icdf(RangeEnc *e, int symbol, const uint16_t *icdf, int precision) noexcept nogil:
    """Code a symbol; icdf[k] = 2**precision times the probability of all symbols above k."""
    cdef uint32_t unit = e.rng >> precision
    if symbol > 0:
        e.low += e.rng - unit * icdf[symbol - 1]
        e.rng = unit * <uint32_t>(icdf[symbol - 1] - icdf[symbol])
    else:
        e.rng -= unit * icdf[symbol]
    enc_normalise(e)


cdef int32_t enc_tell(const RangeEnc *e) noexcept nogil:
    """Bits used so far, rounded up; the decoder counts the same after the same symbols."""
    return e.bits - width(e.rng)


cdef uint32_t enc_finish(RangeEnc *e) noexcept nogil:
    """Write the fewest bits that pin the interval down, zero the rest; return the bytes written."""
    cdef int left = 32 - width(e.rng)
    cdef uint32_t mask = (TOP - 1) >> left
    cdef uint32_t end = (e.low + mask) & ~mask
    if (end | mask) >= e.low + e.rng:
        left += 1
        mask >>= 1
        end = (e.low + mask) & ~mask
    while left > 0:
        shift_out(e, end >> TOP_SHIFT)
        end = (end << BYTE_BITS) & (TOP - 1)
        left -= BYTE_BITS
    if e.held >= 0 or e.pending > 0:
        shift_out(e, 0)        # writes the byte that was held back; the zero itself is not written
        e.held = -1
    if e.offs < e.size:
        memset(e.buf + e.offs, 0, e.size - e.offs)
    return e.offs


# --- decoder ---

cdef inline uint32_t take(RangeDec *d) noexcept nogil:
    if d.offs >= d.size:
        return 0
    d.offs += 1
    return d.buf[d.offs - 1]


cdef inline void dec_normalise(RangeDec *d) noexcept nogil:
    cdef uint32_t two
    while d.rng <= BOTTOM:
        d.bits += BYTE_BITS
        d.rng <<= BYTE_BITS
        two = d.last << BYTE_BITS
        d.last = take(d)
        two = (two | d.last) >> (BYTE_BITS - SPARE_BITS)
        d.gap = ((d.gap << BYTE_BITS) + (0xFF & ~two)) & (TOP - 1)


cdef void dec_start(RangeDec *d, const uint8_t *buf, uint32_t size) noexcept nogil:
    """Begin reading a stream from buf."""
    d.buf = buf
    d.size = size
    d.offs = 0
    d.bits = 9                 # 33 minus the three bytes that the normalisation below reads
    d.rng = 1 << SPARE_BITS
    d.last = take(d)
    d.gap = d.rng - 1 - (d.last >> (BYTE_BITS - SPARE_BITS))
    dec_normalise(d)


cdef uint32_t dec_peek(const RangeDec *d, uint32_t total) noexcept nogil:
    """Where in [0, total) the code word lies; dec_span must follow with the symbol that owns it."""
    cdef uint32_t above = d.gap // (d.rng // total)  # whole units between the code word and the top
    return total - 1 - (above if above < total else total - 1)


cdef void dec_span(RangeDec *d, uint32_t first, uint32_t end, uint32_t total) noexcept nogil:
    """Take the symbol that owns [first, end) of [0, total), as enc_span coded it."""
    cdef uint32_t unit = d.rng // total
    cdef uint32_t cut = unit * (total - end)
    d.gap -= cut
    d.rng = unit * (end - first) if first > 0 else d.rng - cut
    dec_normalise(d)


cdef uint32_t dec_uniform(RangeDec *d, uint32_t total) noexcept nogil:
    """Read one of `total` equally likely values; 1 <= total <= 2**16."""
    cdef uint32_t value = dec_peek(d, total)
    dec_span(d, value, value + 1, total)
    return value


cdef int dec_icdf(RangeDec *d, const uint16_t *icdf, int precision) noexcept nogil:
    """Read a symbol by its inverse cumulative distribution, which must end with 0."""
    cdef uint32_t unit = d.rng >> precision
    cdef uint32_t upper = d.rng
    cdef int symbol = 0
    cdef uint32_t lower = unit * icdf[0]
    while d.gap < lower:
        symbol += 1
        upper = lower
        lower = unit * icdf[symbol]
    d.gap -= lower
    d.rng = upper - lower
    dec_normalise(d)
    return symbol


cdef int32_t dec_tell(const RangeDec *d) noexcept nogil:
    """Bits used so far, rounded up; may exceed the buffer when a stream is cut short."""
    return d.bits - width(d.rng)

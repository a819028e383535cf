# SPDX-License-Identifier: BSD-2-Clause
"""Laplace-distributed integers as DRED codes them: zero and sign, then a magnitude in base-7 escapes.

p0/256 is the probability of zero, r/256 the decay from one magnitude to the next. The inverse CDFs
have 15-bit precision. A dimension with r = 0 or p0 = 255 is known to be zero and costs nothing.
"""

from libc.stdint cimport uint16_t

from dredge_kernels.rangecoder cimport RangeDecoder, RangeEncoder
from dredge_kernels.rangecore cimport dec_icdf, enc_icdf

cdef enum:
    PRECISION = 15
    ONE = 32768
    ESCAPE = 7                 # this symbol adds 7 to the magnitude and another symbol follows
    MAX_VALUE = 32767


cdef bint always_zero(uint8_t r, uint8_t p0) noexcept nogil:
    """Whether such a value is not coded at all."""
    return r == 0 or p0 == 255


cdef void sign_icdf(uint8_t p0, uint16_t *icdf) noexcept nogil:
    """Zero, plus, minus."""
    cdef int other = ONE - (p0 << 7)
    icdf[0] = other
    icdf[1] = other // 2
    icdf[2] = 0


cdef void magnitude_icdf(uint8_t r, uint16_t *icdf) noexcept nogil:
    """Geometric decay over 0 ... 6; the floors keep every symbol codable, however unlikely."""
    cdef int decay = r << 7, k
    icdf[0] = decay if decay > ESCAPE else ESCAPE
    for k in range(1, ESCAPE):
        icdf[k] = (icdf[k - 1] * decay) >> PRECISION
        if icdf[k] < ESCAPE - k:
            icdf[k] = ESCAPE - k
    icdf[ESCAPE] = 0


cdef void put_laplace(RangeEnc *e, int32_t value, uint8_t r, uint8_t p0) noexcept nogil:
    """Code a value; for a dimension that is always zero, nothing."""
    cdef uint16_t[8] icdf
    cdef int32_t rest
    if always_zero(r, p0):
        return
    sign_icdf(p0, icdf)
    enc_icdf(e, 0 if value == 0 else (1 if value > 0 else 2), icdf, PRECISION)
    if value == 0:
        return
    magnitude_icdf(r, icdf)
    rest = (value if value > 0 else -value) - 1
    while rest >= ESCAPE:
        enc_icdf(e, ESCAPE, icdf, PRECISION)
        rest -= ESCAPE
    enc_icdf(e, rest, icdf, PRECISION)


cdef int32_t get_laplace(RangeDec *d, uint8_t r, uint8_t p0) noexcept nogil:
    """Read a value. Ends on any input: behind the end of the data every symbol reads as 0."""
    cdef uint16_t[8] icdf
    cdef int32_t magnitude = 1
    cdef int sign, symbol = ESCAPE
    if always_zero(r, p0):
        return 0
    sign_icdf(p0, icdf)
    sign = dec_icdf(d, icdf, PRECISION)
    if sign == 0:
        return 0
    magnitude_icdf(r, icdf)
    while symbol == ESCAPE:
        symbol = dec_icdf(d, icdf, PRECISION)
        magnitude += symbol
    return magnitude if sign == 1 else -magnitude


def check_tables(r, p0):
    """ValueError unless r and p0 can be coded: r in 0 to 255, p0 in 1 to 255."""
    if not 0 <= r <= 255:
        raise ValueError(f"r: expected 0 to 255, got {r}")
    if not 1 <= p0 <= 255:
        raise ValueError(f"p0: expected 1 to 255, got {p0}")


def encode_laplace(RangeEncoder encoder not None, value, r, p0):
    """Code one integer of at most 32767 in magnitude; it must be 0 where nothing is coded."""
    check_tables(r, p0)
    encoder.must_be_open()
    if abs(value) > (0 if always_zero(r, p0) else MAX_VALUE):
        raise ValueError(f"value: expected one that r={r}, p0={p0} can code, got {value}")
    put_laplace(&encoder.state, value, r, p0)


def decode_laplace(RangeDecoder decoder not None, r, p0):
    """Read one integer."""
    check_tables(r, p0)
    return get_laplace(&decoder.state, r, p0)

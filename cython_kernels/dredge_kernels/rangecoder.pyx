# SPDX-License-Identifier: BSD-2-Clause
"""Range coder of Opus as Python objects (RFC 6716 sections 4.1 and 5.1); the loops use rangecore."""

from libc.stdint cimport uint8_t, uint16_t

from dredge_kernels.rangecore cimport (
    dec_icdf, dec_peek, dec_span, dec_start, dec_tell, dec_uniform, enc_finish, enc_icdf, enc_span,
    enc_start, enc_tell,
)

MAX_TOTAL = 65536
MAX_ICDF = 64


cdef checked_total(total):
    if not 1 <= total <= MAX_TOTAL:
        raise ValueError(f"total: expected 1 to {MAX_TOTAL}, got {total}")
    return total


cdef int load_icdf(icdf, uint16_t *table) except -1:
    """Check an inverse cumulative distribution and copy it; returns the number of symbols."""
    cdef int n = len(icdf), k
    if not 1 <= n <= MAX_ICDF:
        raise ValueError(f"icdf: expected 1 to {MAX_ICDF} values, got {n}")
    for k in range(n):
        if not 0 <= icdf[k] <= 32768 or (k > 0 and icdf[k] > icdf[k - 1]):
            raise ValueError(f"icdf[{k}]: expected falling values from 32768 to 0, got {icdf[k]}")
        table[k] = icdf[k]
    if table[n - 1] != 0:
        raise ValueError(f"icdf[{n - 1}]: expected 0 at the end, got {icdf[n - 1]}")
    return n


cdef class RangeState:
    """The saved state of a RangeEncoder, made by its save()."""


cdef class RangeEncoder:
    """Range encoder into a buffer of `size` bytes."""

    def __cinit__(self, size):
        if not 1 <= size <= 1 << 20:
            raise ValueError(f"size: expected 1 to {1 << 20} bytes, got {size}")
        self.buffer = bytearray(size)
        enc_start(&self.state, <uint8_t *><char *>self.buffer, size)

    cdef int must_be_open(self) except -1:
        if self.finished:
            raise ValueError("encoder: expected an open stream, got a finished one")
        return 0

    def encode_uniform(self, value, total):
        """Code one of `total` equally likely values."""
        self.encode_span(value, value + 1, total)

    def encode_span(self, first, end, total):
        """Code the symbol that owns [first, end) of [0, total); ValueError for an empty span."""
        self.must_be_open()
        checked_total(total)
        if not 0 <= first < end <= total:
            raise ValueError(f"span: expected 0 <= first < end <= {total}, got [{first}, {end})")
        enc_span(&self.state, first, end, total)

    def encode_icdf(self, symbol, icdf):
        """Code a symbol by its inverse CDF of 15-bit precision; ValueError for a symbol of probability 0."""
        cdef uint16_t[64] table
        self.must_be_open()
        cdef int n = load_icdf(icdf, table)
        if not 0 <= symbol < n:
            raise ValueError(f"symbol: expected 0 to {n - 1}, got {symbol}")
        if table[symbol] == (table[symbol - 1] if symbol > 0 else 32768):
            raise ValueError(f"symbol: expected one with a probability, got {symbol}")
        enc_icdf(&self.state, symbol, table, 15)

    def tell(self):
        """Bits used so far, rounded up (1 for an empty stream)."""
        return enc_tell(&self.state)

    def save(self):
        """Return the state of the coder for restore()."""
        saved = RangeState()
        saved.owner = self
        saved.state = self.state
        return saved

    def restore(self, RangeState saved not None):
        """Undo everything coded since saved = save(); ValueError for another encoder's state."""
        self.must_be_open()
        if saved.owner is not self:
            raise ValueError("saved: expected a state of this encoder, got one of another")
        self.state = saved.state

    def state_dict(self):
        """Registers by name, as in RFC 6716: low (val), rng, held (rem), pending (ext), offs, bits."""
        s = self.state
        return {"low": s.low, "rng": s.rng, "held": s.held, "pending": s.pending, "offs": s.offs,
                "bits": s.bits, "overflow": bool(s.overflow)}

    @property
    def overflow(self):
        """True once a byte did not fit; the stream is then useless."""
        return bool(self.state.overflow)

    def finish(self):
        """Close the stream: the bytes that pin it down, without trailing zeros of the buffer.

        A reader sees zeros behind the end, so the result may be padded with zero bytes.
        OverflowError when the buffer was too small.
        """
        self.must_be_open()
        cdef int n = enc_finish(&self.state)
        self.finished = True
        if self.state.overflow:
            raise OverflowError(f"buffer: expected room for the stream, got {len(self.buffer)} bytes")
        return bytes(self.buffer[:n])


cdef class RangeDecoder:
    """Range decoder over bytes; behind their end it reads zeros."""

    def __cinit__(self, data):
        self.data = bytes(data)
        dec_start(&self.state, <const uint8_t *><const char *>self.data, len(self.data))

    def decode_uniform(self, total):
        """One of `total` equally likely values."""
        return dec_uniform(&self.state, checked_total(total))

    def peek(self, total):
        """Where in [0, total) the code word lies; follow with take()."""
        return dec_peek(&self.state, checked_total(total))

    def take(self, first, end, total):
        """Take the symbol that owns [first, end) of [0, total), which must hold peek(total)."""
        at = self.peek(total)
        if not 0 <= first <= at < end <= total:
            raise ValueError(f"span: expected one around {at} of {total}, got [{first}, {end})")
        dec_span(&self.state, first, end, total)

    def decode_icdf(self, icdf):
        """A symbol by its inverse CDF of 15-bit precision."""
        cdef uint16_t[64] table
        load_icdf(icdf, table)
        return dec_icdf(&self.state, table, 15)

    def tell(self):
        """Bits used so far, rounded up; more than 8 * len(data) when the stream was cut short."""
        return dec_tell(&self.state)

    def state_dict(self):
        """Registers by name, as in RFC 6716: gap (val), rng, last (rem), offs, bits."""
        s = self.state
        return {"gap": s.gap, "rng": s.rng, "last": s.last, "offs": s.offs, "bits": s.bits}

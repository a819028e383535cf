# SPDX-License-Identifier: BSD-2-Clause
"""Header of a DRED payload: quantiser schedule, time offset and, in our version, the latent count."""

from libc.stdint cimport uint8_t

from dredge_kernels.rangecore cimport (
    dec_peek, dec_span, dec_start, dec_tell, dec_uniform, enc_span,
)

from dredge_kernels.decoded import PayloadHeader
from dredge_kernels.tables import DREDGE, check_version

cdef enum:
    COARSEST = 15
    OFFSET_BASE = 16           # offset symbols count back from here
    OFFSET_STEP = 32
    EXTRA_VALUES = 256
    COUNT_VALUES = 32

MAX_OFFSET = OFFSET_BASE
MIN_OFFSET = OFFSET_BASE - (OFFSET_STEP * EXTRA_VALUES - 1)
MAX_LATENTS = 26
MAX_PAYLOAD = 65535


cdef bint has_qmax(int q0, int dq) noexcept nogil:
    """Whether the coarsest level is coded: only where the levels rise and have room to."""
    return q0 < COARSEST - 1 and dq > 0


cdef void put_header(RangeEnc *e, const Header *h) noexcept nogil:
    """Code the header; its fields must be in range."""
    cdef int back = OFFSET_BASE - h.offset
    cdef int room = COARSEST - 1 - h.q0
    enc_span(e, h.q0, h.q0 + 1, 16)
    enc_span(e, h.dq, h.dq + 1, 8)
    if back < OFFSET_STEP:
        enc_span(e, 0, 1, 2)
    else:
        enc_span(e, 1, 2, 2)
        enc_span(e, back // OFFSET_STEP, back // OFFSET_STEP + 1, EXTRA_VALUES)
    enc_span(e, back % OFFSET_STEP, back % OFFSET_STEP + 1, OFFSET_STEP)
    if has_qmax(h.q0, h.dq):   # one bit says "15", else the value above q0
        if h.qmax == COARSEST:
            enc_span(e, 0, room, 2 * room)
        else:
            enc_span(e, room + h.qmax - h.q0 - 1, room + h.qmax - h.q0, 2 * room)
    if h.count >= 0:
        enc_span(e, h.count, h.count + 1, COUNT_VALUES)


cdef void get_header(RangeDec *d, Header *h, bint counted) noexcept nogil:
    """Read a header; any input gives fields in range, but a count of up to 31."""
    cdef int room, at, extra = 0
    h.q0 = dec_uniform(d, 16)
    h.dq = dec_uniform(d, 8)
    if dec_uniform(d, 2):
        extra = dec_uniform(d, EXTRA_VALUES)
    h.offset = OFFSET_BASE - <int>dec_uniform(d, OFFSET_STEP) - OFFSET_STEP * extra
    h.qmax = COARSEST
    if has_qmax(h.q0, h.dq):
        room = COARSEST - 1 - h.q0
        at = dec_peek(d, 2 * room)
        if at < room:
            dec_span(d, 0, room, 2 * room)
        else:
            dec_span(d, at, at + 1, 2 * room)
            h.qmax = h.q0 + 1 + at - room
    h.count = <int>dec_uniform(d, COUNT_VALUES) if counted else -1


def check_fields(q0, dq, qmax, offset):
    """ValueError for a header field that cannot be coded; return the qmax that a decoder will read."""
    for name, value, low, high in (
        ("q0", q0, 0, COARSEST), ("dq", dq, 0, 7), ("qmax", qmax, q0, COARSEST),
        ("offset", offset, MIN_OFFSET, MAX_OFFSET),
    ):
        if not low <= value <= high:
            raise ValueError(f"{name}: expected {low} to {high}, got {value}")
    if not has_qmax(q0, dq):
        return COARSEST
    if qmax == q0:
        raise ValueError(f"qmax: expected {q0 + 1} to {COARSEST} (or dq = 0), got {qmax}")
    return qmax


def parse_header(payload, version):
    """Header of a payload (the bytes behind the version byte).

    ValueError for an unknown version, an empty payload, a header cut short or an impossible count.
    """
    cdef RangeDec d
    cdef Header h
    cdef bytes data = bytes(payload)
    counted = check_version(version) == DREDGE
    if not 1 <= len(data) <= MAX_PAYLOAD:
        raise ValueError(f"payload: expected 1 to {MAX_PAYLOAD} bytes, got {len(data)}")
    dec_start(&d, <const uint8_t *><const char *>data, len(data))
    get_header(&d, &h, counted)
    used = dec_tell(&d)
    if used > 8 * len(data):
        raise ValueError(f"payload: expected {used} bits of header, got {8 * len(data)}")
    if h.count > MAX_LATENTS:
        raise ValueError(f"latents: expected 0 to {MAX_LATENTS}, got {h.count}")
    return PayloadHeader(h.q0, h.dq, h.qmax, h.offset, h.count if counted else None, used)

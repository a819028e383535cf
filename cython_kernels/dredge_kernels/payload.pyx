# SPDX-License-Identifier: BSD-2-Clause
"""DRED payload: header, initial state and latents in one range-coder stream (docs/reference/bitstream.md).

Format of draft-ietf-mlcodec-opus-dred as libopus 1.5 and 1.6 send it (versions 10 and 12); our own
version, 0xD1, differs only in that the number of latents is coded.
"""

import numpy as np

from libc.stdint cimport int32_t, uint8_t, uint32_t

from dredge_kernels.payloadheader cimport Header, get_header, put_header
from dredge_kernels.quantiser cimport dequantise, get_vector, level_at, put_vector, quantise
from dredge_kernels.rangecore cimport (
    RangeDec, RangeEnc, dec_start, dec_tell, enc_finish, enc_start, enc_tell,
)

from dredge_kernels.decoded import DecodedPayload
from dredge_kernels.payloadheader import check_fields, parse_header
from dredge_kernels.tables import DREDGE, QuantTables

cdef enum:
    MAX_SYMBOL = 32767
    SPARE_BITS = 7             # as many as rounding up to whole bytes can leave over
    BUFFER = 1000

MAX_BYTES = BUFFER
MAX_LATENTS = 26


cdef int code(uint8_t *buf, int size, Header *h, const int32_t *state, const int32_t *latents,
              int n, const uint8_t[:, :, ::1] ts, const uint8_t[:, :, ::1] tl) noexcept nogil:
    """Code as many of n latents as fit into size bytes; returns bytes, 0 if not even one fits.

    The count is coded before the latents, so coding restarts with fewer of them when one does not fit.
    """
    cdef RangeEnc e
    cdef bint counted = h.count >= 0
    cdef int done = 0, fits = n
    while fits > 0:
        if counted:
            h.count = fits
        enc_start(&e, buf, size)
        put_header(&e, h)
        put_vector(&e, state, ts, h.q0)
        done = 0
        while done < fits and enc_tell(&e) <= 8 * size:
            put_vector(&e, &latents[done * tl.shape[2]], tl, level_at(h, done))
            done += 1
        if enc_tell(&e) <= 8 * size:
            e.size = (enc_tell(&e) + 7) // 8
            enc_finish(&e)
            return e.size
        fits = done - 1
    return 0


def _vector(name, values, dtype, shape):
    """A C-contiguous copy (what is checked is what is read); ValueError unless dtype, shape and finiteness are right."""
    array = np.array(values, order="C")
    if array.dtype != dtype:
        raise ValueError(f"{name}: expected {np.dtype(dtype)}, got {array.dtype}")
    if array.ndim != len(shape) or any(w is not None and w != g for w, g in zip(shape, array.shape)):
        want = []
        for w in shape:
            want.append("n" if w is None else w)
        raise ValueError(f"{name}: expected shape {want}, got {list(array.shape)}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite values, got NaN or infinity")
    return array


def _prepare(latents, state, tables, dtype, max_bytes):
    """Checked arrays of what to code."""
    if not 1 <= max_bytes <= MAX_BYTES:
        raise ValueError(f"max_bytes: expected 1 to {MAX_BYTES}, got {max_bytes}")
    _must_be_tables(tables)
    rows = _vector("latents", latents, dtype, (None, tables.latent_dim))
    if len(rows) > MAX_LATENTS:
        raise ValueError(f"latents: expected at most {MAX_LATENTS}, got {len(rows)}")
    return rows, _vector("state", state, dtype, (tables.state_dim,))


cdef int _must_be_tables(tables) except -1:
    """Raise TypeError unless these are QuantTables, because the loops rely on their shapes."""
    if not isinstance(tables, QuantTables):
        raise TypeError(f"tables: expected QuantTables, got {type(tables).__name__}")
    return 0


def encode_payload(latents, state, tables, q0, dq, qmax=15, offset=8, max_bytes=1000):
    """DRED payload of float latents, quantised and coded; see payload.pyi."""
    rows, start = _prepare(latents, state, tables, np.float32, max_bytes)
    cdef Header h
    h.q0, h.dq, h.offset = q0, dq, offset
    h.qmax = check_fields(q0, dq, qmax, offset)
    cdef const float[:, ::1] x = rows
    cdef const float[::1] x0 = start
    cdef const uint8_t[:, :, ::1] tl = tables.latent, ts = tables.state
    q = np.empty((len(rows), tables.latent_dim), np.int32)
    q_state = np.empty(tables.state_dim, np.int32)
    cdef int32_t[:, ::1] out = q
    cdef int32_t[::1] out0 = q_state
    cdef int i
    with nogil:
        quantise(&x0[0], ts, h.q0, &out0[0])
        for i in range(<int>x.shape[0]):
            quantise(&x[i, 0], tl, level_at(&h, i), &out[i, 0])
    return _code(q, q_state, tables, h, max_bytes)


def encode_symbols(latent_symbols, state_symbols, tables, q0, dq, qmax=15, offset=8, max_bytes=1000):
    """DRED payload of symbols already quantised; see payload.pyi."""
    q, q_state = _prepare(latent_symbols, state_symbols, tables, np.int32, max_bytes)
    cdef Header h
    h.q0, h.dq, h.offset = q0, dq, offset
    h.qmax = check_fields(q0, dq, qmax, offset)
    _check_symbols("state", q_state, tables.state[:, h.q0])
    for i, row in enumerate(q):
        _check_symbols(f"latents[{i}]", row, tables.latent[:, level_at(&h, i)])
    return _code(q, q_state, tables, h, max_bytes)


def _check_symbols(name, row, table):
    """ValueError for a symbol too large, or not zero where its table says always zero."""
    bad = (np.abs(row.astype(np.int64)) > MAX_SYMBOL) | (
        (row != 0) & ((table[2] == 0) | (table[3] == 255)))
    if bad.any():
        k = int(np.argmax(bad))
        raise ValueError(f"{name}[{k}]: expected a symbol its tables can code, got {row[k]}")


cdef bytes _code(latents, state, tables, Header h, int size):
    cdef const int32_t[:, ::1] q = latents
    cdef const int32_t[::1] q0 = state
    cdef const uint8_t[:, :, ::1] tl = tables.latent, ts = tables.state
    cdef uint8_t[BUFFER] buf
    cdef int n = <int>q.shape[0], length
    if n == 0:
        return b""
    h.count = n if tables.version == DREDGE else -1
    with nogil:
        length = code(buf, size, &h, &q0[0], &q[0, 0], n, ts, tl)
    return <bytes>(<char *>buf)[:length]


def decode_payload(payload, tables, max_latents=26):
    """Decode state and latents of a payload; see payload.pyi."""
    if not 0 <= max_latents <= MAX_LATENTS:
        raise ValueError(f"max_latents: expected 0 to {MAX_LATENTS}, got {max_latents}")
    _must_be_tables(tables)
    cdef bytes data = bytes(payload)
    header = parse_header(data, tables.version)
    cdef bint counted = header.latents is not None
    cdef uint32_t size = len(data)
    cdef int bits = 8 * <int>size, used = 0, n = 0, limit = max_latents
    cdef RangeDec d
    cdef Header h
    cdef const uint8_t[:, :, ::1] tl = tables.latent, ts = tables.state
    q_state, state = np.empty(tables.state_dim, np.int32), np.empty(tables.state_dim, np.float32)
    shape = (MAX_LATENTS, tables.latent_dim)
    q_latents, latents = np.empty(shape, np.int32), np.empty(shape, np.float32)
    levels, tells = np.empty(MAX_LATENTS, np.int32), np.empty(MAX_LATENTS + 1, np.int32)
    cdef int32_t[::1] q0 = q_state, level = levels, tell = tells
    cdef int32_t[:, ::1] q = q_latents
    cdef float[::1] x0 = state
    cdef float[:, ::1] x = latents
    cdef const uint8_t *bytes_of = data
    with nogil:
        dec_start(&d, bytes_of, size)
        get_header(&d, &h, counted)
        if counted and h.count < limit:
            limit = h.count
        get_vector(&d, &q0[0], ts, h.q0)
        dequantise(&q0[0], ts, h.q0, &x0[0])
        used = tell[0] = dec_tell(&d)
        while n < limit and used <= bits and (counted or bits - used > SPARE_BITS):
            level[n] = level_at(&h, n)
            get_vector(&d, &q[n, 0], tl, level[n])
            dequantise(&q[n, 0], tl, level[n], &x[n, 0])
            n += 1
            used = tell[n] = dec_tell(&d)
    if used > bits and (counted or n == 0):
        raise ValueError(f"payload: expected {used} bits or more of state and latents, got {bits}")
    return DecodedPayload(header, state, latents[:n].copy(), levels[:n].copy(), q_state,
                          q_latents[:n].copy(), tells[:n + 1].copy())

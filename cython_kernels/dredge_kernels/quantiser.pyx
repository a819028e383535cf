# SPDX-License-Identifier: BSD-2-Clause
"""Quantiser of DRED: which level a latent gets by its age, floats to symbols, symbols to floats."""

from libc.math cimport floorf, tanhf

from dredge_kernels.laplace cimport always_zero, get_laplace, put_laplace

cdef enum:
    MAX_SYMBOL = 32767


cdef int level_at(const Header *h, int index) noexcept nogil:
    """Quantiser level of the latent `index` places back from the newest."""
    cdef int* slope = [0, 2, 3, 4, 6, 8, 12, 16]
    cdef int level = h.q0 + (slope[h.dq] * index + 8) // 16
    return level if level < h.qmax else h.qmax


cdef void quantise(const float *x, const uint8_t[:, :, ::1] t, int level, int32_t *out) noexcept nogil:
    """Symbols of one vector at one level: scale, soft dead zone, round."""
    cdef float y, zone
    cdef int k
    for k in range(<int>t.shape[2]):
        out[k] = 0
        if always_zero(t[2, level, k], t[3, level, k]):
            continue
        y = x[k] * <float>(t[0, level, k] if t[0, level, k] else 1) / <float>256
        if -0.5 < y < 0.5:     # the dead zone only ever brings y nearer to zero
            continue
        zone = t[1, level, k] / <float>256
        y = floorf(y - zone * tanhf(y / (zone + <float>0.1)) + <float>0.5)
        out[k] = <int32_t>min(max(y, -MAX_SYMBOL), MAX_SYMBOL)


cdef void put_vector(RangeEnc *e, const int32_t *q, const uint8_t[:, :, ::1] t, int level) noexcept nogil:
    """Code the symbols of one vector."""
    cdef int k
    for k in range(<int>t.shape[2]):
        put_laplace(e, q[k], t[2, level, k], t[3, level, k])


cdef void get_vector(RangeDec *d, int32_t *q, const uint8_t[:, :, ::1] t, int level) noexcept nogil:
    """Read the symbols of one vector."""
    cdef int k
    for k in range(<int>t.shape[2]):
        q[k] = get_laplace(d, t[2, level, k], t[3, level, k])


cdef void dequantise(const int32_t *q, const uint8_t[:, :, ::1] t, int level, float *x) noexcept nogil:
    """Floats of one vector of symbols."""
    cdef int k
    for k in range(<int>t.shape[2]):
        x[k] = <float>q[k] * <float>256 / <float>(t[0, level, k] if t[0, level, k] else 1)

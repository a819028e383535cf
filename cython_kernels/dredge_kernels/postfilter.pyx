# SPDX-License-Identifier: BSD-2-Clause
"""Postfilter of the vocoder: pitch enhancement and exact band energies."""

import numpy as np

from libc.stdint cimport int16_t

from dredge_kernels.busy cimport must_be_idle

cdef extern from "vocoders/postfilter.h" nogil:
    ctypedef struct pf_state:
        pass
    void pf_init()
    void pf_reset(pf_state *s, float out)
    void pf_prime(pf_state *s, const int16_t *pcm, int frames, const float *features)
    void pf_push(pf_state *s, const int16_t *pcm, const float *features, int16_t *out)
    void pf_finish(pf_state *s, const float *features, int16_t *out)

HOP = 160
DELAY = 160

pf_init()


cdef class Postfilter:
    cdef pf_state state
    cdef bint busy

    def __cinit__(self):
        pf_reset(&self.state, 0)

    def reset(self, int last=0):
        must_be_idle(self.busy, "postfilter")
        pf_reset(&self.state, last)

    def prime(self, pcm, features):
        must_be_idle(self.busy, "postfilter")
        rows, x = _rows(features), _pcm(pcm)
        if not len(x) or len(x) % HOP or len(rows) != 1:
            raise ValueError(f"prime: expected int16 [{HOP} k] and one row, got {len(x)} samples and {len(rows)} rows")
        cdef const int16_t[::1] a = x
        cdef const float[:, ::1] f = rows
        pf_prime(&self.state, &a[0], len(x) // HOP, &f[0, 0])

    def process(self, pcm, features):
        rows, x = _rows(features), _pcm(pcm)
        if len(x) != len(rows) * HOP:
            raise ValueError(f"pcm: expected int16 of {len(rows) * HOP} samples, got {len(x)}")
        cdef const int16_t[::1] a = x
        cdef const float[:, ::1] f = rows
        out = np.empty(len(x), np.int16)
        cdef int16_t[::1] y = out
        cdef Py_ssize_t i
        must_be_idle(self.busy, "postfilter")
        self.busy = True
        with nogil:
            for i in range(f.shape[0]):
                pf_push(&self.state, &a[160 * i], &f[i, 0], &y[160 * i])
        self.busy = False
        return out

    def finish(self, features):
        must_be_idle(self.busy, "postfilter")
        rows = _rows(features)
        if len(rows) != 1:
            raise ValueError(f"features: expected shape (1, 20), got {rows.shape}")
        cdef const float[:, ::1] f = rows
        out = np.empty(HOP, np.int16)
        cdef int16_t[::1] y = out
        pf_finish(&self.state, &f[0, 0], &y[0])
        return out


cdef _rows(features):
    """A copy: what is checked is what is read."""
    rows = np.array(features, np.float32, order="C")
    if rows.ndim != 2 or rows.shape[1] != 20 or not np.isfinite(rows).all():
        raise ValueError(f"features: expected finite values of shape (k, 20), got shape {rows.shape}")
    return rows


cdef _pcm(pcm):
    """A copy."""
    x = np.array(pcm, order="C")
    if x.dtype != np.int16 or x.ndim != 1:
        raise ValueError(f"pcm: expected int16 of one dimension, got {x.dtype} of shape {x.shape}")
    return x

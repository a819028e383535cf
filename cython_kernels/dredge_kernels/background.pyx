# SPDX-License-Identifier: BSD-2-Clause
"""The background noise of speech, estimated from its quiet moments, and features raised to it."""

import numpy as np

from libc.stdint cimport int16_t

cdef extern from "features/background.h" nogil:
    ctypedef struct bg_state:
        pass
    void bg_init()
    void bg_reset(bg_state *s)
    void bg_hear(bg_state *s, const int16_t *pcm)
    void bg_noise(bg_state *s, int16_t *pcm)
    void bg_lift(const bg_state *s, float *cepstrum, int denoised)

HOP = 160
MOMENT = 960
MOST = 100  # frames of noise at a time

bg_init()


cdef class Background:
    cdef bg_state state

    def __cinit__(self):
        bg_reset(&self.state)

    def reset(self):
        bg_reset(&self.state)

    def hear(self, pcm):
        x = np.asarray(pcm)
        if x.dtype != np.int16 or x.shape != (MOMENT,):
            raise ValueError(f"pcm: expected int16 of {MOMENT} samples, got {x.dtype} of shape {x.shape}")
        cdef const int16_t[::1] a = np.array(x, order="C")
        bg_hear(&self.state, &a[0])

    def noise(self, int frames):
        if not 0 <= frames <= MOST:
            raise ValueError(f"frames: expected 0 to {MOST}, got {frames}")
        out = np.empty(HOP * frames, np.int16)
        cdef int16_t[::1] y = out
        cdef int i
        for i in range(frames):
            bg_noise(&self.state, &y[HOP * i])
        return out

    def lift(self, features, bint denoised=False):
        rows = np.array(features, np.float32, order="C")
        if rows.ndim != 2 or rows.shape[1] != 20 or not np.isfinite(rows).all():
            raise ValueError(f"features: expected finite values of shape (k, 20), got shape {rows.shape}")
        cdef float[:, ::1] f = rows
        cdef Py_ssize_t i
        for i in range(f.shape[0]):
            bg_lift(&self.state, &f[i, 0], denoised)
        return rows

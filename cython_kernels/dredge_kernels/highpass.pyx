# SPDX-License-Identifier: BSD-2-Clause
"""The high-pass filter of Opus' encoder, for features that must describe the signal behind it."""

import numpy as np

from libc.math cimport rint
from libc.stdint cimport int16_t

from dredge_kernels.busy cimport must_be_idle

SAMPLE_RATE = 16000
CUTOFF_HZ = 60.0

cdef double NOTHING = 1e-9   # smaller filter states are set to 0, because denormal numbers are slow


cdef class HighPass:
    cdef double b, a1, a2, m0, m1
    cdef bint busy

    def __cinit__(self, double cutoff_hz=CUTOFF_HZ):
        if not 0 < cutoff_hz <= 1000:
            raise ValueError(f"cutoff_hz: expected more than 0 and at most 1000, got {cutoff_hz:g}")
        cdef double fc = 1.5 * 3.14159 / SAMPLE_RATE * cutoff_hz
        self.b = 1 - 0.92 * fc
        self.a1 = self.b * (fc * fc - 2)
        self.a2 = self.b * self.b
        self.m0 = self.m1 = 0

    def reset(self):
        must_be_idle(self.busy, "high-pass")
        self.m0 = self.m1 = 0

    def process(self, pcm):
        cdef const int16_t[::1] x = _samples(pcm)
        out = np.empty(x.shape[0], np.int16)
        cdef int16_t[::1] y = out
        cdef Py_ssize_t i
        cdef double now, value
        must_be_idle(self.busy, "high-pass")
        self.busy = True
        with nogil:
            for i in range(x.shape[0]):
                now = x[i]
                value = self.b * now + self.m0
                self.m0 = self.m1 - 2 * self.b * now - self.a1 * value
                self.m1 = self.b * now - self.a2 * value
                y[i] = <int16_t>min(32767.0, max(-32768.0, rint(value)))
        if -NOTHING < self.m0 < NOTHING and -NOTHING < self.m1 < NOTHING:
            self.m0 = self.m1 = 0
        self.busy = False
        return out


def _samples(pcm):
    x = np.asarray(pcm)
    if x.dtype != np.int16 or x.ndim != 1:
        raise ValueError(f"pcm: expected int16 of one dimension, got {x.dtype} of shape {x.shape}")
    return np.array(x, order="C")

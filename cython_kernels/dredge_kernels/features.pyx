# SPDX-License-Identifier: BSD-2-Clause
"""Acoustic features of 16 kHz speech, and the linear predictor that a cepstrum stands for."""

import numpy as np

from libc.stdint cimport int16_t

from dredge_kernels.busy cimport must_be_idle

cdef extern from "features/analysis.h" nogil:
    ctypedef struct dr_features:
        pass
    void dr_features_init()
    void dr_features_reset(dr_features *f)
    void dr_features_push(dr_features *f, const int16_t *pcm, float *out)
    void dr_lpc_from_cepstrum(const float *cepstrum, float *lpc)

HOP = 160
NB_FEATURES = 20
NB_BANDS = 18
LPC_ORDER = 16

dr_features_init()


cdef class FeatureExtractor:
    cdef dr_features state
    cdef bint busy

    def __cinit__(self):
        dr_features_reset(&self.state)

    def reset(self):
        must_be_idle(self.busy, "extractor")
        dr_features_reset(&self.state)

    def process(self, pcm):
        cdef const int16_t[::1] x = _samples(pcm)
        cdef Py_ssize_t frames = x.shape[0] // 160, i
        out = np.empty((frames, 20), np.float32)
        cdef float[:, ::1] y = out
        must_be_idle(self.busy, "extractor")
        self.busy = True
        with nogil:
            for i in range(frames):
                dr_features_push(&self.state, &x[160 * i], &y[i, 0])
        self.busy = False
        return out


def lpc_from_cepstrum(cepstra):
    rows = np.ascontiguousarray(cepstra, np.float32)
    if rows.ndim != 2 or rows.shape[1] < 18:
        raise ValueError(f"cepstra: expected shape (n, 18), got {rows.shape}")
    rows = np.array(rows[:, :18], order="C")
    cdef const float[:, ::1] c = rows
    out = np.empty((rows.shape[0], 16), np.float32)
    cdef float[:, ::1] a = out
    cdef Py_ssize_t i
    with nogil:
        for i in range(c.shape[0]):
            dr_lpc_from_cepstrum(&c[i, 0], &a[i, 0])
    return out


def _samples(pcm):
    x = np.asarray(pcm)
    if x.dtype != np.int16 or x.ndim != 1 or x.shape[0] % 160:
        raise ValueError(
            f"pcm: expected int16 of a multiple of 160 samples, got {x.dtype} of shape {x.shape}"
        )
    return np.array(x, order="C")

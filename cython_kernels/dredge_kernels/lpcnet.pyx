# SPDX-License-Identifier: BSD-2-Clause
"""int8 LPCNet vocoder: features in, speech out, the same samples at every SIMD level."""

import operator
import os

import numpy as np

from dredge_kernels.lpcnet_weights import checked, checked_matrix

from dredge_kernels.busy cimport must_be_idle
from dredge_kernels.lpcnet_source cimport frame_net_of, matrix_of, net_of

cdef enum:
    FRAME = 160
HOP = FRAME
CONTEXT = 2
LANES = 16                     # padding of what the frame-rate network writes
cdef float SHARPEN = 0.5          # how much voicing sharpens the distribution

ln_init()
dr_cepstrum_init()

cdef const ln_level *LEVELS[8]
cdef int NB_LEVELS = ln_levels(LEVELS)


def simd_levels():
    names = []
    for i in range(NB_LEVELS):
        names.append(LEVELS[i].name.decode())
    return names


cdef int _level_index(name) except -1:
    wanted = name or os.environ.get("DREDGE_SIMD") or simd_levels()[NB_LEVELS - 1]
    if wanted not in simd_levels():
        raise ValueError(f"SIMD level: expected one of {', '.join(simd_levels())}, got {wanted!r}")
    return simd_levels().index(wanted)


def simd_level():
    return LEVELS[_level_index(None)].name.decode()


cdef class Weights:
    def __init__(self, arrays, level=None):
        cdef int i = _level_index(level)
        cdef ln_net net
        cdef lf_source frame_net
        if self.model != NULL:
            raise RuntimeError("weights: made already; vocoders may be reading them")
        given = checked(arrays)
        net_of(given, &net)
        frame_net_of(given, &frame_net)
        self.model = ln_pack(&net, &frame_net, LEVELS[i])
        if self.model == NULL:
            raise MemoryError("no memory for the vocoder's weights")
        self.level = LEVELS[i].name.decode()
        self.packed_bytes = self.model.memory.bytes

    def __dealloc__(self):
        ln_free(self.model)


cdef class Lpcnet:
    def __init__(self, source, level=None):
        must_be_idle(self.busy, "vocoder")
        if isinstance(source, Weights):
            if level is not None and level != source.level:
                raise ValueError(f"SIMD level: these weights are packed for {source.level}, got {level!r}")
            self.weights = source
        else:
            self.weights = Weights(source, level)
        self.model = self.weights.model
        if self.model == NULL:
            raise ValueError("weights: not made completely")
        self.level = self.weights.level
        self.cond_a = np.zeros((2, 3 * self.model.hidden_a + LANES), np.float32)
        self.cond_b = np.zeros((2, 3 * self.model.hidden_b + LANES), np.float32)
        self._make_room(2)
        self.reset()

    @property
    def packed_bytes(self):
        _must_be_made(self.model)
        return self.weights.packed_bytes

    def reset(self, seed=1):
        _must_be_made(self.model)
        must_be_idle(self.busy, "vocoder")
        ln_reset(&self.state, seed)

    def force(self, features, pcm, last=None):
        samples = HOP * (len(features) - 2 * CONTEXT)
        run = samples if last is None else operator.index(last)
        if not 0 <= run <= samples or run % 2:
            raise ValueError(f"last: expected an even number from 0 to {samples}, got {last}")
        self._frames(features, pcm, LN_FORCE, samples - run)

    def synthesise(self, features):
        rows = _rows(features)
        pcm = np.empty((rows.shape[0] - 2 * CONTEXT) * HOP, np.int16)
        self._frames(rows, pcm, LN_GENERATE, 0)
        return pcm

    def _make_room(self, int frames):
        self.cond = np.empty((frames, LF_MAX), np.float32)
        self.scratch = np.empty((frames + 4, 2 * LF_MAX), np.float32)

    def _frames(self, features, pcm, int mode, int first):
        _must_be_made(self.model)
        rows = _rows(features)
        cdef const float[:, ::1] f = rows
        cdef int n = rows.shape[0] - 2 * CONTEXT
        cdef int16_t[::1] x = _pcm(pcm, n, mode == LN_GENERATE)
        must_be_idle(self.busy, "vocoder")
        if n > self.cond.shape[0]:
            self._make_room(n)
        self.busy = True
        with nogil:
            self._run(&f[0, 0], n, &x[0], mode, first)
        self.busy = False

    cdef void _run(self, const float *features, int frames, int16_t *pcm, int mode, int first) noexcept nogil:
        """first: LN_FORCE: the sample from which on the network runs."""
        cdef const ln_level *level = self.model.level
        cdef const lf_net *net = &self.model.frame
        cdef const float *row
        cdef float *cond
        cdef float lpc[16]
        cdef float voicing
        cdef ln_frame frame
        cdef int i, k, both, begin = first // FRAME       # the first frame for which the network runs
        cdef size_t step_a = self.cond_a.shape[1], step_b = self.cond_b.shape[1]
        frame.lpc = lpc
        if begin < frames:
            lf_condition(net, level.dense, features + 20 * begin, frames - begin, &self.cond[begin, 0],
                         &self.scratch[0, 0])
        for i in range(frames):
            k = (i - begin) % 2 if i > begin else 0
            if i >= begin and k == 0:
                cond, both = &self.cond[i, 0], 2 if i + 1 < frames else 1
                level.dense(&net.cond_a, both, cond, LF_MAX, &self.cond_a[0, 0], step_a)
                level.dense(&net.cond_b, both, cond, LF_MAX, &self.cond_b[0, 0], step_b)
            row = features + 20 * (i + 2)
            dr_lpc_from_cepstrum(row, lpc)
            frame.cond_a, frame.cond_b = &self.cond_a[k, 0], &self.cond_b[k, 0]
            frame.period = lf_period(row)
            voicing = 1.5 * (row[19] + .5) - .5
            frame.sharpness = 1 + SHARPEN * (voicing if voicing > 0 else 0)
            frame.from_ = first - FRAME * i if first > FRAME * i else 0
            level.run(self.model, &self.state, &frame, pcm + FRAME * i, LN_SKIP if i < begin else mode)


cdef int _must_be_made(const ln_model *model) except -1:
    """ValueError for an object whose constructor never ran to its end."""
    if model == NULL:
        raise ValueError("vocoder: not made completely")
    return 0


cdef _rows(features):
    """A copy: what is checked is what is read, whatever another thread writes into the array."""
    rows = np.array(features, np.float32, order="C")
    if rows.ndim != 2 or rows.shape[1] != 20 or rows.shape[0] <= 2 * CONTEXT:
        raise ValueError(f"features: expected shape (n + 4, 20) with n >= 1, got {rows.shape}")
    if not np.isfinite(rows).all():
        raise ValueError("features: values must be finite")
    return rows


cdef _pcm(pcm, int frames, bint write):
    if not isinstance(pcm, np.ndarray) or pcm.dtype != np.int16 or pcm.shape != (frames * HOP,):
        raise ValueError(f"pcm: expected int16 of {frames * HOP} samples, got {getattr(pcm, 'dtype', type(pcm))} "
                         f"of shape {getattr(pcm, 'shape', None)}")
    return pcm if write else np.array(pcm)


def sparse_product(arrays, name, x, level=None):
    cdef ln_blocks blocks
    cdef int i = _level_index(level)
    v = np.array(x, order="C")
    if v.dtype != np.int8 or v.ndim != 1 or not len(v) or len(v) % 4 or (v == -128).any():
        raise ValueError(f"x: expected int8 of a multiple of 4 values above -128, got {v.dtype} of shape {v.shape}")
    given = checked_matrix(arrays, name, len(v))
    cdef const int8_t[::1] xv = v
    out = _aligned(8 * len(given[f"{name}_count"]), np.int32)
    cdef int32_t[::1] y = out
    cdef ln_model *model = ln_empty(LEVELS[i])
    if model == NULL:
        raise MemoryError("no memory for a matrix")
    matrix_of(given, name, len(out), len(v), &blocks)
    cdef ln_matrix m = ln_pack_blocks(model, &blocks)
    LEVELS[i].product(&m, &xv[0], len(v), &y[0])
    ln_free(model)
    return out


def tanh16(x, level=None):
    cdef int i = _level_index(level), k
    v = np.array(x, np.int16, order="C")
    if v.ndim != 1:
        raise ValueError(f"x: expected one dimension, got shape {v.shape}")
    out = np.empty_like(v)
    cdef const int16_t[::1] xv = v
    cdef int16_t[::1] y = out
    for k in range(0, xv.shape[0] - 15, 16):
        LEVELS[i].tanh(&xv[k], &y[k])
    return out[: len(v) // 16 * 16]


cdef _aligned(int n, dtype):
    """n numbers at a multiple of 64 bytes."""
    raw = np.zeros(n * np.dtype(dtype).itemsize + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + n * np.dtype(dtype).itemsize].view(dtype)


def to_ulaw(float x):
    if x != x:
        raise ValueError("x: expected a number, got NaN")
    return ln_to_ulaw(x)


def from_ulaw(uint8_t u):
    return ln_from_ulaw(u)

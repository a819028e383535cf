# SPDX-License-Identifier: BSD-2-Clause
"""int8 LPCNet vocoder: features in, speech out, the same samples at every SIMD level."""

import os

import numpy as np

from dredge_kernels.lpcnet_weights import checked

HOP = 160
CONTEXT = 2
LANES = 16                     # padding of what the frame-rate network writes
cdef float SHARPEN = 0.5          # how much voicing sharpens the distribution

ln_init()
dr_cepstrum_init()

cdef const ln_level *LEVELS[8]
cdef int NB_LEVELS = ln_levels(LEVELS)


def simd_levels():
    return [LEVELS[i].name.decode() for i in range(NB_LEVELS)]


cdef int _level_index(name) except -1:
    wanted = name or os.environ.get("DREDGE_SIMD") or simd_levels()[NB_LEVELS - 1]
    if wanted not in simd_levels():
        raise ValueError(f"SIMD level: expected one of {', '.join(simd_levels())}, got {wanted!r}")
    return simd_levels().index(wanted)


def simd_level():
    return LEVELS[_level_index(None)].name.decode()


cdef const float *_f(dict a, str name):
    cdef const float[::1] v = a[name].reshape(-1)
    return &v[0]


cdef const int8_t *_i8(dict a, str name):
    cdef const int8_t[::1] v = a[name].reshape(-1)
    return &v[0] if v.shape[0] else NULL


cdef void _matrix(dict a, str name, int outputs, int inputs, ln_blocks *m):
    cdef const uint8_t[::1] column = a[name + "_column"]
    cdef const uint16_t[::1] count = a[name + "_count"]
    m.outputs, m.inputs = outputs, inputs
    m.blocks = _i8(a, name + "_blocks")
    m.column = &column[0] if column.shape[0] else NULL
    m.count = &count[0]
    m.scale = _f(a, name + "_scale")


cdef void _net(dict a, ln_net *n):
    n.hidden_a, n.hidden_b = len(a["bias_a"]), len(a["bias_b"])
    n.table, n.table_scale = _i8(a, "table"), _f(a, "table_scale")
    n.table_b, n.table_b_scale = _i8(a, "table_b"), _f(a, "table_b_scale")
    n.bias_a, n.bias_b = _f(a, "bias_a"), _f(a, "bias_b")
    _matrix(a, "recur_a", 3 * n.hidden_a, n.hidden_a, &n.recur_a)
    _matrix(a, "input_b", 6 * n.hidden_b, n.hidden_a, &n.input_b)
    _matrix(a, "recur_b", 3 * n.hidden_b, n.hidden_b, &n.recur_b)
    n.tree, n.tree_scale = _i8(a, "tree"), _f(a, "tree_scale")
    n.tree_bias, n.tree_gain = _f(a, "tree_bias"), _f(a, "tree_gain")


cdef const uint16_t *_f16(dict a, str name):
    cdef const uint16_t[::1] v = a[name].reshape(-1).view(np.uint16)
    return &v[0]


cdef void _layer(dict a, str name, lf_layer *layer):
    layer.inputs, layer.outputs = a[name].shape
    layer.weight = _f16(a, name)
    layer.bias = _f(a, name + "_bias")


cdef void _frame_net(dict a, lf_source *f):
    f.features, f.embedding = 20, a["pitch"].shape[1]
    f.pitch = _f16(a, "pitch")
    _layer(a, "conv1", &f.conv1)
    _layer(a, "conv2", &f.conv2)
    _layer(a, "dense1", &f.dense1)
    _layer(a, "dense2", &f.dense2)
    _layer(a, "cond_a", &f.cond_a)
    _layer(a, "cond_b", &f.cond_b)


cdef class Lpcnet:
    def __init__(self, arrays, level=None):
        cdef int i = _level_index(level)
        cdef ln_net net
        cdef lf_source frame_net
        given = checked(arrays)
        _net(given, &net)
        _frame_net(given, &frame_net)
        ln_free(self.model)
        self.model = ln_pack(&net, &frame_net, LEVELS[i])
        if self.model == NULL:
            raise MemoryError("no memory for the vocoder's weights")
        self.level = LEVELS[i].name.decode()
        self.cond_a = np.empty(3 * net.hidden_a + LANES, np.float32)
        self.cond_b = np.empty(3 * net.hidden_b + LANES, np.float32)
        self._make_room(2)
        self.reset()

    def __dealloc__(self):
        ln_free(self.model)

    @property
    def packed_bytes(self):
        return self.model.memory.bytes

    def reset(self, seed=1):
        ln_reset(&self.state, seed)

    def skip(self, features, pcm):
        self._frames(features, pcm, LN_SKIP)

    def force(self, features, pcm):
        self._frames(features, pcm, LN_FORCE)

    def synthesise(self, features):
        rows = _rows(features)
        pcm = np.empty((rows.shape[0] - 2 * CONTEXT) * HOP, np.int16)
        self._frames(rows, pcm, LN_GENERATE)
        return pcm

    def _make_room(self, frames):
        self.cond = np.empty((frames, LF_MAX), np.float32)
        self.scratch = np.empty((frames + 4, 2 * LF_MAX), np.float32)

    def _frames(self, features, pcm, int mode):
        rows = _rows(features)
        cdef const float[:, ::1] f = rows
        cdef int n = rows.shape[0] - 2 * CONTEXT
        cdef int16_t[::1] x = _pcm(pcm, n, mode == LN_GENERATE)
        if n > self.cond.shape[0]:
            self._make_room(n)
        with nogil:
            self._run(&f[0, 0], n, &x[0], mode)

    cdef void _run(self, const float *features, int frames, int16_t *pcm, int mode) noexcept nogil:
        cdef const ln_level *level = self.model.level
        cdef const float *row
        cdef float lpc[16]
        cdef float voicing
        cdef ln_frame frame
        cdef int i
        frame.lpc, frame.cond_a, frame.cond_b = lpc, &self.cond_a[0], &self.cond_b[0]
        if mode != LN_SKIP:
            lf_condition(&self.model.frame, level.dense, features, frames, &self.cond[0, 0], &self.scratch[0, 0])
        for i in range(frames):
            row = features + 20 * (i + 2)
            dr_lpc_from_cepstrum(row, lpc)
            if mode != LN_SKIP:
                level.dense(&self.model.frame.cond_a, &self.cond[i, 0], &self.cond_a[0])
                level.dense(&self.model.frame.cond_b, &self.cond[i, 0], &self.cond_b[0])
            frame.period = lf_period(row)
            voicing = 1.5 * (row[19] + .5) - .5
            frame.sharpness = 1 + SHARPEN * (voicing if voicing > 0 else 0)
            level.run(self.model, &self.state, &frame, pcm + 160 * i, mode)


cdef _rows(features):
    rows = np.ascontiguousarray(features, np.float32)
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
    v = np.ascontiguousarray(x, np.int8)
    cdef const int8_t[::1] xv = v
    cdef ln_model *model = ln_empty(LEVELS[i])
    out = _aligned(8 * len(arrays[f"{name}_count"]), np.int32)
    cdef int32_t[::1] y = out
    _matrix(arrays, name, len(out), len(v), &blocks)
    cdef ln_matrix m = ln_pack_blocks(model, &blocks)
    LEVELS[i].product(&m, &xv[0], len(v), &y[0])
    ln_free(model)
    return out


def tanh16(x, level=None):
    cdef int i = _level_index(level), k
    v = np.ascontiguousarray(x, np.int16)
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
    return ln_to_ulaw(x)


def from_ulaw(uint8_t u):
    return ln_from_ulaw(u)

# SPDX-License-Identifier: BSD-2-Clause
"""FARGAN synthesis with int8 weights (arXiv 2405.21069); the network is that of libopus 1.5."""

import numpy as np

from libc.stdint cimport int8_t, int16_t

from dredge_kernels.busy cimport must_be_idle

cdef extern from "vocoders/fargan.h" nogil:
    enum:
        FG_FRAME, FG_FEATURES, FG_PRIMING, FG_EMBED, FG_PERIODS, FG_DENSE1, FG_CONV1, FG_COND, FG_IN, FG_FIRST
        FG_GRU1, FG_GRU2, FG_GRU3, FG_SKIP, FG_JOINED, FG_SUB
    ctypedef struct fg_layer:
        const int8_t *weight
        const float *scale
        const float *bias
        int n_in "in"
        int out
    ctypedef struct fg_model:
        const float *embed
        const float *dense1
        const float *dense1_bias
        const float *gain
        const float *gain_bias
        const float *gates
        const float *gates_bias
        fg_layer conv1, dense2, first, first_gate, skip, skip_gate, out
        fg_layer[3] gru_in
        fg_layer[3] gru_own
        fg_layer[3] gru_gate
    ctypedef struct fg_state:
        pass
    void fg_reset(fg_state *s)
    void fg_begin(fg_state *s, const fg_model *m, const float *pcm, const float *features)
    void fg_next(fg_state *s, const fg_model *m, const float *features, int16_t *pcm)

HOP = FG_FRAME
PRIMING_ROWS = FG_PRIMING
PRIMING_SAMPLES = 2 * FG_FRAME
_GRUS = (FG_GRU1, FG_GRU2, FG_GRU3)
_BEFORE = (FG_FIRST, FG_GRU1, FG_GRU2)

#: float32 arrays of a model and their shapes.
FLOATS = {
    "embed": (FG_PERIODS, FG_EMBED), "dense1": (FG_DENSE1, FG_FEATURES + FG_EMBED), "dense1_bias": (FG_DENSE1,),
    "gain": (FG_COND,), "gain_bias": (1,), "gates": (4, FG_FIRST), "gates_bias": (4,),
}
#: int8 layers and their (inputs, outputs): NAME int8 [out, in], NAME_scale and NAME_bias float32 [out].
LAYERS = {
    "conv1": (3 * FG_DENSE1, FG_CONV1), "dense2": (FG_CONV1, 4 * FG_COND), "first": (2 * FG_IN, FG_FIRST),
    "first_gate": (FG_FIRST, FG_FIRST), "skip": (FG_JOINED, FG_SKIP), "skip_gate": (FG_SKIP, FG_SKIP),
    "out": (FG_SKIP, FG_SUB),
    **{f"gru{k + 1}_in": (_BEFORE[k] + 2 * FG_SUB, 3 * _GRUS[k]) for k in range(3)},
    **{f"gru{k + 1}_own": (_GRUS[k], 3 * _GRUS[k]) for k in range(3)},
    **{f"gru{k + 1}_gate": (_GRUS[k], _GRUS[k]) for k in range(3)},
}


def checked(arrays):
    """The arrays of a model, contiguous and of the right type; ValueError naming the first that is wrong."""
    wanted = []
    for name, shape in FLOATS.items():
        wanted.append((name, np.float32, shape))
    for name, (inputs, outputs) in LAYERS.items():
        wanted += [(name, np.int8, (outputs, inputs)), (f"{name}_scale", np.float32, (outputs,)),
                   (f"{name}_bias", np.float32, (outputs,))]
    out = {}
    for name, dtype, shape in wanted:
        if name not in arrays:
            raise ValueError(f"{name}: missing")
        array = np.array(arrays[name], order="C")  # a copy: what is checked is what is read
        if array.dtype != dtype or array.shape != shape:
            raise ValueError(f"{name}: expected {np.dtype(dtype)} {list(shape)}, got {array.dtype} {list(array.shape)}")
        if dtype is np.float32 and not np.isfinite(array).all():
            raise ValueError(f"{name}: expected finite values")
        if dtype is np.int8 and (array == -128).any():
            raise ValueError(f"{name}: expected weights of -127 to 127, got -128")
        out[name] = array
    return out


cdef const float *floats(array):
    cdef const float[::1] view = array.ravel()
    return &view[0]


cdef fg_layer layer(dict arrays, name):
    cdef const int8_t[::1] weight = arrays[name].ravel()
    cdef fg_layer l
    l.weight, l.scale, l.bias = &weight[0], floats(arrays[f"{name}_scale"]), floats(arrays[f"{name}_bias"])
    l.n_in, l.out = LAYERS[name]
    return l


cdef class Fargan:
    """One voice; see fargan.pyi."""

    cdef fg_state state
    cdef fg_model model
    cdef bint busy
    cdef dict arrays               # keeps alive what `model` points into

    def __cinit__(self, arrays):
        cdef int k
        a = self.arrays = checked(arrays)
        self.model.embed, self.model.dense1, self.model.dense1_bias = (
            floats(a["embed"]), floats(a["dense1"]), floats(a["dense1_bias"]))
        self.model.gain, self.model.gain_bias = floats(a["gain"]), floats(a["gain_bias"])
        self.model.gates, self.model.gates_bias = floats(a["gates"]), floats(a["gates_bias"])
        self.model.conv1, self.model.dense2 = layer(a, "conv1"), layer(a, "dense2")
        self.model.first, self.model.first_gate = layer(a, "first"), layer(a, "first_gate")
        self.model.skip, self.model.skip_gate, self.model.out = layer(a, "skip"), layer(a, "skip_gate"), layer(a, "out")
        for k in range(3):
            self.model.gru_in[k] = layer(a, f"gru{k + 1}_in")
            self.model.gru_own[k] = layer(a, f"gru{k + 1}_own")
            self.model.gru_gate[k] = layer(a, f"gru{k + 1}_gate")
        fg_reset(&self.state)

    def reset(self):
        """Reset the state to silence."""
        must_be_idle(self.busy, "vocoder")
        fg_reset(&self.state)

    def begin(self, pcm, features):
        """Prime the network with decoded speech: int16 [320], and float32 [5, 20], whose last row describes the next
        frame.
        """
        x = np.asarray(pcm)
        if x.dtype != np.int16 or x.shape != (PRIMING_SAMPLES,):
            raise ValueError(f"pcm: expected int16 [{PRIMING_SAMPLES}], got {x.dtype} {list(x.shape)}")
        cdef const float[::1] samples = np.ascontiguousarray(x, np.float32) / np.float32(32768)
        cdef const float[:, ::1] rows = _rows(features, PRIMING_ROWS)
        must_be_idle(self.busy, "vocoder")
        self.busy = True
        with nogil:
            fg_begin(&self.state, &self.model, &samples[0], &rows[0, 0])
        self.busy = False

    def synthesise(self, features):
        """float32 [k, 20], each row one frame further on than what it makes -> int16 [160 k]."""
        cdef const float[:, ::1] rows = _rows(features, None)
        cdef Py_ssize_t i
        pcm = np.empty(HOP * rows.shape[0], np.int16)
        cdef int16_t[::1] out = pcm
        must_be_idle(self.busy, "vocoder")
        self.busy = True
        with nogil:
            for i in range(rows.shape[0]):
                fg_next(&self.state, &self.model, &rows[i, 0], &out[160 * i])
        self.busy = False
        return pcm


def _rows(features, count):
    rows = np.array(features, np.float32, order="C")  # a copy: what is checked is what is read
    if rows.ndim != 2 or rows.shape[1] != FG_FEATURES or (count is not None and len(rows) != count):
        want = "k" if count is None else count
        raise ValueError(f"features: expected shape [{want}, {FG_FEATURES}], got {list(rows.shape)}")
    if not np.isfinite(rows).all():
        raise ValueError("features: expected finite values")
    return rows

# SPDX-License-Identifier: BSD-2-Clause
"""C interface of the int8 vocoder."""

from libc.stdint cimport int8_t, int16_t, int32_t, uint8_t, uint16_t, uint64_t

cdef extern from "lpcnet/frame.h" nogil:
    int LF_MAX
    ctypedef struct lf_dense:
        int inputs, outputs
    ctypedef struct lf_layer:
        int inputs, outputs
        const uint16_t *weight
        const float *bias
    ctypedef struct lf_source:
        int features, embedding
        const uint16_t *pitch
        lf_layer conv1, conv2, dense1, dense2, cond_a, cond_b
    ctypedef struct lf_net:
        lf_dense cond_a, cond_b
    ctypedef void (*lf_apply)(const lf_dense *, int, const float *, size_t, float *, size_t)
    int lf_period(const float *features)
    void lf_condition(const lf_net *net, lf_apply apply, const float *features, int n, float *cond, float *scratch)

cdef extern from "lpcnet/lpcnet.h" nogil:
    int LN_HOP, LN_GENERATE, LN_FORCE, LN_SKIP
    ctypedef struct ln_blocks:
        int outputs, inputs
        const int8_t *blocks
        const uint8_t *column
        const uint16_t *count
        const float *scale
    ctypedef struct ln_net:
        int hidden_a, hidden_b
        const int8_t *table
        const float *table_scale
        ln_blocks recur_a
        const float *bias_a
        ln_blocks input_b
        const int8_t *table_b
        const float *table_b_scale
        ln_blocks recur_b
        const float *bias_b
        const int8_t *tree
        const float *tree_scale
        const float *tree_bias
        const float *tree_gain
    ctypedef struct ln_state:
        pass
    ctypedef struct ln_frame:
        const float *cond_a
        const float *cond_b
        const float *lpc
        int period
        float sharpness
        int from_ "from"
    ctypedef struct ln_matrix:
        int strips
    ctypedef void (*ln_run)(const ln_model *, ln_state *, const ln_frame *, int16_t *, int)
    ctypedef struct ln_level:
        const char *name
        ln_run run
        lf_apply dense
        void (*product)(const ln_matrix *, const int8_t *, int, int32_t *)
        void (*tanh)(const int16_t *, int16_t *)
    int ln_levels(const ln_level **levels)
    void ln_init()
    void ln_reset(ln_state *state, uint64_t seed)
    uint8_t ln_to_ulaw(float x)
    float ln_from_ulaw(uint8_t u)

cdef extern from "lpcnet/pack.h" nogil:
    ctypedef struct arena:
        size_t bytes
    ctypedef struct ln_model:
        int hidden_a, hidden_b
        const ln_level *level
        lf_net frame
        arena memory
    ln_model *ln_pack(const ln_net *net, const lf_source *frame, const ln_level *level)
    ln_model *ln_empty(const ln_level *level)
    ln_matrix ln_pack_blocks(ln_model *model, const ln_blocks *source)
    void ln_free(ln_model *model)

cdef extern from "features/cepstrum.h" nogil:
    void dr_cepstrum_init()
    void dr_lpc_from_cepstrum(const float *cepstrum, float *lpc)

cdef class Weights:
    cdef ln_model *model                     # owned; nothing writes to it once it is packed
    cdef readonly str level
    cdef readonly size_t packed_bytes

cdef class Lpcnet:
    cdef Weights weights                     # kept alive
    cdef const ln_model *model               # theirs
    cdef ln_state state
    cdef float[:, ::1] cond, scratch         # of the frame-rate network; grow with the longest call
    cdef float[:, ::1] cond_a, cond_b        # of two frames
    cdef readonly str level
    cdef bint busy                           # a call is running without the interpreter's lock

    cdef void _run(self, const float *features, int frames, int16_t *pcm, int mode, int first) noexcept nogil

# SPDX-License-Identifier: BSD-2-Clause
"""C interface of the int8 vocoder."""

from libc.stdint cimport int8_t, int16_t, int32_t, uint8_t, uint16_t, uint64_t

cdef extern from "lpcnet.h" nogil:
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
    ctypedef struct ln_matrix:
        int strips
    ctypedef void (*ln_run)(const ln_model *, ln_state *, const ln_frame *, int16_t *, int)
    ctypedef struct ln_level:
        const char *name
        ln_run run
        void (*product)(const ln_matrix *, const int8_t *, int, int32_t *)
        void (*tanh)(const int16_t *, int16_t *)
    int ln_levels(const ln_level **levels)
    void ln_init()
    void ln_reset(ln_state *state, uint64_t seed)
    uint8_t ln_to_ulaw(float x)
    float ln_from_ulaw(uint8_t u)

cdef extern from "lpcnet_pack.h" nogil:
    ctypedef struct ln_model:
        long bytes
    ln_model *ln_pack(const ln_net *net, const ln_level *level)
    ln_model *ln_empty(const ln_level *level)
    ln_matrix ln_pack_blocks(ln_model *model, const ln_blocks *source)
    void ln_free(ln_model *model)

cdef extern from "lpcnet_frame.h" nogil:
    int LF_MAX
    ctypedef struct lf_dense:
        int inputs, outputs
        const float *weight
        const float *bias
    ctypedef struct lf_net:
        int features, embedding
        const float *pitch
        lf_dense conv1, conv2, dense1, dense2, cond_a, cond_b
    int lf_period(const float *features)
    void lf_condition(const lf_net *net, const float *features, int n, float *cond, float *scratch)
    void lf_apply(const lf_dense *layer, const float *x, float *y)

cdef extern from "cepstrum.h" nogil:
    void dr_cepstrum_init()
    void dr_lpc_from_cepstrum(const float *cepstrum, float *lpc)

cdef class Lpcnet:
    cdef ln_model *model                     # weights packed for the level in use; owned
    cdef lf_net frame_net                    # points into `arrays`
    cdef ln_state state
    cdef ln_run run
    cdef dict arrays
    cdef readonly str level
    cdef object scratch_a, scratch_b         # conditioning of one frame

    cdef _frames(self, features, pcm, int mode)

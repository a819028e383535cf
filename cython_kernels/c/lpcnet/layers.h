/* SPDX-License-Identifier: BSD-2-Clause */
/* Both recurrent layers of the sample loop, for one level (lpcnet/run.h). */
#ifndef DREDGE_LPCNET_LAYERS_H
#define DREDGE_LPCNET_LAYERS_H

#include "lpcnet/pack.h"
#include <string.h>

typedef struct {
    _Alignas(64) int32_t sum_a[3 * LN_MAX_A];
    _Alignas(64) int32_t sum_input[6 * LN_MAX_B];
    _Alignas(64) int32_t sum_b[3 * LN_MAX_B];
    _Alignas(64) int32_t sum_tree[2 * LN_LANES];
    _Alignas(64) float cond_a[3 * LN_MAX_A];
    _Alignas(64) float cond_b[3 * LN_MAX_B];
    _Alignas(64) float input[6 * LN_MAX_B];          /* of layer B, both samples */
    _Alignas(64) int8_t qa[LN_MAX_A];                /* round(127 a) + LN_OFFSET */
    _Alignas(64) int8_t qb[LN_MAX_B];
    _Alignas(64) float threshold[2][2][LN_LANES];    /* of each sample and subtree */
    _Alignas(64) float lpc[LN_LANES];                /* oldest first, without the newest */
    float signal[1 + LN_ORDER + LN_HOP];             /* the first one is padding and is not output */
} ln_work;

static inline void ln_quantise(int8_t *q, vf h)
{
    vf_bytes(q, vf_mul(h, vf_all(127.f / 32768.f)));
    for (int i = 0; i < LN_LANES; i++) LN_ASSERT(q[i] >= -127);
#if LN_OFFSET
    for (int i = 0; i < LN_LANES; i++) q[i] = (int8_t)(q[i] ^ -128);
#endif
}

static inline float ln_within(float x)
{
    x = x > LN_LIMIT ? LN_LIMIT : x;
    return x < -LN_LIMIT ? -LN_LIMIT : x;
}

/* Conditioning in packed order and scaled like the pre-activations; first: the gate that comes first in cond. */
static void ln_condition(const ln_layer *g, int hidden, const int gates[3], const float *cond, float *x)
{
    memset(x, 0, 3 * (size_t)g->units * sizeof *x);
    for (int gate = 0; gate < 3; gate++)
        for (int j = 0; j < hidden; j++)
            x[j / LN_LANES * 3 * LN_LANES + gate * LN_LANES + j % LN_LANES] =
                ln_within(cond[gates[gate] * hidden + j]) * (gate == 2 ? LN_GAIN_N : LN_GAIN_RZ);
}

/* Returns the non-recurrent part of the pre-activation for LN_LANES units of one gate. */
static inline vf ln_outside(const ln_layer *g, const int8_t *const *row, int rows, const float *x, int at)
{
    return vf_add(vf_load(x + at), vf_mul(vf_rows(row, rows, at), vf_load(g->table_scale + at)));
}

static inline vf ln_recurrent(const ln_layer *g, const int32_t *sum, int at)
{
    return vf_mul(vf_ints(sum + at), vf_load(g->recur_scale + at));
}

/* Returns the gate r or z of LN_LANES units as integers. */
static inline vh ln_gate(const ln_layer *g, const int8_t *const *row, int rows, const float *x, const int32_t *sum,
                         int at)
{
    return vh_sigmoid(vh_round(vf_add(ln_outside(g, row, rows, x, at), ln_recurrent(g, sum, at))));
}

/* A step of a reset-after GRU (Cho et al. 2014, in the form of cuDNN). r, z, n and h are scaled by 32768. The gates of
 * all units come first, because one unit after the other would be a long chain of dependent instructions. */
static inline __attribute__((always_inline)) void ln_gru(const ln_layer *layer, const int8_t *const *row, int rows,
                                                         const float *x, const int32_t *sum, float *h, int8_t *q)
{
    const ln_layer g = *layer;          /* a local copy: writes to q cannot alias it, so it stays in registers */
    _Alignas(64) int16_t r[LN_MAX_A], z[LN_MAX_A];
    for (int j = 0, at = 0; j < g.units; j += LN_LANES, at += 3 * LN_LANES) {
        vh_save(r + j, ln_gate(&g, row, rows, x, sum, at));
        vh_save(z + j, ln_gate(&g, row, rows, x, sum, at + LN_LANES));
    }
    for (int j = 0, at = 2 * LN_LANES; j < g.units; j += LN_LANES, at += 3 * LN_LANES) {
        const vf v = vf_add(ln_recurrent(&g, sum, at), vf_load(g.bias + j));
        const vf in = vf_add(ln_outside(&g, row, rows, x, at), vf_mul(vf_shorts(vh_fetch(r + j)), v));
        const vf n = vf_shorts(vh_tanh(vh_round(in)));
        const vf keep = vf_mul(vf_shorts(vh_fetch(z + j)), vf_all(1.f / 32768.f));
        const vf new = vf_add(n, vf_mul(keep, vf_sub(vf_load(h + j), n)));
        vf_store(h + j, new);
        ln_quantise(q + j, new);
    }
}

static inline const int8_t *ln_row(const ln_layer *g, int slot, int levels, int code)
{
    LN_ASSERT(code >= 0 && code < levels);
    return g->table + ((size_t)slot * (size_t)levels + (size_t)code) * (size_t)g->row;
}

/* Computes layer A and its inputs to layer B for both samples. now: codes of signal, prediction and excitation. */
static inline void ln_pair(const ln_model *m, ln_work *w, ln_state *s, const uint8_t now[LN_SLOTS_B],
                           const uint8_t *e, int period)
{
    const uint8_t *past = e - period;
    const uint8_t code[LN_SLOTS_A] = {now[0], now[1], now[2], e[-2], past[-1], past[0], past[1], past[2]};
    const int8_t *row[LN_SLOTS_A];
    for (int k = 0; k < LN_SLOTS_A; k++) row[k] = ln_row(&m->a, k, LN_LEVELS_A, code[k] >> 1);
    ln_product(&m->a.recur, w->qa, w->sum_a);
    ln_gru(&m->a, row, LN_SLOTS_A, w->cond_a, w->sum_a, s->a, w->qa);
    ln_product(&m->input_b, w->qa, w->sum_input);
    for (int half = 0, i = 0; half < 2; half++)
        for (int j = 0; j < 3 * m->b.units; j += LN_LANES, i += LN_LANES)
            vf_store(w->input + i, vf_add(vf_load(w->cond_b + j),
                                          vf_mul(vf_ints(w->sum_input + i), vf_load(m->input_scale + i))));
}

static inline void ln_single(const ln_model *m, ln_work *w, ln_state *s, int half, const uint8_t code[LN_SLOTS_B])
{
    const int8_t *row[LN_SLOTS_B];
    for (int k = 0; k < LN_SLOTS_B; k++) row[k] = ln_row(&m->b, k, LN_LEVELS, code[k]);
    ln_product(&m->b.recur, w->qb, w->sum_b);
    ln_gru(&m->b, row, LN_SLOTS_B, w->input + 3 * half * m->b.units, w->sum_b, s->b, w->qb);
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* The sample loop. Each level includes this file after its vectors (lpcnet/levels/vec_*.h) and after defining
 *   LN_OFFSET   0, or 128 where inputs of products are kept as bytes x + 128
 *   LN_FULL    1 if ln_product takes full matrices as tiles of 32 outputs
 *   LN_TILE     strips that it takes at a time otherwise
 *   static void ln_product(const ln_matrix *m, const int8_t *x, int32_t *y)   (exact integer sums)
 * Float operations are element-wise, in a fixed order, without contraction: the bits agree. */
#include "lpcnet/dense.h"
#include "lpcnet/layers.h"
#include <string.h>

/* splitmix64: one draw of eight bytes decides the eight bits */
static inline uint64_t ln_draw(uint64_t *state)
{
    uint64_t x = *state += 0x9E3779B97F4A7C15ull;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
    return x ^ (x >> 31);
}

/* Draws the thresholds of both subtrees, in the order of their lanes. */
static inline void ln_dice(uint64_t *state, float threshold[2][LN_LANES])
{
    uint64_t dice = ln_draw(state);
    for (int t = 0; t < 2; t++)
        for (int depth = 0; depth < 4; depth++, dice >>= 8)
            for (int i = 1 << depth; i < 2 << depth; i++) threshold[t][i] = ln_threshold[dice & 255];
}

/* Makes four decisions: computes all nodes of the subtree, then follows the path. Returns 16 ... 31. */
static inline unsigned ln_decide(const ln_subtree *t, ln_work *w, float sharpness, const float *threshold)
{
    vf branch[2];
    ln_product(&t->product, w->qb, w->sum_tree);
    for (int i = 0; i < 2; i++) {
        const vf x = vf_add(vf_mul(vf_ints(w->sum_tree + i * LN_LANES), vf_load(t->scale[i])), vf_load(t->bias[i]));
        branch[i] = vf_mul(vf_load(t->gain[i]), vf_shorts(vh_tanh(vh_round(x))));
    }
    const vf logit = vf_mul(vf_all(sharpness), vf_add(branch[0], branch[1]));
    const unsigned ones = vf_above(logit, vf_load(threshold));
    unsigned node = 1;
    for (int i = 0; i < 4; i++) node = 2 * node + (ones >> node & 1);
    return node;
}

static inline uint8_t ln_sample(const ln_model *m, ln_work *w, float sharpness, int half)
{
    const unsigned high = ln_decide(&m->tree[0], w, sharpness, w->threshold[half][0]);
    const unsigned low = ln_decide(&m->tree[high - 15], w, sharpness, w->threshold[half][1]);
    return (uint8_t)(16 * (high - 16) + (low - 16));
}

static inline float ln_saturate(float x)
{
    x = x < -32767.f ? -32767.f : x;
    return x > 32767.f ? 32767.f : x;
}

static inline int16_t ln_int16(float x) { return (int16_t)((int32_t)(x + 32768.5f) - 32768); }

/* Predicts a sample. newest, the sample before it, is added last, so that all other terms need not wait for it. */
static inline float ln_predict(const ln_work *w, const float *newest, float first)
{
    return -(vf_total(vf_mul(vf_load(newest - LN_LANES), vf_load(w->lpc))) + first * *newest);
}

static void ln_start(const ln_model *m, ln_work *w, const ln_state *s, const ln_frame *f)
{
    static const int order_a[3] = {1, 2, 0}, order_b[3] = {0, 1, 2};
    ln_condition(&m->a, m->hidden_a, order_a, f->cond_a, w->cond_a);
    ln_condition(&m->b, m->hidden_b, order_b, f->cond_b, w->cond_b);
    for (int j = 0; j < m->a.units; j += LN_LANES) ln_quantise(w->qa + j, vf_load(s->a + j));
    for (int j = 0; j < m->b.units; j += LN_LANES) ln_quantise(w->qb + j, vf_load(s->b + j));
    for (int i = 1; i < LN_LANES; i++) w->lpc[i] = f->lpc[LN_ORDER - i];
    w->lpc[0] = w->signal[0] = 0;
    memcpy(w->signal + 1, s->memory, sizeof s->memory);
    memset(w->threshold, 0, sizeof w->threshold);
}

/* Runs the network for sample t up to its distribution. */
static inline void ln_network(const ln_model *m, ln_work *w, ln_state *s, const ln_frame *f, int t, float prediction)
{
    const uint8_t *e = s->excitation + LN_HISTORY + t;
    const uint8_t code[LN_SLOTS_B] = {ln_to_ulaw(w->signal[LN_ORDER + t]), ln_to_ulaw(prediction), e[-1]};
    if (t % 2 == 0) ln_pair(m, w, s, code, e, f->period);
    ln_single(m, w, s, t % 2, code);
}

/* Draws sample t; returns it in the pre-emphasised domain. */
static inline float ln_speak(const ln_model *m, ln_work *w, ln_state *s, const ln_frame *f, int t, float prediction,
                             int16_t *pcm)
{
    const uint8_t e = ln_sample(m, w, f->sharpness, t % 2);
    const float x = ln_saturate(prediction + ln_expand[e]);
    s->excitation[LN_HISTORY + t] = e;
    s->emphasis = ln_saturate(x + .85f * s->emphasis);
    *pcm = ln_int16(s->emphasis);
    return x;
}

static inline float ln_follow(ln_state *s, int t, float prediction, int16_t pcm)
{
    const float x = (float)pcm - .85f * s->emphasis;
    s->excitation[LN_HISTORY + t] = ln_to_ulaw(x - prediction);
    s->emphasis = (float)pcm;
    return x;
}

static void ln_run_frame(const ln_model *m, ln_state *s, const ln_frame *f, int16_t *pcm, int mode)
{
    ln_work w;
    const int from = mode == LN_SKIP ? LN_HOP : mode == LN_FORCE ? f->from : 0;
    LN_ASSERT(f->period >= 32 && f->period <= 256 && from % 2 == 0);
    ln_start(m, &w, s, f);
    for (int t = 0; t < LN_HOP; t++) {
        float *x = w.signal + 1 + LN_ORDER + t;
        const float prediction = ln_predict(&w, x - 1, f->lpc[0]);
        if (mode == LN_GENERATE) ln_dice(&s->random, w.threshold[t % 2]);
        if (t >= from) ln_network(m, &w, s, f, t, prediction);
        *x = mode == LN_GENERATE ? ln_speak(m, &w, s, f, t, prediction, pcm + t) : ln_follow(s, t, prediction, pcm[t]);
    }
    memcpy(s->memory, w.signal + 1 + LN_HOP, sizeof s->memory);
    memmove(s->excitation, s->excitation + LN_HOP, LN_HISTORY);
}

static void ln_product_test(const ln_matrix *m, const int8_t *x, int inputs, int32_t *y)
{
    _Alignas(64) int8_t q[LN_MAX_A];
    for (int i = 0; i < inputs; i++) q[i] = (int8_t)(LN_OFFSET ? x[i] ^ -128 : x[i]);
    ln_product(m, q, y);
}

static void ln_tanh_test(const int16_t *x, int16_t *y)
{
    vh_save(y, vh_tanh(vh_fetch(x)));
}

#define LN_LEVEL(name) {name, LN_OFFSET, LN_FULL, LN_TILE, ln_run_frame, ln_dense, ln_product_test, ln_tanh_test}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The sample loop. Each level includes this file after defining
 *   static void ln_product(const ln_matrix *m, const int8_t *x, int32_t *y)   (exact integer sums)
 * and, if it defines LN_HAS_EMBED, ln_embed.
 * Float operations are element-wise, in a fixed order, without contraction: vectorised or not, the bits agree. */
#include "lpcnet.h"
#include <string.h>

/* Lambert's continued fraction for tanh, 4e-4 at worst after clamping. */
static inline float ln_tanh(float x)
{
    float s = x * x;
    float p = x * (135135.f + s * (17325.f + s * (378.f + s)));
    float q = 135135.f + s * (62370.f + s * (3150.f + s * 28.f));
    float y = p / q;
    y = y < -1.f ? -1.f : y;
    return y > 1.f ? 1.f : y;
}
static inline float ln_sigmoid(float x)
{
    x = x < -12.f ? -12.f : x;
    x = x > 12.f ? 12.f : x;
    return .5f + .5f * ln_tanh(.5f * x);
}
/* round half up, x in [-1, 1] */
static inline int8_t ln_quantise(float x) { return (int8_t)((int32_t)(127.f * x + 128.5f) - 128); }

static inline float ln_clamp8(float x)
{
    x = x < -8.f ? -8.f : x;
    return x > 8.f ? 8.f : x;
}

/* Reset-after GRU (Cho et al. 2014 as in cuDNN). rz, rh: recurrent sums r, z, n; x_*: input sums. */
static void ln_gru(int size, const int32_t *restrict sum, const float *restrict scale, const float *restrict x_r,
                   const float *restrict x_z, const float *restrict x_n, const float *restrict bias,
                   float *restrict h, int8_t *restrict q)
{
    float r[LN_MAX_A], z[LN_MAX_A];
    for (int j = 0; j < size; j++) r[j] = ln_sigmoid(x_r[j] + (float)sum[j] * scale[j]);
    for (int j = 0; j < size; j++) z[j] = ln_sigmoid(x_z[j] + (float)sum[size + j] * scale[size + j]);
    for (int j = 0; j < size; j++) {
        float v = (float)sum[2 * size + j] * scale[2 * size + j] + bias[j];
        float n = ln_tanh(ln_clamp8(x_n[j] + r[j] * v));
        h[j] = n + z[j] * (h[j] - n);
    }
    for (int j = 0; j < size; j++) q[j] = ln_quantise(h[j]);
}

#ifndef LN_HAS_EMBED   /* a level may bring its own, with the same order of additions per element */
static void ln_embed(int n, const float *restrict cond, const int8_t *restrict table, const float *restrict scale,
                     const uint8_t *code, float *restrict x)
{
    const int8_t *restrict row[LN_SLOTS];
    for (int k = 0; k < LN_SLOTS; k++) row[k] = table + ((size_t)k * LN_LEVELS + code[k]) * n;
    for (int j = 0; j < n; j++) {
        float sum = cond[j];
        sum += (float)row[0][j] * scale[j];
        sum += (float)row[1][j] * scale[n + j];
        sum += (float)row[2][j] * scale[2 * n + j];
        sum += (float)row[3][j] * scale[3 * n + j];
        sum += (float)row[4][j] * scale[4 * n + j];
        sum += (float)row[5][j] * scale[5 * n + j];
        x[j] = sum;
    }
}
#endif

static void ln_network(const ln_net *net, ln_state *s, const ln_frame *f, const uint8_t *code)
{
    float x[3 * LN_MAX_A];
    int32_t sum[3 * LN_MAX_A], sum_b[3 * LN_MAX_B];
    const int a = net->hidden_a, b = net->hidden_b;
    ln_embed(3 * a, f->cond_a, net->table, net->table_scale, code, x);
    ln_product(&net->recur_a, s->qa, sum);
    ln_gru(a, sum, net->recur_a.scale, x + a, x + 2 * a, x, net->bias_a, s->a, s->qa);
    ln_product(&net->input_b, s->qa, sum);
    ln_product(&net->recur_b, s->qb, sum_b);
    for (int j = 0; j < 3 * b; j++) x[j] = f->cond_b[j] + (float)sum[j] * net->input_b.scale[j];
    ln_gru(b, sum_b, net->recur_b.scale, x, x + b, x + 2 * b, net->bias_b, s->b, s->qb);
}

static inline float ln_branch(const ln_net *net, const int8_t *q, int half, int node)
{
    const int i = half * LN_LEVELS + node, b = net->hidden_b;
    const int8_t *w = net->tree + (size_t)i * b;
    int32_t sum = 0;
    for (int k = 0; k < b; k++) sum += w[k] * q[k];
    return net->tree_gain[i] * ln_tanh(ln_clamp8((float)sum * net->tree_scale[i] + net->tree_bias[i]));
}

/* splitmix64: one draw of eight bytes decides the eight bits */
static inline uint64_t ln_draw(uint64_t *state)
{
    uint64_t x = *state += 0x9E3779B97F4A7C15ull;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
    return x ^ (x >> 31);
}

static uint8_t ln_sample(const ln_net *net, ln_state *s, float sharpness)
{
    uint64_t dice = ln_draw(&s->random);
    int node = 1;
    for (int l = 0; l < 8; l++, dice >>= 8) {
        float logit = sharpness * (ln_branch(net, s->qb, 0, node) + ln_branch(net, s->qb, 1, node));
        node = 2 * node + (logit > ln_threshold[dice & 255]);
    }
    return (uint8_t)node;
}

static inline float ln_saturate(float x)
{
    x = x < -32767.f ? -32767.f : x;
    return x > 32767.f ? 32767.f : x;
}

static inline int16_t ln_round(float x) { return (int16_t)((int32_t)(x + 32768.5f) - 32768); }

static void ln_run_frame(const ln_net *net, ln_state *s, const ln_frame *f, int16_t *pcm, int mode)
{
    float m[LN_ORDER];
    memcpy(m, s->memory, sizeof m);
    for (int t = 0; t < LN_HOP; t++) {
        uint8_t *e = s->excitation + LN_HISTORY + t;
        float prediction = 0;
        for (int k = 0; k < LN_ORDER; k++) prediction -= f->lpc[k] * m[k];
        if (mode != LN_SKIP) {
            const uint8_t code[LN_SLOTS] = {ln_to_ulaw(m[0]), ln_to_ulaw(prediction), e[-1],
                                            e[-f->period - 1], e[-f->period], e[-f->period + 1]};
            ln_network(net, s, f, code);
        }
        float x;
        if (mode == LN_GENERATE) {
            *e = ln_sample(net, s, f->sharpness);
            x = ln_saturate(prediction + ln_expand[*e]);
            s->emphasis = ln_saturate(x + .85f * s->emphasis);
            pcm[t] = ln_round(s->emphasis);
        } else {
            x = (float)pcm[t] - .85f * s->emphasis;
            *e = ln_to_ulaw(x - prediction);
            s->emphasis = (float)pcm[t];
        }
        memmove(m + 1, m, (LN_ORDER - 1) * sizeof(float));
        m[0] = x;
    }
    memcpy(s->memory, m, sizeof m);
    memmove(s->excitation, s->excitation + LN_HOP, LN_HISTORY);
}

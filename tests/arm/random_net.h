/* SPDX-License-Identifier: BSD-2-Clause */
/* Random legal vocoders for the tests: the same seed gives the same bits on every processor. */
#ifndef DREDGE_RANDOM_NET_H
#define DREDGE_RANDOM_NET_H

#include "lpcnet/lpcnet.h"
#include "lpcnet/frame.h"
#include <stdlib.h>

#define RN_FEATURES 20
#define RN_EMBEDDING 12
#define RN_COND 24

typedef struct { int hidden_a, hidden_b, percent, frames; } rn_size;   /* percent: blocks that are kept */

/* xorshift64*: unlike the kernels' own generator, so that a fault there cannot hide. */
static inline uint64_t rn_bits(uint64_t *s)
{
    *s ^= *s >> 12;
    *s ^= *s << 25;
    *s ^= *s >> 27;
    return *s * 0x2545F4914F6CDD1Dull;
}
static inline int rn_int(uint64_t *s, int low, int high)
{
    return low + (int)((rn_bits(s) >> 33) % (uint64_t)(high - low + 1));
}
/* low ... high; every operation is one IEEE rounding */
static inline float rn_real(uint64_t *s, float low, float high)
{
    return low + (high - low) * ((float)(int32_t)(rn_bits(s) >> 40) / 16777216.f);
}

/* Zeroed room that rn_free gives back, all at once. */
typedef struct rn_piece { struct rn_piece *next; _Alignas(16) char data[]; } rn_piece;
static rn_piece *rn_pieces;

static inline void *rn_room(size_t n, size_t size)
{
    rn_piece *p = calloc(1, sizeof *p + n * size);
    if (!p) abort();
    p->next = rn_pieces;
    rn_pieces = p;
    return p->data;
}
static inline void rn_free(void)
{
    while (rn_pieces) {
        rn_piece *p = rn_pieces;
        rn_pieces = p->next;
        free(p);
    }
}
static inline float *rn_reals(uint64_t *s, size_t n, float low, float high)
{
    float *p = rn_room(n, sizeof *p);
    for (size_t i = 0; i < n; i++) p[i] = rn_real(s, low, high);
    return p;
}
/* -most ... most, one run of 16 in four at the two extremes: the largest sums, in one direction and mixed */
static inline void rn_fill(uint64_t *s, int8_t *p, size_t n, int most)
{
    int kind = 0;
    for (size_t i = 0; i < n; i++) {
        if (i % 16 == 0) kind = rn_int(s, 0, 11);
        p[i] = (int8_t)(kind > 2 ? rn_int(s, -most, most) : most - 2 * most * (kind == 2 ? rn_int(s, 0, 1) : kind));
    }
}
static inline void rn_fill8(uint64_t *s, int8_t *p, size_t n) { rn_fill(s, p, n, 127); }
static inline int8_t *rn_int8s(uint64_t *s, size_t n, int most)
{
    int8_t *p = rn_room(n, 1);
    rn_fill(s, p, n, most);
    return p;
}

/* Strip 0 is empty and strip 1 is full where there are three or more, the others are random. */
static inline ln_blocks rn_matrix(uint64_t *s, int outputs, int inputs, int percent)
{
    const int strips = outputs / 8, columns = inputs / 4;
    uint16_t *count = rn_room((size_t)strips, sizeof *count);
    uint8_t *column = rn_room((size_t)strips * (size_t)columns, 1);
    int n = 0;
    for (int i = 0; i < strips; i++) {
        const int keep = strips < 3 || i > 1 ? percent : 100 * i;
        for (int c = 0; c < columns; c++)
            if (rn_int(s, 1, 100) <= keep) { column[n++] = (uint8_t)c; count[i]++; }
    }
    const float typical = 1.f / (127.f * 20.f * (1.f + (float)(inputs * percent) / 800.f));
    return (ln_blocks){outputs, inputs, rn_int8s(s, 32 * (size_t)n, LN_WEIGHT), column, count,
                       rn_reals(s, (size_t)outputs, .2f * typical, typical)};
}

static inline ln_net rn_net(uint64_t *s, const rn_size *z)
{
    const size_t a = (size_t)z->hidden_a, b = (size_t)z->hidden_b;
    ln_net n = {.hidden_a = z->hidden_a, .hidden_b = z->hidden_b};
    n.table = rn_int8s(s, LN_SLOTS_A * LN_LEVELS_A * 3 * a, 127);
    n.table_scale = rn_reals(s, 3 * a, .001f, .01f);
    n.table_b = rn_int8s(s, LN_SLOTS_B * LN_LEVELS * 3 * b, 127);
    n.table_b_scale = rn_reals(s, 3 * b, .001f, .01f);
    n.recur_a = rn_matrix(s, 3 * z->hidden_a, z->hidden_a, z->percent);
    n.input_b = rn_matrix(s, 6 * z->hidden_b, z->hidden_a, z->percent);
    n.recur_b = rn_matrix(s, 3 * z->hidden_b, z->hidden_b, 100);
    n.bias_a = rn_reals(s, a, -.5f, .5f);
    n.bias_b = rn_reals(s, b, -.5f, .5f);
    n.tree = rn_int8s(s, 2 * LN_LEVELS * b, LN_WEIGHT);
    n.tree_scale = rn_reals(s, 2 * LN_LEVELS, .5e-4f, 1e-4f);
    n.tree_bias = rn_reals(s, 2 * LN_LEVELS, -.5f, .5f);
    n.tree_gain = rn_reals(s, 2 * LN_LEVELS, -1.5f, 1.5f);
    return n;
}

/* binary16 up to `gain` < 1 in size, subnormal numbers among them */
static inline uint16_t *rn_halves(uint64_t *s, size_t n, float gain)
{
    uint16_t *p = rn_room(n, sizeof *p);
    int top = 14;
    while (top > 1 && gain < 1.f / (float)(1 << (14 - top))) top--;
    for (size_t i = 0; i < n; i++)
        p[i] = (uint16_t)(rn_int(s, 0, 1) << 15 | (rn_int(s, 0, 9) ? rn_int(s, top - 4, top) : 0) << 10 | rn_int(s, 0, 1023));
    return p;
}

static inline lf_layer rn_dense(uint64_t *s, int inputs, int outputs)
{
    const float gain = 4.f / (8.f + (float)inputs);
    return (lf_layer){inputs, outputs, rn_halves(s, (size_t)inputs * (size_t)outputs, gain),
                      rn_reals(s, (size_t)outputs, -.3f, .3f)};
}

static inline lf_source rn_frame_net(uint64_t *s, const rn_size *z)
{
    lf_source f = {.features = RN_FEATURES, .embedding = RN_EMBEDDING};
    f.pitch = rn_halves(s, LF_PERIODS * RN_EMBEDDING, .5f);
    f.conv1 = rn_dense(s, 3 * (RN_FEATURES + RN_EMBEDDING), RN_COND);
    f.conv2 = rn_dense(s, 3 * RN_COND, RN_COND);
    f.dense1 = rn_dense(s, RN_COND, RN_COND);
    f.dense2 = rn_dense(s, RN_COND, RN_COND);
    f.cond_a = rn_dense(s, RN_COND, 3 * z->hidden_a);
    f.cond_b = rn_dense(s, RN_COND, 3 * z->hidden_b);
    return f;
}

/* What an extractor could say: cepstra, log pitch (periods 32 ... 256 and beyond), correlation. */
static inline void rn_features(uint64_t *s, float *row)
{
    row[0] = rn_real(s, -6.f, 6.f);
    for (int i = 1; i < 18; i++) row[i] = rn_real(s, -1.5f, 1.5f) / (1.f + .2f * (float)i);
    row[18] = rn_real(s, -1.8f, 1.8f);
    row[19] = rn_real(s, -.5f, .5f);
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* A layer of the frame-rate network for one level; each level includes this file after its vectors. Every output is
 * summed in the order of the inputs, so that all levels round alike. Several outputs are computed at a time, which
 * hides the latency of the additions. Their sums are single variables, because compilers keep arrays of vectors in
 * memory. */
#ifndef DREDGE_LPCNET_DENSE_H
#define DREDGE_LPCNET_DENSE_H

#include "lpcnet/frame.h"

/* Sums of two times LF_LANES outputs. */
typedef struct { vf a, b; } ln_sums;

static inline ln_sums ln_dense_add(ln_sums y, vf x, vf a, vf b)
{
    return (ln_sums){vf_add(y.a, vf_mul(x, a)), vf_add(y.b, vf_mul(x, b))};
}

static inline ln_sums ln_dense_bias(const float *bias) { return (ln_sums){vf_load(bias), vf_load(bias + LF_LANES)}; }

static inline void ln_dense_store(float *y, ln_sums sums)
{
    vf_store(y, sums.a);
    vf_store(y + LF_LANES, sums.b);
}

/* Computes a layer for two frames (inputs x, x2), so that each weight is read and converted once for both. */
static inline void ln_dense_both(const uint16_t *w, const float *bias, size_t inputs, const float *x, const float *x2,
                                 float *y, float *y2)
{
    const size_t stride = inputs * LF_LANES;
    ln_sums first = ln_dense_bias(bias), second = first;
    for (const uint16_t *end = w + stride; w < end; w += LF_LANES) {
        const vf a = vf_halves(w), b = vf_halves(w + stride);
        first = ln_dense_add(first, vf_all(*x++), a, b);
        second = ln_dense_add(second, vf_all(*x2++), a, b);
    }
    ln_dense_store(y, first);
    ln_dense_store(y2, second);
}

static inline void ln_dense_one(const uint16_t *w, const float *bias, size_t inputs, const float *x, float *y)
{
    const size_t stride = inputs * LF_LANES;
    ln_sums sums = ln_dense_bias(bias);
    for (const uint16_t *end = w + stride; w < end; w += LF_LANES)
        sums = ln_dense_add(sums, vf_all(*x++), vf_halves(w), vf_halves(w + stride));
    ln_dense_store(y, sums);
}

/* Computes the last LF_LANES outputs where their number is odd. */
static inline void ln_dense_rest(const uint16_t *w, const float *bias, size_t inputs, const float *x, float *y)
{
    vf sum = vf_load(bias);
    for (size_t i = 0; i < inputs; i++, w += LF_LANES) sum = vf_add(sum, vf_mul(vf_all(x[i]), vf_halves(w)));
    vf_store(y, sum);
}

static void ln_dense(const lf_dense *d, int frames, const float *x, size_t x_step, float *y, size_t y_step)
{
    const size_t outputs = LF_PADDED((size_t)d->outputs), inputs = (size_t)d->inputs;
    size_t j = 0;
    for (; j + 2 * LF_LANES <= outputs; j += 2 * LF_LANES) {
        if (frames == 2) ln_dense_both(d->weight + j * inputs, d->bias + j, inputs, x, x + x_step, y + j, y + y_step + j);
        else ln_dense_one(d->weight + j * inputs, d->bias + j, inputs, x, y + j);
    }
    for (int i = 0; j < outputs && i < frames; i++)
        ln_dense_rest(d->weight + j * inputs, d->bias + j, inputs, x + (size_t)i * x_step, y + (size_t)i * y_step + j);
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* A layer of the frame-rate network, for one level: included after its vectors. Every output is summed in the order of
 * the inputs, so that all levels round alike; several outputs at a time hide the latency of that. */
#ifndef DREDGE_LPCNET_DENSE_H
#define DREDGE_LPCNET_DENSE_H

#include "lpcnet/frame.h"

#define LN_WIDE 4   /* times LF_LANES outputs at a time */

static inline __attribute__((always_inline)) void ln_dense_part(const lf_dense *d, int wide, int part, const float *x,
                                                                float *y)
{
    const size_t stride = (size_t)d->inputs * LF_LANES;
    const uint16_t *w = d->weight + (size_t)part * stride;
    vf sum[LN_WIDE];
    for (int k = 0; k < wide; k++) sum[k] = vf_load(d->bias + (part + k) * LF_LANES);
    for (int i = 0; i < d->inputs; i++, w += LF_LANES) {
        const vf v = vf_all(x[i]);
        for (int k = 0; k < wide; k++) sum[k] = vf_add(sum[k], vf_mul(v, vf_halves(w + (size_t)k * stride)));
    }
    for (int k = 0; k < wide; k++) vf_store(y + (part + k) * LF_LANES, sum[k]);
}

static void ln_dense(const lf_dense *d, const float *x, float *y)
{
    const int parts = LF_PADDED(d->outputs) / LF_LANES;
    int i = 0;
    for (; i + LN_WIDE <= parts; i += LN_WIDE) ln_dense_part(d, LN_WIDE, i, x, y);
    for (; i < parts; i++) ln_dense_part(d, 1, i, x, y);
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* Vectors of sixteen numbers as loops: the specification of the other levels' vectors. */
#ifndef DREDGE_LPCNET_VEC_SCALAR_H
#define DREDGE_LPCNET_VEC_SCALAR_H

#include "common/half.h"
#include "lpcnet/pack.h"
#include <math.h>
#include <string.h>

typedef struct { float v[16]; } vf;
typedef struct { int16_t v[16]; } vh;
#define VEC_EACH for (int i = 0; i < 16; i++)

static inline vf vf_load(const float *p) { vf y; memcpy(&y, p, sizeof y); return y; }
static inline vf vf_halves(const uint16_t *p) { vf y; VEC_EACH y.v[i] = half_to_float(p[i]); return y; }
static inline void vf_store(float *p, vf x) { memcpy(p, &x, sizeof x); }
static inline vf vf_all(float x) { vf y; VEC_EACH y.v[i] = x; return y; }
static inline vf vf_add(vf x, vf y) { VEC_EACH x.v[i] += y.v[i]; return x; }
static inline vf vf_sub(vf x, vf y) { VEC_EACH x.v[i] -= y.v[i]; return x; }
static inline vf vf_mul(vf x, vf y) { VEC_EACH x.v[i] *= y.v[i]; return x; }
static inline vf vf_ints(const int32_t *p) { vf y; VEC_EACH y.v[i] = (float)p[i]; return y; }
static inline vf vf_shorts(vh x) { vf y; VEC_EACH y.v[i] = (float)x.v[i]; return y; }

/* Halves are added until one number is left. */
static inline float vf_total(vf x)
{
    for (int n = 8; n; n /= 2)
        for (int i = 0; i < n; i++) x.v[i] += x.v[i + n];
    return x.v[0];
}

/* bit i: x[i] > y[i] */
static inline unsigned vf_above(vf x, vf y)
{
    unsigned m = 0;
    VEC_EACH m |= (unsigned)(x.v[i] > y.v[i]) << i;
    return m;
}

/* Sum of the rows from byte `at`. */
static inline vf vf_rows(const int8_t *const *row, int rows, int at)
{
    int16_t sum[16] = {0};
    vf y;
    for (int k = 0; k < rows; k++) VEC_EACH sum[i] = (int16_t)(sum[i] + row[k][at + i]);
    VEC_EACH y.v[i] = (float)sum[i];
    return y;
}

static inline vh vh_fetch(const int16_t *p) { vh y; memcpy(&y, p, sizeof y); return y; }
static inline void vh_save(int16_t *p, vh x) { memcpy(p, &x, sizeof x); }

/* To the nearest, ties to even; saturated. */
static inline vh vh_round(vf x)
{
    vh y;
    VEC_EACH {
        const int32_t n = (int32_t)lrintf(x.v[i]);
        y.v[i] = (int16_t)(n < -32768 ? -32768 : n > 32767 ? 32767 : n);
    }
    return y;
}

static inline int16_t vec_times(int32_t x, int32_t y) { return (int16_t)((x * y + 0x4000) >> 15); }

static inline int16_t vec_tanh(int16_t x)
{
    static const int16_t c0[16] = {LN_TANH_0(LN_TANH_WHOLE)}, c1[16] = {LN_TANH_1(LN_TANH_WHOLE)},
                         c2[16] = {LN_TANH_2(LN_TANH_WHOLE)};
    const int32_t size = x < -32767 ? 32767 : x < 0 ? -x : x;
    const int32_t i = size >> 11, d = (size & 2047) << 4;
    const int32_t y = c0[i] + vec_times(d, c1[i] + vec_times(d, c2[i]));
    return (int16_t)(x < 0 ? -y : y);
}
static inline vh vh_tanh(vh x) { VEC_EACH x.v[i] = vec_tanh(x.v[i]); return x; }

/* 32768 (1 + tanh) / 2, below 32768 */
static inline vh vh_sigmoid(vh x) { VEC_EACH x.v[i] = (int16_t)((vec_tanh(x.v[i]) >> 1) + 16384); return x; }

/* Sixteen int8, x in [-127, 127] rounded like vh_round. */
static inline void vf_bytes(int8_t *q, vf x) { VEC_EACH q[i] = (int8_t)lrintf(x.v[i]); }

#endif

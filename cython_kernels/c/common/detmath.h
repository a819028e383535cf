/* SPDX-License-Identifier: BSD-2-Clause */
/* Logarithm and exponential made of IEEE additions, multiplications and divisions only, so that every
 * board computes the same bits (libm does not promise that). Relative error below 3e-7. */
#ifndef DREDGE_DETMATH_H
#define DREDGE_DETMATH_H

#include <stdint.h>
#include <string.h>

static inline float dm_from_bits(uint32_t bits) { float x; memcpy(&x, &bits, 4); return x; }
static inline uint32_t dm_to_bits(float x) { uint32_t b; memcpy(&b, &x, 4); return b; }

/* 2^x, x clamped to [-126, 126], NaN as -126. Taylor series of exp on |f| <= ln(2)/2. */
static inline float dm_exp2(float x)
{
    x = x > -126.f ? x : -126.f;
    x = x < 126.f ? x : 126.f;
    int32_t i = (int32_t)(x + (x >= 0.f ? .5f : -.5f));
    float f = (x - (float)i) * 0.69314718056f;
    float p = 1.f / 5040.f;
    p = p * f + 1.f / 720.f;
    p = p * f + 1.f / 120.f;
    p = p * f + 1.f / 24.f;
    p = p * f + 1.f / 6.f;
    p = p * f + .5f;
    p = p * f + 1.f;
    p = p * f + 1.f;
    return p * dm_from_bits((uint32_t)(i + 127) << 23);
}

/* log2(x) for normal x > 0: atanh series on the mantissa in [sqrt(1/2), sqrt(2)). */
static inline float dm_log2(float x)
{
    uint32_t bits = dm_to_bits(x);
    int32_t e = (int32_t)(bits >> 23) - 127;
    float m = dm_from_bits((bits & 0x7fffffu) | 0x3f800000u);
    if (m > 1.41421356f) { m *= .5f; e += 1; }
    float t = (m - 1.f) / (m + 1.f), t2 = t * t;
    float p = 1.f / 9.f;
    p = p * t2 + 1.f / 7.f;
    p = p * t2 + 1.f / 5.f;
    p = p * t2 + 1.f / 3.f;
    p = p * t2 + 1.f;
    return (float)e + 2.88539008178f * t * p;
}

#define DM_LOG2_10 3.32192809489f
#define DM_LOG10_2 0.30102999566f
static inline float dm_exp10(float x) { return dm_exp2(x * DM_LOG2_10); }
static inline float dm_log10(float x) { return dm_log2(x) * DM_LOG10_2; }
static inline float dm_exp(float x) { return dm_exp2(x * 1.44269504089f); }
static inline float dm_ln(float x) { return dm_log2(x) * 0.69314718056f; }

#endif

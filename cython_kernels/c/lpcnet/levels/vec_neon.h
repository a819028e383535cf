/* SPDX-License-Identifier: BSD-2-Clause */
/* Sixteen numbers at a time in four (floats) or two (int16) 128-bit registers. */
#ifndef DREDGE_LPCNET_VEC_NEON_H
#define DREDGE_LPCNET_VEC_NEON_H

#include "lpcnet/pack.h"
#include <arm_neon.h>

typedef struct { float32x4_t v[4]; } vf;
typedef struct { int16x8_t v[2]; } vh;
#define VEC_FLOATS for (int i = 0; i < 4; i++)
#define VEC_SHORTS for (int i = 0; i < 2; i++)

static inline vf vf_load(const float *p) { vf y; VEC_FLOATS y.v[i] = vld1q_f32(p + 4 * i); return y; }
static inline vf vf_halves(const uint16_t *p)
{
    vf y;
    VEC_FLOATS y.v[i] = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i)));
    return y;
}
static inline void vf_store(float *p, vf x) { VEC_FLOATS vst1q_f32(p + 4 * i, x.v[i]); }
static inline vf vf_all(float x) { vf y; VEC_FLOATS y.v[i] = vdupq_n_f32(x); return y; }
static inline vf vf_add(vf x, vf y) { VEC_FLOATS x.v[i] = vaddq_f32(x.v[i], y.v[i]); return x; }
static inline vf vf_sub(vf x, vf y) { VEC_FLOATS x.v[i] = vsubq_f32(x.v[i], y.v[i]); return x; }
static inline vf vf_mul(vf x, vf y) { VEC_FLOATS x.v[i] = vmulq_f32(x.v[i], y.v[i]); return x; }
static inline vf vf_ints(const int32_t *p) { vf y; VEC_FLOATS y.v[i] = vcvtq_f32_s32(vld1q_s32(p + 4 * i)); return y; }

static inline vf vf_shorts(vh x)
{
    vf y;
    VEC_SHORTS {
        y.v[2 * i] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(x.v[i])));
        y.v[2 * i + 1] = vcvtq_f32_s32(vmovl_s16(vget_high_s16(x.v[i])));
    }
    return y;
}

static inline float vf_total(vf x)
{
    const float32x4_t four = vaddq_f32(vaddq_f32(x.v[0], x.v[2]), vaddq_f32(x.v[1], x.v[3]));
    const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

static inline unsigned vf_above(vf x, vf y)
{
    static const uint16_t bit[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    const uint16x8_t bits = vld1q_u16(bit);
    unsigned half[2];
    VEC_SHORTS {
        const uint16x4_t low = vmovn_u32(vcgtq_f32(x.v[2 * i], y.v[2 * i]));
        const uint16x4_t high = vmovn_u32(vcgtq_f32(x.v[2 * i + 1], y.v[2 * i + 1]));
        half[i] = vaddvq_u16(vandq_u16(vcombine_u16(low, high), bits));
    }
    return half[0] | half[1] << 8;
}

/* Returns the sum of the rows; it adds two rows at a time and expects an even number of them. */
static inline vf vf_rows(const int8_t *const *row, int rows, int at)
{
    vh sum = {{vdupq_n_s16(0), vdupq_n_s16(0)}};
    int k = 0;
    for (; k + 2 <= rows; k += 2) {
        const int8x16_t x = vld1q_s8(row[k] + at), y = vld1q_s8(row[k + 1] + at);
        const int16x8_t low = vaddl_s8(vget_low_s8(x), vget_low_s8(y)), high = vaddl_high_s8(x, y);
        sum.v[0] = k ? vaddq_s16(sum.v[0], low) : low;
        sum.v[1] = k ? vaddq_s16(sum.v[1], high) : high;
    }
    for (; k < rows; k++) {
        const int8x16_t x = vld1q_s8(row[k] + at);
        sum.v[0] = vaddw_s8(sum.v[0], vget_low_s8(x));
        sum.v[1] = vaddw_high_s8(sum.v[1], x);
    }
    return vf_shorts(sum);
}

static inline vh vh_fetch(const int16_t *p) { vh y; VEC_SHORTS y.v[i] = vld1q_s16(p + 8 * i); return y; }
static inline void vh_save(int16_t *p, vh x) { VEC_SHORTS vst1q_s16(p + 8 * i, x.v[i]); }

static inline vh vh_round(vf x)
{
    vh y;
    VEC_SHORTS y.v[i] = vqmovn_high_s32(vqmovn_s32(vcvtnq_s32_f32(x.v[2 * i])), vcvtnq_s32_f32(x.v[2 * i + 1]));
    return y;
}

/* Looks sixteen shorts up by the positions of their two bytes. */
static inline int16x8_t vec_look_up(const int16_t table[16], uint8x16_t bytes)
{
    const uint8x16x2_t t = {{vreinterpretq_u8_s16(vld1q_s16(table)), vreinterpretq_u8_s16(vld1q_s16(table + 8))}};
    return vreinterpretq_s16_u8(vqtbl2q_u8(t, bytes));
}

static inline int16x8_t vec_tanh(int16x8_t x)
{
    static const int16_t c0[16] = {LN_TANH_0(LN_TANH_WHOLE)}, c1[16] = {LN_TANH_1(LN_TANH_WHOLE)},
                         c2[16] = {LN_TANH_2(LN_TANH_WHOLE)};
    const int16x8_t size = vqabsq_s16(x);
    const int16x8_t d = vshlq_n_s16(vandq_s16(size, vdupq_n_s16(2047)), 4);
    const uint16x8_t i = vshrq_n_u16(vreinterpretq_u16_s16(size), 11);
    const uint8x16_t bytes = vreinterpretq_u8_u16(vmlaq_u16(vdupq_n_u16(0x0100), i, vdupq_n_u16(0x0202)));
    const int16x8_t slope = vaddq_s16(vec_look_up(c1, bytes), vqrdmulhq_s16(d, vec_look_up(c2, bytes)));
    const int16x8_t y = vaddq_s16(vec_look_up(c0, bytes), vqrdmulhq_s16(d, slope));
    const int16x8_t sign = vshrq_n_s16(x, 15);
    return vsubq_s16(veorq_s16(y, sign), sign);
}

static inline vh vh_tanh(vh x) { VEC_SHORTS x.v[i] = vec_tanh(x.v[i]); return x; }

static inline vh vh_sigmoid(vh x)
{
    VEC_SHORTS x.v[i] = vsraq_n_s16(vdupq_n_s16(16384), vec_tanh(x.v[i]), 1);
    return x;
}

static inline void vf_bytes(int8_t *q, vf x)
{
    const vh y = vh_round(x);
    vst1q_s8(q, vcombine_s8(vmovn_s16(y.v[0]), vmovn_s16(y.v[1])));
}

#endif

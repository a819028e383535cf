/* SPDX-License-Identifier: BSD-2-Clause */
#if defined(__aarch64__)
#pragma GCC target("arch=armv8.2-a+dotprod,tune=cortex-a76")
#include "lpcnet/levels/vec_neon.h"

#define LN_OFFSET 0
#define LN_FULL 1
#define LN_TILE 1

/* ARMv8.2 with SDOT (Cortex-A76): four products and their sum in one instruction. */
static inline int8x16_t four_inputs(const int8_t *x)
{
    return vreinterpretq_s8_s32(vld1q_dup_s32((const int32_t *)(const void *)x));
}

static inline void sparse_product(const ln_matrix *m, const int8_t *x, int32_t *y)
{
    const int8_t *w = m->weights;
    const uint8_t *column = m->column;
    for (int s = 0; s < m->tiles; s++) {
        int32x4_t low = vdupq_n_s32(0), high = low, low2 = low, high2 = low;
        for (const uint8_t *end = column + 2 * m->steps[s]; column < end; column += 2, w += 64) {
            const int8x16_t u = four_inputs(x + 4 * column[0]), v = four_inputs(x + 4 * column[1]);
            low = vdotq_s32(low, vld1q_s8(w), u);
            high = vdotq_s32(high, vld1q_s8(w + 16), u);
            low2 = vdotq_s32(low2, vld1q_s8(w + 32), v);
            high2 = vdotq_s32(high2, vld1q_s8(w + 48), v);
        }
        vst1q_s32(y + m->place[s], vaddq_s32(low, low2));
        vst1q_s32(y + m->place[s] + 4, vaddq_s32(high, high2));
    }
}

/* 32 outputs at a time */
static void dense_product(const ln_matrix *m, const int8_t *x, int32_t *y)
{
    const int8_t *w = m->weights;
    for (int i = 0; i < m->tiles; i++, y += 32) {
        int32x4_t sum[8];
        for (int j = 0; j < 8; j++) sum[j] = vdupq_n_s32(0);
        for (int k = 0; k < m->dense; k += 2, w += 256) {
            const int8x8_t eight = vld1_s8(x + 4 * k);
            for (int j = 0; j < 8; j++) sum[j] = vdotq_lane_s32(sum[j], vld1q_s8(w + 16 * j), eight, 0);
            for (int j = 0; j < 8; j++) sum[j] = vdotq_lane_s32(sum[j], vld1q_s8(w + 128 + 16 * j), eight, 1);
        }
        for (int j = 0; j < 8; j++) vst1q_s32(y + 4 * j, sum[j]);
    }
}

static inline void ln_product(const ln_matrix *m, const int8_t *x, int32_t *y)
{
    if (m->dense) dense_product(m, x, y);
    else sparse_product(m, x, y);
}

#include "lpcnet/run.h"

const ln_level ln_level_dotprod = LN_LEVEL("neon_dotprod");
#else
typedef int dredge_no_dotprod;
#endif

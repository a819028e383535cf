/* SPDX-License-Identifier: BSD-2-Clause */
#if defined(__aarch64__)
#include "lpcnet.h"
#include <arm_neon.h>
#include <string.h>

/* ARMv8.0 (Cortex-A53, A72): products to 16 bits (127 * 127 fits), pairs added into 32 bits. */
static void ln_product(const ln_matrix *m, const int8_t *x, int32_t *y)
{
    const int8_t *w = m->blocks;
    const uint8_t *column = m->column;
    for (int s = 0; s < m->outputs / 8; s++, y += 8) {
        int32x4_t s0 = vdupq_n_s32(0), s1 = s0, s2 = s0, s3 = s0;   /* two outputs each, two halves per output */
        for (int n = 0; n < m->count[s]; n++, w += 32) {
            int32_t four;
            memcpy(&four, x + 4 * *column++, 4);
            const int8x8_t v = vreinterpret_s8_s32(vdup_n_s32(four));
            const int8x16_t a = vld1q_s8(w), b = vld1q_s8(w + 16);
            s0 = vpadalq_s16(s0, vmull_s8(vget_low_s8(a), v));
            s1 = vpadalq_s16(s1, vmull_s8(vget_high_s8(a), v));
            s2 = vpadalq_s16(s2, vmull_s8(vget_low_s8(b), v));
            s3 = vpadalq_s16(s3, vmull_s8(vget_high_s8(b), v));
        }
        vst1q_s32(y, vpaddq_s32(s0, s1));
        vst1q_s32(y + 4, vpaddq_s32(s2, s3));
    }
}

#include "lpcnet_run.h"

const ln_level ln_level_neon = {"neon", ln_run_frame, ln_product};
#else
typedef int dredge_no_neon;
#endif

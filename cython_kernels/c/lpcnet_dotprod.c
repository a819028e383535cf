/* SPDX-License-Identifier: BSD-2-Clause */
#if defined(__aarch64__)
#pragma GCC target("arch=armv8.2-a+dotprod")
#include "lpcnet.h"
#include <arm_neon.h>
#include <string.h>

/* ARMv8.2 with SDOT (Cortex-A76): four products and their sum in one instruction. */
static void ln_product(const ln_matrix *m, const int8_t *x, int32_t *y)
{
    const int8_t *w = m->blocks;
    const uint8_t *column = m->column;
    for (int s = 0; s < m->outputs / 8; s++, y += 8) {
        int32x4_t low = vdupq_n_s32(0), high = low;
        for (int n = 0; n < m->count[s]; n++, w += 32) {
            int32_t four;
            memcpy(&four, x + 4 * *column++, 4);
            const int8x16_t v = vreinterpretq_s8_s32(vdupq_n_s32(four));
            low = vdotq_s32(low, vld1q_s8(w), v);
            high = vdotq_s32(high, vld1q_s8(w + 16), v);
        }
        vst1q_s32(y, low);
        vst1q_s32(y + 4, high);
    }
}

#include "lpcnet_run.h"

const ln_level ln_level_dotprod = {"neon_dotprod", ln_run_frame, ln_product};
#else
typedef int dredge_no_dotprod;
#endif

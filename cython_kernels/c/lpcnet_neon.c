/* SPDX-License-Identifier: BSD-2-Clause */
#if defined(__aarch64__)
#pragma GCC target("tune=cortex-a53")
#include "lpcnet_vec_neon.h"

#define LN_OFFSET 0
#define LN_FULL 0
#define LN_TILE 1

/* ARMv8.0 (Cortex-A53, A72). Two blocks of a strip at a time: the products of both are added in 16 bits, which holds
 * because 2 * 127 * 127 = 32258 < 32768 (with -128 it would not), then pairs of neighbours into 32 bits. A lane of
 * s[i] is half of one output; s[i] has outputs 2 i and 2 i + 1.
 *
 * The A53 executes in order and starts a load of 64 bits beside an arithmetic instruction, but not one of 128:
 * everything is loaded in 64-bit pieces, one step ahead of its use. */
typedef struct { int8x8_t first[4], second[4], x[2]; } ln_step;

static inline int8x8_t four_inputs(const int8_t *x)
{
    return vreinterpret_s8_s32(vld1_dup_s32((const int32_t *)(const void *)x));
}

static inline ln_step load_step(const int8_t *w, const int8_t *x, const uint8_t *column)
{
    ln_step y;
    y.x[0] = four_inputs(x + 4 * column[0]);
    y.x[1] = four_inputs(x + 4 * column[1]);
    for (int i = 0; i < 4; i++) {
        y.first[i] = vld1_s8(w + 8 * i);
        y.second[i] = vld1_s8(w + 32 + 8 * i);
    }
    return y;
}

static inline void add_step(int32x4_t s[4], const ln_step *a)
{
    int16x8_t p[4];
    for (int i = 0; i < 4; i++) p[i] = vmull_s8(a->first[i], a->x[0]);
    for (int i = 0; i < 4; i++) p[i] = vmlal_s8(p[i], a->second[i], a->x[1]);
    for (int i = 0; i < 4; i++) s[i] = vpadalq_s16(s[i], p[i]);
}

static inline void ln_product(const ln_matrix *m, const int8_t *x, int32_t *y)
{
    const int8_t *w = m->weights;
    const uint8_t *column = m->column;
    ln_step now = load_step(w, x, column);
    for (int s = 0; s < m->tiles; s++) {
        int32x4_t sum[4] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
        for (int n = 2 * m->steps[s]; n; n -= 2) {
            w += 64;
            column += 2;
            const ln_step next = load_step(w, x, column);    /* the last one of all reads what follows: zeros */
            add_step(sum, &now);
            now = next;
        }
        int32_t *at = y + m->place[s];
        vst1q_s32(at, vpaddq_s32(sum[0], sum[1]));
        vst1q_s32(at + 4, vpaddq_s32(sum[2], sum[3]));
    }
}

#include "lpcnet_run.h"

const ln_level ln_level_neon = LN_LEVEL("neon");
#else
typedef int dredge_no_neon;
#endif

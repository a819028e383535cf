/* SPDX-License-Identifier: BSD-2-Clause */
#if defined(__aarch64__)
#pragma GCC target("tune=cortex-a53")
#include "lpcnet/levels/vec_neon.h"
#include <string.h>

#define LN_OFFSET 0
#define LN_FULL 1
#define LN_TILE 1

/* ARMv8.0 (Cortex-A53, A72). Four blocks of a strip are added in 16 bits, which holds because 4 * 127 * LN_WEIGHT =
 * 32512 < 32768, then pairs of neighbours into 32 bits: two blocks in FIRST, two in SECOND, where a strip has them.
 *
 * In assembly, because the A53 executes in order: an instruction that has to wait holds up all that follow, and
 * compilers schedule for cores that do not. Instructions of one product stand at least four others apart, the last one in
 * the next FIRST. Everything is loaded a step ahead, in pieces of 64 bits (those of 128 do not start beside
 * an arithmetic instruction), and one at a time between the arithmetic.
 *
 * v0-v3: sums, lanes are halves of outputs 0 0 1 1, 2 2 3 3, ...; v4-v7: products; v16-v19 and v20-v23: weights of the
 * first and the second block; v24, v25: their inputs, twice each. */
#define REST                                                                                                           \
    "ldr d19, [%[w], #-40]\n"                                                                                          \
    "ldr d24, [%[twice], %[c0], lsl #3]\n"                                                                             \
    "smlal v4.8h, v20.8b, v25.8b\n"                                                                                    \
    "ldr d20, [%[w], #-32]\n"                                                                                          \
    "smlal v5.8h, v21.8b, v25.8b\n"                                                                                    \
    "ldr d21, [%[w], #-24]\n"                                                                                          \
    "smlal v6.8h, v22.8b, v25.8b\n"                                                                                    \
    "ldr d22, [%[w], #-16]\n"                                                                                          \
    "smlal v7.8h, v23.8b, v25.8b\n"                                                                                    \
    "ldr d25, [%[twice], %[c1], lsl #3]\n"                                                                             \
    "ldr d23, [%[w], #-8]\n"

#define FIRST                                                                                                          \
    "ldrb %w[c0], [%[column]], #2\n"                                                                                   \
    "sadalp v0.4s, v4.8h\n"                                                                                            \
    "ldrb %w[c1], [%[column], #-1]\n"                                                                                  \
    "smull v4.8h, v16.8b, v24.8b\n"                                                                                    \
    "sadalp v1.4s, v5.8h\n"                                                                                            \
    "ldr d16, [%[w]], #64\n"                                                                                           \
    "smull v5.8h, v17.8b, v24.8b\n"                                                                                    \
    "ldr d17, [%[w], #-56]\n"                                                                                          \
    "sadalp v2.4s, v6.8h\n"                                                                                            \
    "smull v6.8h, v18.8b, v24.8b\n"                                                                                    \
    "ldr d18, [%[w], #-48]\n"                                                                                          \
    "sadalp v3.4s, v7.8h\n"                                                                                            \
    "smull v7.8h, v19.8b, v24.8b\n"                                                                                    \
    REST

#define SECOND                                                                                                         \
    "ldrb %w[c0], [%[column]], #2\n"                                                                                   \
    "smlal v4.8h, v16.8b, v24.8b\n"                                                                                    \
    "ldrb %w[c1], [%[column], #-1]\n"                                                                                  \
    "smlal v5.8h, v17.8b, v24.8b\n"                                                                                    \
    "ldr d16, [%[w]], #64\n"                                                                                           \
    "smlal v6.8h, v18.8b, v24.8b\n"                                                                                    \
    "ldr d17, [%[w], #-56]\n"                                                                                          \
    "smlal v7.8h, v19.8b, v24.8b\n"                                                                                    \
    "ldr d18, [%[w], #-48]\n"                                                                                          \
    REST

#define STORE                                                                                                          \
    "addp v0.4s, v0.4s, v1.4s\n"                                                                                       \
    "addp v2.4s, v2.4s, v3.4s\n"                                                                                       \
    "stp q0, q2, [%[at]]\n"

#define CLEAR(a, b, c, d) "movi v" #a ".4s, #0\nmovi v" #b ".4s, #0\nmovi v" #c ".4s, #0\nmovi v" #d ".4s, #0\n"

static inline void sparse_product(const ln_matrix *m, const int8_t *x, int32_t *y)
{
    const int8_t *w = m->weights;
    const uint8_t *column = m->column;
    const uint16_t *steps = m->steps, *place = m->place;
    int32_t nothing[8], *at = nothing;          /* where the sums of the previous strip are stored */
    uint64_t c0, c1, n, strips = (uint64_t)m->tiles;
    _Alignas(16) int32_t twice[2 * LN_MAX_A / 4];    /* every four inputs twice, as a product needs them */
    for (; strips && !*steps; steps++, place++, strips--) memset(y + *place, 0, 8 * sizeof *y);
    if (!strips) return;
    for (int i = 0; i < m->inputs; i += 16) {   /* x is LN_LANES wide */
        const int32x4_t four = vreinterpretq_s32_s8(vld1q_s8(x + i));
        vst1q_s32(twice + i / 2, vzip1q_s32(four, four));
        vst1q_s32(twice + i / 2 + 4, vzip2q_s32(four, four));
    }
    __asm__ volatile(
        CLEAR(0, 1, 2, 3) CLEAR(4, 5, 6, 7)
        CLEAR(16, 17, 18, 19) CLEAR(20, 21, 22, 23) CLEAR(24, 24, 25, 25)
        FIRST                                   /* adds nothing yet: it loads the first weights */
        "1:\n"
        FIRST STORE CLEAR(0, 1, 2, 3)
        "ldrh %w[n], [%[place]], #2\n"
        "add %[at], %[y], %[n], lsl #2\n"
        "ldrh %w[n], [%[steps]], #2\n"
        "subs %w[n], %w[n], #1\n"
        "b.eq 3f\n"
        "2:\n"
        SECOND
        "subs %w[n], %w[n], #1\n"
        "b.eq 3f\n"
        FIRST
        "subs %w[n], %w[n], #1\n"
        "b.ne 2b\n"
        "3:\n"
        "subs %[strips], %[strips], #1\n"
        "b.ne 1b\n"                             /* the last step loads what follows the weights: zeros */
        "sadalp v0.4s, v4.8h\nsadalp v1.4s, v5.8h\nsadalp v2.4s, v6.8h\nsadalp v3.4s, v7.8h\n"
        STORE
        : [w] "+r"(w), [column] "+r"(column), [steps] "+r"(steps), [place] "+r"(place), [at] "+r"(at),
          [strips] "+r"(strips), [n] "=&r"(n), [c0] "=&r"(c0), [c1] "=&r"(c1)
        : [twice] "r"(twice), [y] "r"(y)
        : "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21",
          "v22", "v23", "v24", "v25");
}

static inline int8x8_t four_inputs(const int8_t *x)
{
    return vreinterpret_s8_s32(vld1_dup_s32((const int32_t *)(const void *)x));
}

/* Computes 16 outputs at a time, half of a tile, two per sum, because more sums need more registers than exist. */
static void dense_product(const ln_matrix *m, const int8_t *x, int32_t *y)
{
    for (int i = 0; i < 2 * m->tiles; i++, y += 16) {
        const int8_t *w = m->weights + (size_t)(i / 2) * 128 * (size_t)m->dense + 64 * (i % 2);
        int32x4_t sum[8];
        int k = 0;
        for (int j = 0; j < 8; j++) sum[j] = vdupq_n_s32(0);
        for (; k + 4 <= m->dense; k += 4, w += 512) {
            const int8x8_t a = four_inputs(x + 4 * k), b = four_inputs(x + 4 * k + 4);
            const int8x8_t c = four_inputs(x + 4 * k + 8), d = four_inputs(x + 4 * k + 12);
            for (int j = 0; j < 8; j++) {
                const int16x8_t two = vmlal_s8(vmull_s8(vld1_s8(w + 8 * j), a), vld1_s8(w + 128 + 8 * j), b);
                const int16x8_t three = vmlal_s8(two, vld1_s8(w + 256 + 8 * j), c);
                sum[j] = vpadalq_s16(sum[j], vmlal_s8(three, vld1_s8(w + 384 + 8 * j), d));
            }
        }
        for (; k < m->dense; k += 2, w += 256) {
            const int8x8_t a = four_inputs(x + 4 * k), b = four_inputs(x + 4 * k + 4);
            for (int j = 0; j < 8; j++) {
                const int16x8_t first = vmull_s8(vld1_s8(w + 8 * j), a);
                sum[j] = vpadalq_s16(sum[j], vmlal_s8(first, vld1_s8(w + 128 + 8 * j), b));
            }
        }
        for (int j = 0; j < 4; j++) vst1q_s32(y + 4 * j, vpaddq_s32(sum[2 * j], sum[2 * j + 1]));
    }
}

static inline void ln_product(const ln_matrix *m, const int8_t *x, int32_t *y)
{
    if (m->dense) dense_product(m, x, y);
    else sparse_product(m, x, y);
}

#include "lpcnet/run.h"

const ln_level ln_level_neon = LN_LEVEL("neon");
#else
typedef int dredge_no_neon;
#endif

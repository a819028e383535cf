/* SPDX-License-Identifier: BSD-2-Clause */
#if defined(__x86_64__)
#if defined(__clang__) /* has no such pragma; what the headers declare must stay outside its own */
#include "lpcnet/pack.h"
#include <immintrin.h>
#include <string.h>
#pragma clang attribute push(__attribute__((target("avx2,f16c"))), apply_to = function)
#else
#pragma GCC target("avx2,f16c")
#endif
#include "lpcnet/levels/vec_x86.h"
#include <string.h>

/* VPMADDUBSW multiplies unsigned by signed bytes, so inputs are kept as x + 128: x in [-127, 127] gives 1 ... 255, two
 * products stay within 2 * 255 * LN_WEIGHT = 32640. sum w (x + 128) - 128 sum w = sum w x, and the sums start from the
 * second term (ln_matrix.start). */
#define LN_OFFSET 128
#define LN_FULL 1
#define LN_TILE 2

static inline __m256i four_inputs(const int8_t *x)
{
    int32_t four;
    memcpy(&four, x, 4);
    return _mm256_set1_epi32(four);
}

/* One 8 x 4 block. */
static inline __m256i block(__m256i sum, const int8_t *w, __m256i x)
{
    const __m256i pairs = _mm256_maddubs_epi16(x, _mm256_load_si256((const __m256i *)w));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

static inline __m256i load_sums(const int32_t *y) { return _mm256_load_si256((const __m256i *)y); }
static inline void store_sums(int32_t *y, __m256i sum) { _mm256_store_si256((__m256i *)y, sum); }

/* 32 outputs at a time */
static void dense_product(const ln_matrix *m, const int8_t *x, int32_t *y)
{
    const int8_t *w = m->weights;
    const int32_t *start = m->start;
    for (int i = 0; i < m->tiles; i++, y += 32, start += 32) {
        __m256i a = load_sums(start), b = load_sums(start + 8), c = load_sums(start + 16), d = load_sums(start + 24);
        for (int k = 0; k < m->dense; k++, w += 128) {
            const __m256i v = four_inputs(x + 4 * k);
            a = block(a, w, v);
            b = block(b, w + 32, v);
            c = block(c, w + 64, v);
            d = block(d, w + 96, v);
        }
        store_sums(y, a);
        store_sums(y + 8, b);
        store_sums(y + 16, c);
        store_sums(y + 24, d);
    }
}

static void sparse_product(const ln_matrix *m, const int8_t *x, int32_t *y)
{
    const int8_t *w = m->weights;
    const uint8_t *column = m->column;
    const uint16_t *place = m->place;
    const int32_t *start = m->start;
    for (int i = 0; i < m->tiles; i++, place += 2, start += 16) {
        __m256i a = load_sums(start), b = _mm256_setzero_si256(), c = load_sums(start + 8), d = b;
        for (const uint8_t *end = column + 4 * m->steps[i]; column < end; column += 4, w += 128) {
            a = block(a, w, four_inputs(x + 4 * column[0]));
            b = block(b, w + 32, four_inputs(x + 4 * column[1]));
            c = block(c, w + 64, four_inputs(x + 4 * column[2]));
            d = block(d, w + 96, four_inputs(x + 4 * column[3]));
        }
        store_sums(y + place[0], _mm256_add_epi32(a, b));
        store_sums(y + place[1], _mm256_add_epi32(c, d));
    }
}

static inline void ln_product(const ln_matrix *m, const int8_t *x, int32_t *y)
{
    if (m->dense) dense_product(m, x, y);
    else sparse_product(m, x, y);
}

#include "lpcnet/run.h"

const ln_level ln_level_avx2 = LN_LEVEL("avx2");
#if defined(__clang__)
#pragma clang attribute pop
#endif
#else
typedef int dredge_no_avx2;
#endif

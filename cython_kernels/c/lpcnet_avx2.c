/* SPDX-License-Identifier: BSD-2-Clause */
#if defined(__x86_64__)
#pragma GCC target("avx2")
#include "lpcnet.h"
#include <immintrin.h>
#include <string.h>

/* One 8 x 4 block. |x| times sign(x) w: both stay within 127, so the pair sums of maddubs fit 16 bits exactly. */
static inline __m256i block(__m256i sum, const int8_t *w, const int8_t *x, size_t column)
{
    int32_t four;
    memcpy(&four, x + 4 * column, 4);
    const __m256i v = _mm256_set1_epi32(four);
    const __m256i signed_w = _mm256_sign_epi8(_mm256_loadu_si256((const __m256i *)w), v);
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(v), signed_w);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

static void ln_product(const ln_matrix *m, const int8_t *x, int32_t *y)
{
    const int8_t *w = m->blocks;
    const uint8_t *column = m->column;
    for (int s = 0; s < m->outputs / 8; s++, y += 8) {
        __m256i a = _mm256_setzero_si256(), b = a;
        const uint8_t *end = column + m->count[s];
        for (; column + 4 <= end; column += 4, w += 128) {
            a = block(a, w, x, column[0]);
            b = block(b, w + 32, x, column[1]);
            a = block(a, w + 64, x, column[2]);
            b = block(b, w + 96, x, column[3]);
        }
        for (; column < end; column++, w += 32) a = block(a, w, x, *column);
        _mm256_storeu_si256((__m256i *)y, _mm256_add_epi32(a, b));
    }
}

static inline __m256 add_slot(__m256 sum, const int8_t *row, const float *scale)
{
    const __m256i wide = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)row));
    return _mm256_add_ps(sum, _mm256_mul_ps(_mm256_cvtepi32_ps(wide), _mm256_loadu_ps(scale)));
}

#define LN_HAS_EMBED
static void ln_embed(int n, const float *cond, const int8_t *table, const float *scale, const uint8_t *code, float *x)
{
    const int8_t *row[LN_SLOTS];
    for (int k = 0; k < LN_SLOTS; k++) row[k] = table + ((size_t)k * LN_LEVELS + code[k]) * n;
    for (int j = 0; j < n; j += 8) {
        __m256 sum = _mm256_loadu_ps(cond + j);
        for (int k = 0; k < LN_SLOTS; k++) sum = add_slot(sum, row[k] + j, scale + (size_t)k * n + j);
        _mm256_storeu_ps(x + j, sum);
    }
}

#include "lpcnet_run.h"

const ln_level ln_level_avx2 = {"avx2", ln_run_frame, ln_product};
#else
typedef int dredge_no_avx2;
#endif

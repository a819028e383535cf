/* SPDX-License-Identifier: BSD-2-Clause */
#if defined(__x86_64__)
#pragma GCC target("avx2")
#include "lpcnet_vec_x86.h"
#include <string.h>

#define LN_OFFSET 0
#define LN_DENSE 0
#define LN_TILE 1

/* One 8 x 4 block. |x| times sign(x) w: both stay within 127, so the pair sums of maddubs fit 16 bits exactly. */
static inline __m256i block(__m256i sum, const int8_t *w, const int8_t *x)
{
    int32_t four;
    memcpy(&four, x, 4);
    const __m256i v = _mm256_set1_epi32(four);
    const __m256i signed_w = _mm256_sign_epi8(_mm256_load_si256((const __m256i *)w), v);
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(v), signed_w);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

static inline void ln_product(const ln_matrix *m, const int8_t *x, int32_t *y)
{
    const int8_t *w = m->weights;
    const uint8_t *column = m->column;
    for (int s = 0; s < m->tiles; s++) {
        __m256i a = _mm256_load_si256((const __m256i *)(m->start + 8 * s)), b = _mm256_setzero_si256();
        for (const uint8_t *end = column + 2 * m->steps[s]; column < end; column += 2, w += 64) {
            a = block(a, w, x + 4 * column[0]);
            b = block(b, w + 32, x + 4 * column[1]);
        }
        _mm256_store_si256((__m256i *)(y + m->place[s]), _mm256_add_epi32(a, b));
    }
}

#include "lpcnet_run.h"

const ln_level ln_level_avx2 = LN_LEVEL("avx2");
#else
typedef int dredge_no_avx2;
#endif

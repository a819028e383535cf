/* SPDX-License-Identifier: BSD-2-Clause */
#if defined(__x86_64__)
#pragma GCC target("avx2")
#include "lpcnet.h"
#include <immintrin.h>
#include <string.h>

/* |x| times sign(x) w: both factors stay within 127, so the pair sums of maddubs fit 16 bits exactly. */
static void ln_product(const ln_matrix *m, const int8_t *x, int32_t *y)
{
    const __m256i one = _mm256_set1_epi16(1);
    const int8_t *w = m->blocks;
    const uint8_t *column = m->column;
    for (int s = 0; s < m->outputs / 8; s++, y += 8) {
        __m256i sum = _mm256_setzero_si256();
        for (int n = 0; n < m->count[s]; n++, w += 32) {
            int32_t four;
            memcpy(&four, x + 4 * *column++, 4);
            const __m256i v = _mm256_set1_epi32(four);
            const __m256i block = _mm256_sign_epi8(_mm256_loadu_si256((const __m256i *)w), v);
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_abs_epi8(v), block), one));
        }
        _mm256_storeu_si256((__m256i *)y, sum);
    }
}

#include "lpcnet_run.h"

const ln_level ln_level_avx2 = {"avx2", ln_run_frame, ln_product};
#else
typedef int dredge_no_avx2;
#endif

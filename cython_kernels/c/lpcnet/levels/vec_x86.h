/* SPDX-License-Identifier: BSD-2-Clause */
/* Sixteen numbers at a time in two (floats) or one (int16) 256-bit registers.
 * Shorts made from floats are kept in the order in which the pack instructions leave them, within halves of a
 * register; vf_shorts undoes it. VEC_PERMUTES: AVX-512 looks a 16-entry table up in one instruction. */
#ifndef DREDGE_LPCNET_VEC_X86_H
#define DREDGE_LPCNET_VEC_X86_H

#include "lpcnet/pack.h"
#include <immintrin.h>

typedef struct { __m256 a, b; } vf;
typedef __m256i vh;

static inline vf vf_load(const float *p) { return (vf){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
static inline vf vf_halves(const uint16_t *p)
{
    return (vf){_mm256_cvtph_ps(_mm_load_si128((const __m128i *)p)),
                _mm256_cvtph_ps(_mm_load_si128((const __m128i *)(p + 8)))};
}
static inline void vf_store(float *p, vf x) { _mm256_storeu_ps(p, x.a); _mm256_storeu_ps(p + 8, x.b); }
static inline vf vf_all(float x) { return (vf){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
static inline vf vf_add(vf x, vf y) { return (vf){_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
static inline vf vf_sub(vf x, vf y) { return (vf){_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
static inline vf vf_mul(vf x, vf y) { return (vf){_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }

static inline vf vf_ints(const int32_t *p)
{
    return (vf){_mm256_cvtepi32_ps(_mm256_load_si256((const __m256i *)p)),
                _mm256_cvtepi32_ps(_mm256_load_si256((const __m256i *)(p + 8)))};
}

static inline vf vf_shorts(vh x)
{
    return (vf){_mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_unpacklo_epi16(x, x), 16)),
                _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_unpackhi_epi16(x, x), 16))};
}

static inline float vf_total(vf x)
{
    const __m256 eight = _mm256_add_ps(x.a, x.b);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline unsigned vf_above(vf x, vf y)
{
    return (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(x.a, y.a, _CMP_GT_OQ)) |
           (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(x.b, y.b, _CMP_GT_OQ)) << 8;
}

static inline vf vf_rows(const int8_t *const *row, int rows, int at)
{
    __m256i sum = _mm256_cvtepi8_epi16(_mm_load_si128((const __m128i *)(row[0] + at)));
    for (int k = 1; k < rows; k++)
        sum = _mm256_add_epi16(sum, _mm256_cvtepi8_epi16(_mm_load_si128((const __m128i *)(row[k] + at))));
    return (vf){_mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm256_castsi256_si128(sum))),
                _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm256_extracti128_si256(sum, 1)))};
}

static inline vh vh_fetch(const int16_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline void vh_save(int16_t *p, vh x) { _mm256_storeu_si256((__m256i *)p, x); }

static inline vh vh_round(vf x)
{
    return _mm256_packs_epi32(_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b));
}

#ifdef VEC_PERMUTES
typedef struct { __m256i index; } vec_segment;
static inline vec_segment vec_find(__m256i i) { return (vec_segment){i}; }
#define VEC_COEFFICIENT(table, s) \
    ({ static const int16_t all[16] = {table(LN_TANH_WHOLE)}; \
       _mm256_permutexvar_epi16((s).index, _mm256_loadu_si256((const __m256i *)all)); })
#else
/* Bytes of the index for a shuffle of low and one of high bytes; 128 makes a zero. */
typedef struct { __m256i low, high; } vec_segment;
static inline vec_segment vec_find(__m256i i)
{
    return (vec_segment){_mm256_or_si256(i, _mm256_set1_epi16((int16_t)0x8000)),
                         _mm256_or_si256(_mm256_slli_epi16(i, 8), _mm256_set1_epi16(0x0080))};
}
static inline __m256i vec_bytes(const uint8_t *table, __m256i index)
{
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table)), index);
}
#define VEC_COEFFICIENT(table, s) \
    ({ static const uint8_t low[16] = {table(LN_TANH_LOW)}, high[16] = {table(LN_TANH_HIGH)}; \
       _mm256_or_si256(vec_bytes(low, (s).low), vec_bytes(high, (s).high)); })
#endif

static inline vh vh_tanh(vh x)
{
    const __m256i size = _mm256_abs_epi16(_mm256_max_epi16(x, _mm256_set1_epi16(-32767)));
    const __m256i d = _mm256_slli_epi16(_mm256_and_si256(size, _mm256_set1_epi16(2047)), 4);
    const vec_segment s = vec_find(_mm256_srli_epi16(size, 11));
    const __m256i slope = _mm256_add_epi16(VEC_COEFFICIENT(LN_TANH_1, s),
                                           _mm256_mulhrs_epi16(d, VEC_COEFFICIENT(LN_TANH_2, s)));
    return _mm256_sign_epi16(_mm256_add_epi16(VEC_COEFFICIENT(LN_TANH_0, s), _mm256_mulhrs_epi16(d, slope)), x);
}

static inline vh vh_sigmoid(vh x)
{
    return _mm256_add_epi16(_mm256_srai_epi16(vh_tanh(x), 1), _mm256_set1_epi16(16384));
}

static inline void vf_bytes(int8_t *q, vf x)
{
    const __m256i shorts = vh_round(x);                                    /* quarters 0 2 1 3 */
    const __m256i bytes = _mm256_packs_epi16(shorts, shorts);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 0, 4, 1, 5);
    _mm_store_si128((__m128i *)q, _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(bytes, order)));
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#if defined(__x86_64__)
#if defined(__clang__) /* has no such pragma; what the headers declare must stay outside its own */
#include "lpcnet/pack.h"
#include <immintrin.h>
#include <string.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni,avx2,f16c"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512vnni,avx2,f16c,prefer-vector-width=256")
#endif
#define VEC_PERMUTES
#include "lpcnet/levels/vec_x86.h"
#include <string.h>

/* VPDPBUSD multiplies unsigned by signed bytes, so inputs are kept as x + 128. Exact: x in [-127, 127] gives 1 ... 255,
 * a sum of four products stays below 4 * 255 * LN_WEIGHT, a whole row (at most 512 inputs) below 2^23.1, nothing
 * saturates in this form of the instruction; sum w (x + 128) - 128 sum w = sum w x, and the sums start from the
 * second term (ln_matrix.start). */
#define LN_OFFSET 128

#define LN_FULL 1
#define LN_TILE 4

/* Written out, because gcc 12 surrounds the intrinsic with moves. */
static inline __m512i dot(__m512i sum, __m512i x, const int8_t *w)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "m"(*(const __m512i *)w));
    return sum;
}

static inline __m512i four_inputs(const int8_t *x)
{
    int32_t four;
    memcpy(&four, x, 4);
    return _mm512_set1_epi32(four);
}

/* Returns the inputs of two blocks, one per half, by loads of 256 bits, because Zen 4 does two of those per cycle. */
static inline __m256i half_inputs(const int8_t *x)
{
    int32_t four;
    memcpy(&four, x, 4);
    return _mm256_set1_epi32(four);
}
static inline __m512i eight_inputs(const int8_t *x, uint64_t columns)
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(half_inputs(x + 4 * (columns & 255))),
                              half_inputs(x + 4 * (columns >> 8 & 255)), 1);
}

/* 32 outputs at a time; columns in turn into two sums, to hide the latency. */
static void dense_product(const ln_matrix *m, const int8_t *x, int32_t *y)
{
    const int8_t *w = m->weights;
    for (int i = 0; i < m->tiles; i++, y += 32) {
        __m512i a = _mm512_load_si512(m->start + 32 * i), b = _mm512_load_si512(m->start + 32 * i + 16);
        __m512i c = _mm512_setzero_si512(), d = c;
        for (int k = 0; k < m->dense; k += 2, w += 256) {
            const __m512i u = four_inputs(x + 4 * k), v = four_inputs(x + 4 * k + 4);
            a = dot(a, u, w);
            b = dot(b, u, w + 64);
            c = dot(c, v, w + 128);
            d = dot(d, v, w + 192);
        }
        _mm512_store_si512(y, _mm512_add_epi32(a, c));
        _mm512_store_si512(y + 16, _mm512_add_epi32(b, d));
    }
}

static inline __m512i start_sums(const int32_t *start)
{
    return _mm512_zextsi256_si512(_mm256_load_si256((const __m256i *)start));
}

/* Even blocks were added in the lower half, odd ones in the upper. */
static inline void store_sums(int32_t *y, __m512i sum)
{
    _mm256_store_si256((__m256i *)y, _mm256_add_epi32(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64(sum, 1)));
}

static void sparse_product(const ln_matrix *m, const int8_t *x, int32_t *y)
{
    const int8_t *w = m->weights;
    const uint8_t *column = m->column;
    const uint16_t *place = m->place;
    const int32_t *start = m->start;
    for (int i = 0; i < m->tiles; i++, place += 4, start += 32) {
        __m512i a = start_sums(start), b = start_sums(start + 8), c = start_sums(start + 16), d = start_sums(start + 24);
        for (const uint8_t *end = column + 8 * m->steps[i]; column < end; column += 8, w += 256) {
            uint64_t eight;          /* one load reads eight columns, because loads limit this loop */
            memcpy(&eight, column, 8);
            a = dot(a, eight_inputs(x, eight), w);
            b = dot(b, eight_inputs(x, eight >> 16), w + 64);
            c = dot(c, eight_inputs(x, eight >> 32), w + 128);
            d = dot(d, eight_inputs(x, eight >> 48), w + 192);
        }
        store_sums(y + place[0], a);
        store_sums(y + place[1], b);
        store_sums(y + place[2], c);
        store_sums(y + place[3], d);
    }
}

static inline void ln_product(const ln_matrix *m, const int8_t *x, int32_t *y)
{
    if (m->dense) dense_product(m, x, y);
    else sparse_product(m, x, y);
}

#include "lpcnet/run.h"

const ln_level ln_level_vnni = LN_LEVEL("avx512_vnni");
#if defined(__clang__)
#pragma clang attribute pop
#endif
#else
typedef int dredge_no_vnni;
#endif

// SPDX-License-Identifier: BSD-2-Clause
// C[32, N] (+)= A[32, K] W[K, N]: bfloat16 factors, float32 sums. It uses AMX tiles or AVX-512 bf16 where available.
#pragma once
#include "math.h"
#if defined(__AMX_BF16__) || defined(__AVX512BF16__)
#include <immintrin.h>
#endif
#ifdef __AMX_BF16__
#include <sys/syscall.h>
#include <unistd.h>
#endif

// W in the order the product reads it: pairs of rows interleaved, [K / 32][N / 16][16][16][2]
struct Packed {
  int K, N;
  std::vector<uint16_t> data;
};
static Packed pack(const float* w, int K, int N, int ld) {
  Packed p{K, N, std::vector<uint16_t>((size_t)K * N)};
  for (int k = 0; k < K; k++)
    for (int n = 0; n < N; n++) {
      size_t tile = (size_t)(k / 32) * (N / 16) + n / 16;
      p.data[tile * 512 + ((k % 32) / 2) * 32 + (n % 16) * 2 + (k & 1)] = to_bf(w[(size_t)k * ld + n]);
    }
  return p;
}

#if defined(__AMX_BF16__)
struct __attribute__((packed)) TileConfig {
  uint8_t palette = 1, start = 0, reserved[14] = {0};
  uint16_t bytes[16] = {0};
  uint8_t rows[16] = {0};
};
static void product_begin() {
  static bool asked = false;
  if (!asked) { syscall(SYS_arch_prctl, 0x1023, 18); asked = true; }
  TileConfig c;
  for (int i = 0; i < 8; i++) { c.rows[i] = 16; c.bytes[i] = 64; }
  _tile_loadconfig(&c);
}
static void product_end() { _tile_release(); }
static void product(const uint16_t* a, int lda, const Packed& w, float* c, int ldc) {
  int ncol = w.N / 16;
  for (int n = 0; n < ncol; n += 2) {
    _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3);
    for (int k = 0; k < w.K / 32; k++) {
      const uint16_t* t = w.data.data() + ((size_t)k * ncol + n) * 512;
      _tile_loadd(4, a + k * 32, lda * 2);
      _tile_loadd(5, a + (size_t)16 * lda + k * 32, lda * 2);
      _tile_loadd(6, t, 64);
      _tile_loadd(7, t + 512, 64);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, c + n * 16, ldc * 4);
    _tile_stored(1, c + n * 16 + 16, ldc * 4);
    _tile_stored(2, c + (size_t)16 * ldc + n * 16, ldc * 4);
    _tile_stored(3, c + (size_t)16 * ldc + n * 16 + 16, ldc * 4);
  }
}
#elif defined(__AVX512BF16__)
static void product_begin() {}
static void product_end() {}
// 8 rows x 16 TILES columns stay in registers over the whole of K
template <int TILES>
static void product_block(const uint16_t* a, int lda, const uint16_t* w, size_t row, int K, float* c, int ldc) {
  __m512 sum[8][TILES];
  for (int m = 0; m < 8; m++)
    for (int n = 0; n < TILES; n++) sum[m][n] = _mm512_setzero_ps();
  for (int k = 0; k < K; k += 32, w += row)
    for (int p = 0; p < 16; p++) {
      __m512bh v[TILES];
      for (int n = 0; n < TILES; n++) v[n] = (__m512bh)_mm512_loadu_si512(w + n * 512 + p * 32);
      for (int m = 0; m < 8; m++) {
        int32_t pair;
        std::memcpy(&pair, a + (size_t)m * lda + k + 2 * p, 4);
        __m512bh x = (__m512bh)_mm512_set1_epi32(pair);
        for (int n = 0; n < TILES; n++) sum[m][n] = _mm512_dpbf16_ps(sum[m][n], v[n], x);
      }
    }
  for (int m = 0; m < 8; m++)
    for (int n = 0; n < TILES; n++) _mm512_storeu_ps(c + (size_t)m * ldc + n * 16, sum[m][n]);
}
static void product(const uint16_t* a, int lda, const Packed& w, float* c, int ldc) {
  const int ncol = w.N / 16;
  const size_t row = (size_t)ncol * 512;
  for (int n = 0; n < ncol;) {
    int tiles = ncol - n >= 3 ? 3 : ncol - n;
    for (int m = 0; m < 32; m += 8) {
      const uint16_t *am = a + (size_t)m * lda, *t = w.data.data() + (size_t)n * 512;
      float* cm = c + (size_t)m * ldc + n * 16;
      if (tiles == 3) product_block<3>(am, lda, t, row, w.K, cm, ldc);
      else if (tiles == 2) product_block<2>(am, lda, t, row, w.K, cm, ldc);
      else product_block<1>(am, lda, t, row, w.K, cm, ldc);
    }
    n += tiles;
  }
}
#else
static void product_begin() {}
static void product_end() {}
static void product(const uint16_t* a, int lda, const Packed& w, float* c, int ldc) {
  int ncol = w.N / 16;
  for (int m = 0; m < 32; m++) {
    std::memset(c + (size_t)m * ldc, 0, w.N * 4);
    for (int k = 0; k < w.K; k += 2) {
      float x0 = from_bf(a[(size_t)m * lda + k]), x1 = from_bf(a[(size_t)m * lda + k + 1]);
      for (int n = 0; n < ncol; n++) {
        const uint16_t* t = w.data.data() + ((size_t)(k / 32) * ncol + n) * 512 + ((k % 32) / 2) * 32;
        float* y = c + (size_t)m * ldc + n * 16;
        for (int j = 0; j < 16; j++) y[j] += x0 * from_bf(t[2 * j]) + x1 * from_bf(t[2 * j + 1]);
      }
    }
  }
}
#endif

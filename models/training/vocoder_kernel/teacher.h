// SPDX-License-Identifier: BSD-2-Clause
// Teacher forcing: turns speech into the codes that the network sees and must predict, disturbed so that it learns
// to correct its own errors.
#pragma once
#include "gru_a.h"
#include "gru_b.h"

enum { HISTORY = 512 };

struct Noise {   // roughly Gaussian: the sum of four uniform numbers
  uint64_t state;
  float next() {
    float g = -2.f;
    for (int i = 0; i < 4; i++) {
      state ^= state << 13; state ^= state >> 7; state ^= state << 17;
      g += (float)(state >> 40) * (1.f / 16777216.f);
    }
    return 1.7320508f * g;
  }
};

// sig f32 [B, T] pre-emphasised; lpc f32 [B, F, 16]; lag i32 [B, F]; noise f32 [B] (standard deviation in mu-law steps);
// memory f32 [B, 16] and history u8 [B, 512] (newest last) are carried over. Fills idx_a u8 [T / 2, B, 8] (codes / 2),
// idx_b u8 [T, B, 3] and target u8 [T, B].
static void teacher(Tensor sig, Tensor lpc, Tensor lag, Tensor noise, Tensor memory, Tensor history, Tensor idx_a,
                    Tensor idx_b, Tensor target, int64_t FS, int64_t seed) {
  py::gil_scoped_release nogil;
  const int B = sig.size(0), T = sig.size(1), nf = lpc.size(1);
  float expand[256];
  for (int i = 0; i < 256; i++) expand[i] = from_ulaw(i);
  std::vector<uint8_t> exc(HISTORY + T + 2, 128);
  Noise random{(uint64_t)seed * 0x9E3779B97F4A7C15ull + 1};
  for (int b = 0; b < B; b++) {
    float* m = F(memory) + b * 16;
    uint8_t* hist = U(history) + b * HISTORY;
    std::memcpy(exc.data(), hist, HISTORY);
    const float level = F(noise)[b];
    for (int t = 0; t < T; t++) {
      const float* a = F(lpc) + ((size_t)b * nf + t / FS) * 16;
      const int period = lag.data_ptr<int32_t>()[b * nf + t / FS];
      float pred = 0;
      for (int k = 0; k < 16; k++) pred -= a[k] * m[k];
      uint8_t* e = exc.data() + HISTORY + t;
      uint8_t* o = U(idx_b) + ((size_t)t * B + b) * SLOTS_B;
      o[0] = to_ulaw(m[0]); o[1] = to_ulaw(pred); o[2] = e[-1];
      if (t % 2 == 0) {
        uint8_t* i = U(idx_a) + ((size_t)(t / 2) * B + b) * SLOTS_A;
        i[0] = o[0] >> 1; i[1] = o[1] >> 1; i[2] = e[-1] >> 1; i[3] = e[-2] >> 1;
        for (int k = 0; k < 4; k++) i[4 + k] = e[k - 1 - period] >> 1;
      }
      uint8_t y = to_ulaw(F(sig)[(size_t)b * T + t] - pred);
      U(target)[(size_t)t * B + b] = y;
      int n = (int)std::lrint(y + level * random.next());
      n = n < 0 ? 0 : n > 255 ? 255 : n;
      *e = (uint8_t)n;
      float x = pred + expand[n];
      std::memmove(m + 1, m, 15 * sizeof(float));
      m[0] = x < -32767.f ? -32767.f : x > 32767.f ? 32767.f : x;
    }
    std::memcpy(hist, exc.data() + T, HISTORY);
  }
}

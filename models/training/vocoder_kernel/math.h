// SPDX-License-Identifier: BSD-2-Clause
// bfloat16, fast exponentials and logarithms, mu-law.
#pragma once
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/utils/pybind.h>  // torch/extension.h takes twice as long to compile
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

using at::Tensor;
typedef at::BFloat16 bf16;

// Inlined where a width is a constant, so that the loops over it are unrolled.
#define INLINE static inline __attribute__((always_inline))
#define F(t) (t).data_ptr<float>()
#define U(t) (t).data_ptr<uint8_t>()
#define H16(t) reinterpret_cast<uint16_t*>((t).data_ptr<bf16>())

INLINE float fexp(float x) {
  float t = x * 1.44269504f;
  t = t < -120.f ? -120.f : t;
  t = t > 120.f ? 120.f : t;
  float i = std::nearbyint(t), f = (t - i) * 0.69314718f;
  float p = 1.f + f * (1.f + f * (.5f + f * (1.f / 6 + f * (1.f / 24 + f * (1.f / 120)))));
  int32_t bits = ((int32_t)i + 127) << 23;
  float s;
  std::memcpy(&s, &bits, 4);
  return p * s;
}
INLINE float sigmoid(float x) { return 1.f / (1.f + fexp(-x)); }
INLINE float tanh_(float x) { return 2.f / (1.f + fexp(-2.f * x)) - 1.f; }

INLINE uint16_t to_bf(float x) {
  uint32_t u;
  std::memcpy(&u, &x, 4);
  return (uint16_t)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}
INLINE float from_bf(uint16_t v) {
  uint32_t u = (uint32_t)v << 16;
  float x;
  std::memcpy(&x, &u, 4);
  return x;
}

// mu-law over the int16 range, 16 codes per doubling: the code is 128 +- 16 log2(1 + 255 |x| / 32768).
static uint8_t to_ulaw(float x) {
  float u = 16.f * std::log2(1.f + (255.f / 32768.f) * std::fabs(x));
  int v = (int)std::lrint(x < 0 ? 128.f - u : 128.f + u);
  return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}
static float from_ulaw(int u) {
  float a = std::fabs((float)u - 128.f), v = (32768.f / 255.f) * (std::exp2(a / 16.f) - 1.f);
  return u < 128 ? -v : v;
}

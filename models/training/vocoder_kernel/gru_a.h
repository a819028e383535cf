// SPDX-License-Identifier: BSD-2-Clause
// GRU A, one step for two samples: forward and backward through time.
#pragma once
#include "product.h"

enum { SLOTS_A = 8 };
struct ShapeA { int T, B, L, H, FS; };   // steps, streams, levels of a slot, units, steps per frame

struct RunA { Tensor h, gates; };           // h bf16 [T + 1, B, H]; gates bf16 [T, B, 4H]: r, z, n, recurrent part of n

// x = conditioning + one row of every slot's table; gates n, r, z
INLINE void gather_row(const ShapeA& s, const uint16_t* table, const uint8_t* code, const float* __restrict cond,
                       float* __restrict x) {
  const int w = 3 * s.H;
  const uint16_t* u[SLOTS_A];
  for (int k = 0; k < SLOTS_A; k++) u[k] = table + ((size_t)k * s.L + code[k]) * w;
#pragma GCC ivdep
  for (int j = 0; j < w; j++)
    x[j] = cond[j] + ((from_bf(u[0][j]) + from_bf(u[1][j])) + (from_bf(u[2][j]) + from_bf(u[3][j]))) +
           ((from_bf(u[4][j]) + from_bf(u[5][j])) + (from_bf(u[6][j]) + from_bf(u[7][j])));
}

// One row of the reset-after GRU. p: recurrent sums r, z, n; x: inputs n, r, z.
static void gru_a_row(int H, const float* __restrict p, const float* __restrict x, const float* __restrict bn,
                      float* __restrict h, uint16_t* __restrict g, uint16_t* __restrict next) {
#pragma GCC ivdep
  for (int j = 0; j < H; j++) {
    float r = sigmoid(p[j] + x[H + j]), z = sigmoid(p[H + j] + x[2 * H + j]);
    float v = p[2 * H + j] + bn[j], n = tanh_(x[j] + r * v);
    float hj = n + z * (h[j] - n);
    h[j] = hj;
    g[j] = to_bf(r);
    g[H + j] = to_bf(z);
    g[2 * H + j] = to_bf(n);
    g[3 * H + j] = to_bf(v);
    next[j] = to_bf(hj);
  }
}

static RunA gru_a_forward(const ShapeA& s, const uint8_t* idx, const Tensor& table16, const Tensor& wh,
                          const Tensor& ca, const Tensor& bn, Tensor& h) {
  const int H = s.H;
  auto o16 = table16.options();
  RunA a{at::empty({s.T + 1, s.B, H}, o16), at::empty({s.T, s.B, 4 * H}, o16)};
  uint16_t *hs = H16(a.h), *gates = H16(a.gates);
  Packed w = pack(F(wh), H, 3 * H, 3 * H);
  std::vector<float> pre((size_t)32 * 3 * H), x(3 * H);
  float* state = F(h);
  for (int i = 0; i < s.B * H; i++) hs[i] = to_bf(state[i]);
  product_begin();
  for (int t = 0; t < s.T; t++)
    for (int b0 = 0; b0 < s.B; b0 += 32) {
      product(hs + ((size_t)t * s.B + b0) * H, H, w, pre.data(), 3 * H);
      for (int b = b0; b < b0 + 32; b++) {
        const size_t q = (size_t)t * s.B + b;
        gather_row(s, H16(table16), idx + q * SLOTS_A, F(ca) + ((size_t)(t / s.FS) * s.B + b) * 3 * H, x.data());
        gru_a_row(H, pre.data() + (size_t)(b - b0) * 3 * H, x.data(), F(bn), state + (size_t)b * H,
                  gates + q * 4 * H, hs + (q + s.B) * H);
      }
    }
  product_end();
  return a;
}

// Gradients of one row. c: gradient carried back in time (in: of h, out: its share through z).
// y float, d bf16: gradients of the sums n, r, z (inputs), n (recurrent side).
static void gru_a_row_back(int H, const uint16_t* __restrict g, const uint16_t* __restrict hp,
                           const uint16_t* __restrict go, float* __restrict c, float* __restrict y,
                           float* __restrict db, uint16_t* __restrict d) {
#pragma GCC ivdep
  for (int j = 0; j < H; j++) {
    float dj = c[j] + from_bf(go[j]), r = from_bf(g[j]), z = from_bf(g[H + j]);
    float n = from_bf(g[2 * H + j]), v = from_bf(g[3 * H + j]), h = from_bf(hp[j]);
    float dn = dj * (1 - z) * (1 - n * n), dz = dj * (h - n) * z * (1 - z), dr = dn * v * r * (1 - r);
    float dnh = dn * r;
    c[j] = dj * z;
    y[j] = dn;
    y[H + j] = dr;
    y[2 * H + j] = dz;
    db[j] += dnh;
    d[j] = to_bf(dn);
    d[H + j] = to_bf(dr);
    d[2 * H + j] = to_bf(dz);
    d[3 * H + j] = to_bf(dnh);
  }
}

static void scatter_row(const ShapeA& s, float* dtable, const uint8_t* code, const float* __restrict y,
                        float* __restrict dcond) {
  const int w = 3 * s.H;
#pragma GCC ivdep
  for (int j = 0; j < w; j++) dcond[j] += y[j];
  for (int k = 0; k < SLOTS_A; k++) {
    float* __restrict u = dtable + ((size_t)k * s.L + code[k]) * w;
#pragma GCC ivdep
    for (int j = 0; j < w; j++) u[j] += y[j];
  }
}

// Returns D bf16 [T, B, 4H] (inputs n, r, z; recurrent n); adds to dtable, dca, dbn.
static Tensor gru_a_backward(const ShapeA& s, const RunA& a, const uint8_t* idx, const Tensor& wh,
                             const Tensor& dh_out, Tensor& dtable, Tensor& dca, Tensor& dbn) {
  const int H = s.H;
  Tensor d = at::empty({s.T, s.B, 4 * H}, a.gates.options());
  Tensor wht = wh.t().contiguous();
  Packed back = pack(F(wht), 3 * H, H, H);
  uint16_t* dd = H16(d);
  std::vector<float> carry((size_t)s.B * H, 0.f), prod((size_t)32 * H), y(3 * H);
  product_begin();
  for (int t = s.T - 1; t >= 0; t--)
    for (int b0 = 0; b0 < s.B; b0 += 32) {
      for (int b = b0; b < b0 + 32; b++) {
        const size_t q = (size_t)t * s.B + b;
        gru_a_row_back(H, H16(a.gates) + q * 4 * H, H16(a.h) + q * H, H16(dh_out) + q * H,
                       carry.data() + (size_t)b * H, y.data(), F(dbn), dd + q * 4 * H);
        scatter_row(s, F(dtable), idx + q * SLOTS_A, y.data(), F(dca) + ((size_t)(t / s.FS) * s.B + b) * 3 * H);
      }
      product(dd + ((size_t)t * s.B + b0) * 4 * H + H, 4 * H, back, prod.data(), H);
      float* c = carry.data() + (size_t)b0 * H;
      for (int j = 0; j < 32 * H; j++) c[j] += prod[j];
    }
  product_end();
  return d;
}

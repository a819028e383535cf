// SPDX-License-Identifier: BSD-2-Clause
// GRU B and the binary tree, one step for every sample: forward and backward through time.
#pragma once
#include "math.h"

struct Tree { const float *w[2], *b[2], *s[2]; float *dw[2], *db[2], *ds[2]; };

// One sample: adds -log p(target) to the loss, gradients to the tree and to dh.
INLINE float tree_step(const Tree& t, int G, const float* __restrict h, int y, float scale, float* __restrict dh) {
  float sum[16], th[16], sc[16], p[8], d[8], nll[8];
  int nodes[8], bits[8];
  for (int l = 0, node = 1; l < 8; l++) {
    nodes[l] = node;
    bits[l] = (y >> (7 - l)) & 1;
    for (int i = 0; i < 2; i++) {
      const float* __restrict w = t.w[i] + node * G;
      float acc = 0;
      for (int k = 0; k < G; k++) acc += w[k] * h[k];
      sum[i * 8 + l] = acc + t.b[i][node];
      sc[i * 8 + l] = t.s[i][node];
    }
    node = 2 * node + bits[l];
  }
  for (int i = 0; i < 16; i++) th[i] = tanh_(sum[i]);
  float prob = 1;
  for (int l = 0; l < 8; l++) {
    p[l] = sigmoid(sc[l] * th[l] + sc[8 + l] * th[8 + l]);
    d[l] = (p[l] - bits[l]) * scale;
    nll[l] = bits[l] ? p[l] : 1 - p[l];
  }
  float loss = 0;
  for (int l = 0; l < 8; l += 4) {
    prob = (nll[l] + 1e-8f) * (nll[l + 1] + 1e-8f) * (nll[l + 2] + 1e-8f) * (nll[l + 3] + 1e-8f);
    loss -= std::log(prob);
  }
  if (!dh) return loss;
  for (int l = 0; l < 8; l++)
    for (int i = 0; i < 2; i++) {
      int node = nodes[l];
      float u = th[i * 8 + l], di = d[l] * sc[i * 8 + l] * (1 - u * u);
      t.ds[i][node] += d[l] * u;
      t.db[i][node] += di;
      const float* __restrict w = t.w[i] + node * G;
      float* __restrict dw = t.dw[i] + node * G;
      for (int k = 0; k < G; k++) { dw[k] += di * h[k]; dh[k] += di * w[k]; }
    }
  return loss;
}

// x: input sums r, z, n; h -> h1; g: gates r, z, n, recurrent part of n.
INLINE void gru_b_step(int G, const float* __restrict x, const float* __restrict wb, const float* __restrict bn,
                       const float* __restrict h, float* __restrict h1, float* __restrict g) {
  float acc[3 * 128];
  for (int j = 0; j < 3 * G; j++) acc[j] = 0;
  for (int k = 0; k < G; k++)
    for (int j = 0; j < 3 * G; j++) acc[j] += h[k] * wb[k * 3 * G + j];
  for (int j = 0; j < G; j++) {
    float r = sigmoid(x[j] + acc[j]), z = sigmoid(x[G + j] + acc[G + j]);
    float v = acc[2 * G + j] + bn[j], n = tanh_(x[2 * G + j] + r * v);
    g[j] = r; g[G + j] = z; g[2 * G + j] = n; g[3 * G + j] = v;
    h1[j] = n + z * (h[j] - n);
  }
}

// Gradients of one sample. c: gradient carried back in time; y: r, z, n (inputs), n (recurrent side); wt [3G, G].
INLINE void gru_b_back(int G, const float* __restrict g, const float* __restrict hp, const float* __restrict go,
                       const float* __restrict wt, float* __restrict c, float* __restrict y) {
  for (int j = 0; j < G; j++) {
    float dj = c[j] + go[j], r = g[j], z = g[G + j], n = g[2 * G + j], v = g[3 * G + j];
    float dn = dj * (1 - z) * (1 - n * n), dz = dj * (hp[j] - n) * z * (1 - z), dr = dn * v * r * (1 - r);
    y[j] = dr;
    y[G + j] = dz;
    y[2 * G + j] = dn;
    y[3 * G + j] = dn * r;
    c[j] = dj * z;
  }
  for (int i = 0; i < 2 * G; i++)
    for (int k = 0; k < G; k++) c[k] += y[i] * wt[i * G + k];
  for (int i = 2 * G; i < 3 * G; i++)
    for (int k = 0; k < G; k++) c[k] += y[i + G] * wt[i * G + k];
}

enum { SLOTS_B = 3 };
struct ShapeB { int T, B, G, FS; };   // samples, streams, units, samples per frame

// Everything that runs once per sample. gi bf16 [T / 2, B, 2, 3G]: products of GRU A's state for both samples of a step.
struct InputsB {
  const uint16_t* gi;
  const uint8_t *idx, *target;
  const float *table, *cond, *wb, *bn;
};
struct BuffersB { float *h, *gates, *dh; };   // [T + 1, B, G], [T, B, 4G], [T, B, G]

INLINE double gru_b_forward(const ShapeB& s, const int G, const InputsB& in, const BuffersB& out, const Tree& tree,
                            float scale, bool train) {
  double loss = 0;
  float x[3 * 128];
  for (int t = 0; t < s.T; t++)
    for (int b = 0; b < s.B; b++) {
      const size_t q = (size_t)t * s.B + b;
      const uint16_t* gi = in.gi + (((size_t)(t / 2) * s.B + b) * 2 + (t & 1)) * 3 * G;
      const float* c = in.cond + ((size_t)(t / s.FS) * s.B + b) * 3 * G;
      for (int j = 0; j < 3 * G; j++) x[j] = from_bf(gi[j]) + c[j];
      for (int k = 0; k < SLOTS_B; k++) {
        const float* __restrict row = in.table + ((size_t)k * 256 + in.idx[q * SLOTS_B + k]) * 3 * G;
        for (int j = 0; j < 3 * G; j++) x[j] += row[j];
      }
      gru_b_step(G, x, in.wb, in.bn, out.h + q * G, out.h + (q + s.B) * G, out.gates + q * 4 * G);
      loss += tree_step(tree, G, out.h + (q + s.B) * G, in.target[q], scale, train ? out.dh + q * G : nullptr);
    }
  return loss;
}

struct GradientsB { float *d, *table, *cond; uint16_t* gi; };   // d [T, B, 4G]

INLINE void gru_b_backward(const ShapeB& s, const int G, const InputsB& in, const BuffersB& run, const float* wt,
                           const GradientsB& out) {
  std::vector<float> carry((size_t)s.B * G, 0.f);
  for (int t = s.T - 1; t >= 0; t--)
    for (int b = 0; b < s.B; b++) {
      const size_t q = (size_t)t * s.B + b;
      float *y = out.d + q * 4 * G, *c = out.cond + ((size_t)(t / s.FS) * s.B + b) * 3 * G;
      gru_b_back(G, run.gates + q * 4 * G, run.h + q * G, run.dh + q * G, wt, carry.data() + (size_t)b * G, y);
      uint16_t* gi = out.gi + (((size_t)(t / 2) * s.B + b) * 2 + (t & 1)) * 3 * G;
      for (int j = 0; j < 3 * G; j++) { c[j] += y[j]; gi[j] = to_bf(y[j]); }
      for (int k = 0; k < SLOTS_B; k++) {
        float* __restrict row = out.table + ((size_t)k * 256 + in.idx[q * SLOTS_B + k]) * 3 * G;
        for (int j = 0; j < 3 * G; j++) row[j] += y[j];
      }
    }
}

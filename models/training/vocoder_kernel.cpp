// SPDX-License-Identifier: BSD-2-Clause
// The sample-rate part of the vocoder for training on a CPU: forward and backward through time in one call.
//
// Layouts (row-major; B a multiple of 32; E3 = slots * embedding width; H, E3 multiples of 32):
//   idx u8 [T,B,S], target u8 [T,B]; emb f32 [S,256,E]; wx f32 [S*E,3H] gates n,r,z; wh f32 [H,3H] gates r,z,n;
//   ca f32 [F,B,3H] gates n,r,z; cb f32 [F,B,3G] gates r,z,n.
// The recurrent products run in bfloat16 with float32 sums: on AMX tiles where the CPU has them, else in plain loops.
#include <torch/extension.h>
#include <malloc.h>
#include <cmath>
#include <cstring>
#include <vector>
#ifdef __AMX_BF16__
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
using at::Tensor;
typedef at::BFloat16 bf16;

static inline float fexp(float x) {
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
static inline float sigmoid(float x) { return 1.f / (1.f + fexp(-x)); }
static inline float tanh_(float x) { return 2.f / (1.f + fexp(-2.f * x)) - 1.f; }
static inline uint16_t to_bf(float x) {
  uint32_t u;
  std::memcpy(&u, &x, 4);
  return (uint16_t)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}
static inline float from_bf(uint16_t v) {
  uint32_t u = (uint32_t)v << 16;
  float x;
  std::memcpy(&x, &u, 4);
  return x;
}

// ---------------------------------------------------------------- C[32,N] (+)= A[32,K] W[K,N]
struct Packed {  // W in the order the product reads it
  int K, N;
  std::vector<uint16_t> data;
};
static Packed pack(const float* w, int K, int N, int ld) {  // pairs of rows interleaved: [K/32][N/16][16][16][2]
  Packed p{K, N, std::vector<uint16_t>((size_t)K * N)};
  for (int k = 0; k < K; k++)
    for (int n = 0; n < N; n++) {
      size_t tile = (size_t)(k / 32) * (N / 16) + n / 16;
      p.data[tile * 512 + ((k % 32) / 2) * 32 + (n % 16) * 2 + (k & 1)] = to_bf(w[(size_t)k * ld + n]);
    }
  return p;
}
#ifdef __AMX_BF16__
struct __attribute__((packed)) TileConfig {
  uint8_t palette = 1, start = 0, reserved[14] = {0};
  uint16_t bytes[16] = {0};
  uint8_t rows[16] = {0};
};
static void amx_begin() {
  static bool asked = false;
  if (!asked) { syscall(SYS_arch_prctl, 0x1023, 18); asked = true; }
  TileConfig c;
  for (int i = 0; i < 8; i++) { c.rows[i] = 16; c.bytes[i] = 64; }
  _tile_loadconfig(&c);
}
static void amx_end() { _tile_release(); }
static inline void product_pass(const uint16_t* a, int lda, const Packed& w, int n, int ncol) {
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
}
// c[32, ldc] = a1 w1 (+ a2 w2)
static void product(const uint16_t* a1, int lda1, const Packed& w1, const uint16_t* a2, int lda2, const Packed* w2,
                    float* c, int ldc) {
  int ncol = w1.N / 16;
  for (int n = 0; n < ncol; n += 2) {
    _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3);
    product_pass(a1, lda1, w1, n, ncol);
    if (w2) product_pass(a2, lda2, *w2, n, ncol);
    _tile_stored(0, c + n * 16, ldc * 4);
    _tile_stored(1, c + n * 16 + 16, ldc * 4);
    _tile_stored(2, c + (size_t)16 * ldc + n * 16, ldc * 4);
    _tile_stored(3, c + (size_t)16 * ldc + n * 16 + 16, ldc * 4);
  }
}
#else
static void amx_begin() {}
static void amx_end() {}
static void add_product(const uint16_t* a, int lda, const Packed& w, float* c, int ldc) {
  int ncol = w.N / 16;
  for (int m = 0; m < 32; m++)
    for (int k = 0; k < w.K; k += 2) {
      float x0 = from_bf(a[(size_t)m * lda + k]), x1 = from_bf(a[(size_t)m * lda + k + 1]);
      for (int n = 0; n < ncol; n++) {
        const uint16_t* t = w.data.data() + ((size_t)(k / 32) * ncol + n) * 512 + ((k % 32) / 2) * 32;
        float* y = c + (size_t)m * ldc + n * 16;
        for (int j = 0; j < 16; j++) y[j] += x0 * from_bf(t[2 * j]) + x1 * from_bf(t[2 * j + 1]);
      }
    }
}
static void product(const uint16_t* a1, int lda1, const Packed& w1, const uint16_t* a2, int lda2, const Packed* w2,
                    float* c, int ldc) {
  for (int m = 0; m < 32; m++) std::memset(c + (size_t)m * ldc, 0, w1.N * 4);
  add_product(a1, lda1, w1, c, ldc);
  if (w2) add_product(a2, lda2, *w2, c, ldc);
}
#endif

// Inlined where the width G is a constant, so that the loops over it are unrolled.
#define INLINE static inline __attribute__((always_inline))
#define F(t) (t).data_ptr<float>()
#define U(t) (t).data_ptr<uint8_t>()
#define H16(t) reinterpret_cast<uint16_t*>((t).data_ptr<bf16>())

struct Shape { int T, B, S, E, H, G, FS; };

// ---------------------------------------------------------------- GRU A
struct GruA { Tensor xh, gates; };  // xh bf16 [T+1,B,SE+H]; gates bf16 [T,B,4H]: r,z,n,nh

static void gather(const Shape& s, const uint8_t* idx, const Tensor& emb16, uint16_t* xh) {
  const uint16_t* e = H16(emb16);
  int row = s.S * s.E + s.H;
  for (int64_t q = 0; q < (int64_t)s.T * s.B; q++)
    for (int k = 0; k < s.S; k++)
      std::memcpy(xh + q * row + k * s.E, e + ((size_t)k * 256 + idx[q * s.S + k]) * s.E, s.E * 2);
}

// One row of the reset-after GRU. p: sums nx,r,z,nh; c: conditioning n,r,z.
static void gru_row(int H, const float* __restrict p, const float* __restrict c, const float* __restrict bn,
                    float* __restrict h, uint16_t* __restrict g, uint16_t* __restrict next) {
#pragma GCC ivdep
  for (int j = 0; j < H; j++) {
    float r = sigmoid(p[H + j] + c[H + j]), z = sigmoid(p[2 * H + j] + c[2 * H + j]);
    float v = p[3 * H + j] + bn[j], n = tanh_(p[j] + c[j] + r * v);
    float hj = n + z * (h[j] - n);
    h[j] = hj;
    g[j] = to_bf(r);
    g[H + j] = to_bf(z);
    g[2 * H + j] = to_bf(n);
    g[3 * H + j] = to_bf(v);
    next[j] = to_bf(hj);
  }
}

// Gradients of one row. c: gradient carried back in time (in: of h, out: its share through z).
static void gru_row_back(int H, const uint16_t* __restrict g, const uint16_t* __restrict hp, const uint16_t* __restrict go,
                         float* __restrict c, float* __restrict dc, float* __restrict db, uint16_t* __restrict y) {
#pragma GCC ivdep
  for (int j = 0; j < H; j++) {
    float dj = c[j] + from_bf(go[j]), r = from_bf(g[j]), z = from_bf(g[H + j]);
    float n = from_bf(g[2 * H + j]), v = from_bf(g[3 * H + j]), h = from_bf(hp[j]);
    float dn = dj * (1 - z) * (1 - n * n), dz = dj * (h - n) * z * (1 - z), dr = dn * v * r * (1 - r);
    float dnh = dn * r;
    c[j] = dj * z;
    dc[j] += dn;
    dc[H + j] += dr;
    dc[2 * H + j] += dz;
    db[j] += dnh;
    y[j] = to_bf(dn);
    y[H + j] = to_bf(dr);
    y[2 * H + j] = to_bf(dz);
    y[3 * H + j] = to_bf(dnh);
  }
}

static GruA gru_a_forward(const Shape& s, const Tensor& idx, const Tensor& emb16, const Tensor& wx, const Tensor& wh,
                          const Tensor& ca, const Tensor& bn, Tensor& h) {
  int H = s.H, X = s.S * s.E, row = X + H;
  auto o16 = wx.options().dtype(at::kBFloat16);
  GruA a{at::empty({s.T + 1, s.B, row}, o16), at::empty({s.T, s.B, 4 * H}, o16)};
  uint16_t *xh = H16(a.xh), *gates = H16(a.gates);
  gather(s, U(idx), emb16, xh);
  Packed xn = pack(F(wx), X, H, 3 * H), xrz = pack(F(wx) + H, X, 2 * H, 3 * H);
  Packed hrz = pack(F(wh), H, 2 * H, 3 * H), hn = pack(F(wh) + 2 * H, H, H, 3 * H);
  std::vector<float> pre((size_t)32 * 4 * H);
  float* state = F(h);
  const float* cond = F(ca);
  const float* b_n = F(bn);
  for (int b = 0; b < s.B; b++)
    for (int j = 0; j < H; j++) xh[(size_t)b * row + X + j] = to_bf(state[b * H + j]);
  amx_begin();
  for (int t = 0; t < s.T; t++)
    for (int b0 = 0; b0 < s.B; b0 += 32) {
      uint16_t* x = xh + ((size_t)t * s.B + b0) * row;
      product(x, row, xn, nullptr, 0, nullptr, pre.data(), 4 * H);
      product(x, row, xrz, x + X, row, &hrz, pre.data() + H, 4 * H);
      product(x + X, row, hn, nullptr, 0, nullptr, pre.data() + 3 * H, 4 * H);
      for (int b = 0; b < 32; b++) {
        const float *p = pre.data() + (size_t)b * 4 * H, *c = cond + ((size_t)(t / s.FS) * s.B + b0 + b) * 3 * H;
        float* hs = state + (size_t)(b0 + b) * H;
        uint16_t *g = gates + ((size_t)t * s.B + b0 + b) * 4 * H, *next = x + (size_t)s.B * row + (size_t)b * row + X;
        gru_row(H, p, c, b_n, hs, g, next);
      }
    }
  amx_end();
  return a;
}

// Returns D bf16 [T,B,4H] = gradients of the sums n,r,z (input side) and n (recurrent side); adds up dca, dbn.
static Tensor gru_a_backward(const Shape& s, const GruA& a, const Tensor& wh, const Tensor& dh_out, Tensor& dca,
                             Tensor& dbn) {
  int H = s.H, X = s.S * s.E, row = X + H;
  Tensor d = at::empty({s.T, s.B, 4 * H}, a.gates.options());
  Tensor wht = wh.t().contiguous();
  Packed back = pack(F(wht), 3 * H, H, H);
  const uint16_t *xh = H16(a.xh), *gates = H16(a.gates), *dho = H16(dh_out);
  float *dcond = F(dca), *db = F(dbn);
  uint16_t* dd = H16(d);
  std::vector<float> carry((size_t)s.B * H, 0.f), prod((size_t)32 * H);
  amx_begin();
  for (int t = s.T - 1; t >= 0; t--)
    for (int b0 = 0; b0 < s.B; b0 += 32) {
      uint16_t* dt = dd + ((size_t)t * s.B + b0) * 4 * H;
      for (int b = 0; b < 32; b++) {
        size_t q = (size_t)t * s.B + b0 + b;
        const uint16_t *g = gates + q * 4 * H, *hp = xh + q * row + X, *go = dho + q * H;
        float *c = carry.data() + (size_t)(b0 + b) * H, *dc = dcond + ((size_t)(t / s.FS) * s.B + b0 + b) * 3 * H;
        uint16_t* y = dt + (size_t)b * 4 * H;
        gru_row_back(H, g, hp, go, c, dc, db, y);
      }
      product(dt + H, 4 * H, back, nullptr, 0, nullptr, prod.data(), H);
      float* c = carry.data() + (size_t)b0 * H;
      for (int j = 0; j < 32 * H; j++) c[j] += prod[j];
    }
  amx_end();
  return d;
}

// ---------------------------------------------------------------- GRU B and the binary tree
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

// hs f32 [T+1,B,G]; gates f32 [T,B,4G]: r,z,n,nh.  gi bf16 [T,B,3G] is the input product.
INLINE void gru_b_step(int G, const uint16_t* __restrict gi, const float* __restrict c, const float* __restrict wb,
                       const float* __restrict bn, const float* __restrict h, float* __restrict h1,
                       float* __restrict g) {
  float acc[3 * 128];
  for (int j = 0; j < 3 * G; j++) acc[j] = 0;
  for (int k = 0; k < G; k++)
    for (int j = 0; j < 3 * G; j++) acc[j] += h[k] * wb[k * 3 * G + j];
  for (int j = 0; j < G; j++) {
    float r = sigmoid(from_bf(gi[j]) + c[j] + acc[j]), z = sigmoid(from_bf(gi[G + j]) + c[G + j] + acc[G + j]);
    float v = acc[2 * G + j] + bn[j], n = tanh_(from_bf(gi[2 * G + j]) + c[2 * G + j] + r * v);
    g[j] = r; g[G + j] = z; g[2 * G + j] = n; g[3 * G + j] = v;
    h1[j] = n + z * (h[j] - n);
  }
}

// Gradients of one sample. c: gradient carried back in time; y: r,z,n (input side), n (recurrent side); wt [3G,G].
INLINE void gru_b_back(int G, const float* __restrict g, const float* __restrict hp, const float* __restrict go,
                       const float* __restrict wt, float* __restrict c, float* __restrict y, float* __restrict dc) {
  for (int j = 0; j < G; j++) {
    float dj = c[j] + go[j], r = g[j], z = g[G + j], n = g[2 * G + j], v = g[3 * G + j];
    float dn = dj * (1 - z) * (1 - n * n), dz = dj * (hp[j] - n) * z * (1 - z), dr = dn * v * r * (1 - r);
    y[j] = dr;
    y[G + j] = dz;
    y[2 * G + j] = dn;
    y[3 * G + j] = dn * r;
    c[j] = dj * z;
    dc[j] += dr;
    dc[G + j] += dz;
    dc[2 * G + j] += dn;
  }
  for (int i = 0; i < 2 * G; i++)
    for (int k = 0; k < G; k++) c[k] += y[i] * wt[i * G + k];
  for (int i = 2 * G; i < 3 * G; i++)
    for (int k = 0; k < G; k++) c[k] += y[i + G] * wt[i * G + k];
}

std::vector<Tensor> step(Tensor idx, Tensor target, Tensor emb, Tensor wx, Tensor wh, Tensor bn, Tensor ca, Tensor wbi,
                         Tensor wb, Tensor bbn, Tensor cb, std::vector<Tensor> tree, Tensor ha, Tensor hb, int64_t FS,
                         bool train) {
  py::gil_scoped_release nogil;
  at::NoGradGuard no_grad;
  Shape s{(int)idx.size(0), (int)idx.size(1), (int)idx.size(2), (int)emb.size(2), (int)wh.size(0), (int)wb.size(0),
          (int)FS};
  TORCH_CHECK(s.B % 32 == 0 && s.H % 32 == 0 && (s.S * s.E) % 32 == 0 && s.G <= 128, "sizes must be multiples of 32");
  int T = s.T, B = s.B, H = s.H, G = s.G, X = s.S * s.E;
  auto o = wx.options();
  auto o16 = o.dtype(at::kBFloat16);
  Tensor h = ha.clone();
  GruA a = gru_a_forward(s, idx, emb.to(at::kBFloat16).contiguous(), wx, wh, ca, bn, h);
  Tensor flat = a.xh.view({(int64_t)(T + 1) * B, X + H});
  Tensor out = flat.narrow(0, B, (int64_t)T * B).narrow(1, X, H);
  Tensor gi = at::mm(out, wbi.to(at::kBFloat16));  // wbi [H,3G]
  Tensor hs = at::empty({T + 1, B, G}, o), gb = at::empty({T, B, 4 * G}, o), dg = at::zeros({T, B, G}, o);
  hs[0].copy_(hb);
  std::vector<Tensor> dtree;
  for (auto& w : tree) dtree.push_back(at::zeros_like(w));
  Tree tr{{F(tree[0]), F(tree[3])}, {F(tree[1]), F(tree[4])}, {F(tree[2]), F(tree[5])},
          {F(dtree[0]), F(dtree[3])}, {F(dtree[1]), F(dtree[4])}, {F(dtree[2]), F(dtree[5])}};
  double loss = 0;
  float scale = 1.f / ((float)T * B);
  const uint16_t* pgi = H16(gi);
  const uint8_t *py = U(target), *pidx = U(idx);
  const float *pcb = F(cb), *pwb = F(wb), *pbbn = F(bbn);
  float *phs = F(hs), *pgb = F(gb), *pdg = F(dg);
  for (int t = 0; t < T; t++)
    for (int b = 0; b < B; b++) {
      int64_t q = (int64_t)t * B + b;
      float* h1 = phs + (q + B) * G;
      const float* c = pcb + ((int64_t)(t / FS) * B + b) * 3 * G;
      float* dh = train ? pdg + q * G : nullptr;
      if (G == 32) {
        gru_b_step(32, pgi + q * 96, c, pwb, pbbn, phs + q * 32, h1, pgb + q * 128);
        loss += tree_step(tr, 32, h1, py[q], scale, dh);
      } else {
        gru_b_step(G, pgi + q * 3 * G, c, pwb, pbbn, phs + q * G, h1, pgb + q * 4 * G);
        loss += tree_step(tr, G, h1, py[q], scale, dh);
      }
    }
  Tensor value = at::full({1}, loss * scale, o), hb1 = hs[T].clone();
  if (!train) return {value, h, hb1};

  // GRU B backward: d f32 [T,B,4G] = r,z,n (input side), n (recurrent side)
  Tensor d = at::empty({T, B, 4 * G}, o), dcb = at::zeros_like(cb);
  std::vector<float> carry((size_t)B * G, 0.f);
  Tensor wbt = wb.t().contiguous();  // [3G,G]
  const float* pwbt = F(wbt);
  float *pd = F(d), *pdcb = F(dcb);
  for (int t = T - 1; t >= 0; t--)
    for (int b = 0; b < B; b++) {
      int64_t q = (int64_t)t * B + b;
      const float *g = pgb + q * 4 * G, *hp = phs + q * G, *go = pdg + q * G;
      float *c = carry.data() + (size_t)b * G, *y = pd + q * 4 * G, *dc = pdcb + ((int64_t)(t / FS) * B + b) * 3 * G;
      G == 32 ? gru_b_back(32, g, hp, go, pwbt, c, y, dc) : gru_b_back(G, g, hp, go, pwbt, c, y, dc);
    }
  Tensor d2 = d.view({(int64_t)T * B, 4 * G}), d16 = d2.narrow(1, 0, 3 * G).to(at::kBFloat16);
  Tensor rec = at::cat({d2.narrow(1, 0, 2 * G), d2.narrow(1, 3 * G, G)}, 1);
  Tensor dwb = at::mm(hs.narrow(0, 0, T).reshape({(int64_t)T * B, G}).t(), rec);
  Tensor dbbn = d2.narrow(1, 3 * G, G).sum(0);
  Tensor dwbi = at::mm(out.t(), d16).to(at::kFloat);
  Tensor dout = at::mm(d16, wbi.t().to(at::kBFloat16)).contiguous();

  Tensor dca = at::zeros_like(ca), dbn = at::zeros_like(bn);
  Tensor da = gru_a_backward(s, a, wh, dout, dca, dbn).view({(int64_t)T * B, 4 * H});
  Tensor xh = flat.narrow(0, 0, (int64_t)T * B), dx3 = da.narrow(1, 0, 3 * H), dh3 = da.narrow(1, H, 3 * H);
  Tensor dwx = at::mm(xh.narrow(1, 0, X).t(), dx3).to(at::kFloat);
  Tensor dwh = at::mm(xh.narrow(1, X, H).t(), dh3).to(at::kFloat);
  Tensor dx = at::mm(dx3, wx.t().to(at::kBFloat16)).contiguous();
  Tensor demb = at::zeros_like(emb);
  float* pde = F(demb);
  const uint16_t* pdx = H16(dx);
  for (int64_t q = 0; q < (int64_t)T * B; q++)
    for (int k = 0; k < s.S; k++) {
      float* e = pde + ((size_t)k * 256 + pidx[q * s.S + k]) * s.E;
      const uint16_t* x = pdx + q * X + k * s.E;
      if (s.E == 32)
        for (int j = 0; j < 32; j++) e[j] += from_bf(x[j]);
      else
        for (int j = 0; j < s.E; j++) e[j] += from_bf(x[j]);
    }
  std::vector<Tensor> r = {value, h, hb1, demb, dwx, dwh, dbn, dca, dwbi, dwb, dbbn, dcb};
  r.insert(r.end(), dtree.begin(), dtree.end());
  return r;
}

// ---------------------------------------------------------------- teacher forcing with noise
static uint8_t to_ulaw(float x) {
  float u = std::log(1.f + (255.f / 32768.f) * std::fabs(x)) * (128.f / 5.54517744f);
  int v = (int)std::lrint(x < 0 ? 128.f - u : 128.f + u);
  return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}
static float from_ulaw(int u) {
  float a = std::fabs((float)u - 128.f), v = (32768.f / 255.f) * (std::exp(a * (5.54517744f / 128.f)) - 1.f);
  return u < 128 ? -v : v;
}

// sig f32 [B,T] pre-emphasised; lpc f32 [B,F,16]; lag i32 [B,F]; noise f32 [B] (standard deviation in mu-law steps);
// memory f32 [B,16] and history u8 [B,512] (newest last) are carried over; fills idx u8 [T,B,6], target u8 [T,B].
void teacher(Tensor sig, Tensor lpc, Tensor lag, Tensor noise, Tensor memory, Tensor history, Tensor idx, Tensor target,
             int64_t FS, int64_t seed) {
  py::gil_scoped_release nogil;
  int B = sig.size(0), T = sig.size(1), nf = lpc.size(1);
  float expand[256];
  for (int i = 0; i < 256; i++) expand[i] = from_ulaw(i);
  std::vector<uint8_t> exc(512 + T);
  uint64_t rng = (uint64_t)seed * 0x9E3779B97F4A7C15ull + 1;
  for (int b = 0; b < B; b++) {
    float* m = F(memory) + b * 16;
    uint8_t* hist = U(history) + b * 512;
    std::memcpy(exc.data(), hist, 512);
    float level = F(noise)[b];
    for (int t = 0; t < T; t++) {
      const float* a = F(lpc) + ((size_t)b * nf + t / FS) * 16;
      int period = lag.data_ptr<int32_t>()[b * nf + t / FS];
      float pred = 0;
      for (int k = 0; k < 16; k++) pred -= a[k] * m[k];
      uint8_t* o = U(idx) + ((size_t)t * B + b) * 6;
      const uint8_t* e = exc.data() + 512 + t;
      o[0] = to_ulaw(m[0]); o[1] = to_ulaw(pred); o[2] = e[-1];
      o[3] = e[-period - 1]; o[4] = e[-period]; o[5] = e[-period + 1];
      uint8_t y = to_ulaw(F(sig)[(size_t)b * T + t] - pred);
      U(target)[(size_t)t * B + b] = y;
      float g = -2.f;
      for (int i = 0; i < 4; i++) {
        rng ^= rng << 13; rng ^= rng >> 7; rng ^= rng << 17;
        g += (float)(rng >> 40) * (1.f / 16777216.f);
      }
      int n = (int)std::lrint(y + level * 1.7320508f * g);
      n = n < 0 ? 0 : n > 255 ? 255 : n;
      exc[512 + t] = (uint8_t)n;
      float x = pred + expand[n];
      std::memmove(m + 1, m, 15 * sizeof(float));
      m[0] = x < -32767.f ? -32767.f : x > 32767.f ? 32767.f : x;
    }
    std::memcpy(hist, exc.data() + T, 512);
  }
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);  // the large buffers of a step are reused, not returned to the system
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  m.def("step", &step);
  m.def("teacher", &teacher);
}

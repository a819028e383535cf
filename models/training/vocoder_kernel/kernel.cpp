// SPDX-License-Identifier: BSD-2-Clause
// The sample-rate part of the vocoder for training on a CPU: forward and backward through time in one call.
#include <malloc.h>
#include "gru_a.h"
#include "gru_b.h"
#include "teacher.h"

// Row-major; T samples, B streams (a multiple of 32), A and B units, FS samples per frame (even):
//   idx_a u8 [T/2,B,8], idx_b u8 [T,B,3], target u8 [T,B]; ha [B,A], hb [B,G]
//   table_a [8,128,3A] gates n,r,z; wh [A,3A] gates r,z,n; bn [A]; ca [F,B,3A] gates n,r,z
//   wbi [A,6G] (both samples, gates r,z,n); table_b [3,256,3G]; wb [G,3G]; bbn [G]; cb [F,B,3G]; tree w,b,s twice
// Returns loss (nats per sample), new states and, if train, the gradients of all weights and of ca, cb.
static std::vector<Tensor> step(Tensor idx_a, Tensor idx_b, Tensor target, Tensor ha, Tensor hb, Tensor table_a,
                                Tensor wh, Tensor bn, Tensor ca, Tensor wbi, Tensor table_b, Tensor wb, Tensor bbn,
                                Tensor cb, std::vector<Tensor> tree, int64_t FS, bool train) {
  py::gil_scoped_release nogil;
  at::NoGradGuard no_grad;
  const int T = idx_b.size(0), B = idx_b.size(1), H = wh.size(0), G = wb.size(0);
  ShapeA sa{T / 2, B, (int)table_a.size(1), H, (int)FS / 2};
  ShapeB sb{T, B, G, (int)FS};
  TORCH_CHECK(B % 32 == 0 && H % 32 == 0 && G <= 128 && FS % 2 == 0, "streams and units must be multiples of 32");
  auto o = wh.options();
  auto o16 = o.dtype(at::kBFloat16);
  Tensor h = ha.clone();
  RunA a = gru_a_forward(sa, U(idx_a), table_a.to(at::kBFloat16).contiguous(), wh, ca, bn, h);
  const int64_t rows = (int64_t)T / 2 * B;
  Tensor states = a.h.view({rows + B, H}), out = states.narrow(0, B, rows);
  Tensor wbi16 = wbi.to(at::kBFloat16), gi = at::mm(out, wbi16);

  Tensor hs = at::empty({T + 1, B, G}, o), gates = at::empty({T, B, 4 * G}, o), dh = at::zeros({T, B, G}, o);
  hs[0].copy_(hb);
  std::vector<Tensor> dtree;
  for (auto& w : tree) dtree.push_back(at::zeros_like(w));
  Tree tr{{F(tree[0]), F(tree[3])}, {F(tree[1]), F(tree[4])}, {F(tree[2]), F(tree[5])},
          {F(dtree[0]), F(dtree[3])}, {F(dtree[1]), F(dtree[4])}, {F(dtree[2]), F(dtree[5])}};
  InputsB in{H16(gi), U(idx_b), U(target), F(table_b), F(cb), F(wb), F(bbn)};
  BuffersB run{F(hs), F(gates), F(dh)};
  const float scale = 1.f / ((float)T * B);
  double loss = G == 32 ? gru_b_forward(sb, 32, in, run, tr, scale, train)
                        : gru_b_forward(sb, G, in, run, tr, scale, train);
  Tensor value = at::full({1}, loss * scale, o), hb1 = hs[T].clone();
  if (!train) return {value, h, hb1};

  Tensor d = at::empty({(int64_t)T * B, 4 * G}, o), dgi = at::empty_like(gi);
  Tensor dcb = at::zeros_like(cb), dtable_b = at::zeros_like(table_b), wbt = wb.t().contiguous();
  GradientsB gb{F(d), F(dtable_b), F(dcb), H16(dgi)};
  G == 32 ? gru_b_backward(sb, 32, in, run, F(wbt), gb) : gru_b_backward(sb, G, in, run, F(wbt), gb);
  Tensor rec = at::cat({d.narrow(1, 0, 2 * G), d.narrow(1, 3 * G, G)}, 1);
  Tensor dwb = at::mm(hs.narrow(0, 0, T).reshape({(int64_t)T * B, G}).t(), rec);
  Tensor dbbn = d.narrow(1, 3 * G, G).sum(0);
  Tensor dwbi = at::mm(out.t(), dgi).to(at::kFloat);
  Tensor dout = at::mm(dgi, wbi16.t()).contiguous();

  Tensor dca = at::zeros_like(ca), dbn = at::zeros_like(bn), dtable_a = at::zeros_like(table_a);
  Tensor da = gru_a_backward(sa, a, U(idx_a), wh, dout, dtable_a, dca, dbn).view({rows, 4 * H});
  Tensor dwh = at::mm(states.narrow(0, 0, rows).t(), da.narrow(1, H, 3 * H)).to(at::kFloat);
  std::vector<Tensor> r = {value, h, hb1, dtable_a, dwh, dbn, dca, dwbi, dtable_b, dwb, dbbn, dcb};
  r.insert(r.end(), dtree.begin(), dtree.end());
  return r;
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);  // the large buffers of a step are reused, not returned to the system
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  m.def("step", &step);
  m.def("teacher", &teacher);
}

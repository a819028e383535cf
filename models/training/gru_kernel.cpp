// SPDX-License-Identifier: BSD-2-Clause
// The recurrent loop of a GRU layer, forward and backward, for training on a CPU.
//
// Products with the input lie outside (one product over all steps). Gates are in torch.nn.GRU's order r, z, n, with
// the reset gate after the recurrent product. Arithmetic is float32; `given` and what goes back through it may be
// bfloat16.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <ATen/cpu/vec/vec.h>
#include <torch/csrc/utils/pybind.h>  // torch/extension.h takes twice as long to compile

#include <vector>

using Vec = at::vec::Vectorized<float>;
constexpr int64_t W = Vec::size();

static Vec sigmoid(Vec x) { return Vec(1.0f) / (Vec(1.0f) + x.neg().exp()); }

static void check(const at::Tensor& given, const at::Tensor& recurrent, const at::Tensor& bias, const at::Tensor& start) {
    TORCH_CHECK(given.dim() == 3 && start.dim() == 2 && recurrent.dim() == 2, "gru: expected given [T, B, 3H]");
    const int64_t h = start.size(1);
    TORCH_CHECK(h % W == 0, "gru: expected a size that is a multiple of ", W, ", got ", h);
    TORCH_CHECK(given.size(2) == 3 * h && recurrent.size(0) == 3 * h && recurrent.size(1) == h && bias.numel() == 3 * h &&
                    given.size(1) == start.size(0), "gru: sizes do not fit together");
}

// given [T, B, 3H] (input products with their bias), recurrent [3H, H], bias [3H], start [B, H]
// -> states [T, B, H], gates [T, B, 4H]: r, z, n and the recurrent part of n, all float32.
static std::vector<at::Tensor> forward(at::Tensor given_any, at::Tensor recurrent, at::Tensor bias, at::Tensor start) {
    check(given_any, recurrent, bias, start);
    at::NoGradGuard guard;
    const at::Tensor given = given_any.to(at::kFloat).contiguous();
    const int64_t T = given.size(0), B = given.size(1), H = start.size(1);
    at::Tensor states = at::empty({T, B, H}, start.options()), gates = at::empty({T, B, 4 * H}, start.options());
    const at::Tensor turned = recurrent.t();
    at::Tensor own = at::empty({B, 3 * H}, start.options()), before = start.contiguous();
    const float* b = bias.data_ptr<float>();
    for (int64_t t = 0; t < T; t++) {
        at::mm_out(own, before, turned);
        at::Tensor now = states[t];
        const float *x = given.data_ptr<float>() + t * B * 3 * H, *u = own.data_ptr<float>(), *last = before.data_ptr<float>();
        float *h = now.data_ptr<float>(), *g = gates.data_ptr<float>() + t * B * 4 * H;
        for (int64_t i = 0; i < B; i++, x += 3 * H, u += 3 * H, last += H, h += H, g += 4 * H)
            for (int64_t j = 0; j < H; j += W) {
                auto in = [&](int64_t k) { return Vec::loadu(x + k * H + j); };
                auto rec = [&](int64_t k) { return Vec::loadu(u + k * H + j) + Vec::loadu(b + k * H + j); };
                const Vec r = sigmoid(in(0) + rec(0)), z = sigmoid(in(1) + rec(1)), inner = rec(2);
                const Vec n = (in(2) + r * inner).tanh();
                r.store(g + j);
                z.store(g + H + j);
                n.store(g + 2 * H + j);
                inner.store(g + 3 * H + j);
                (n + z * (Vec::loadu(last + j) - n)).store(h + j);
            }
        before = now;
    }
    return {states, gates};
}

// slope [T, B, H] of the states -> slopes of `given` and of the recurrent products (both [T, B, 3H]) and of `start`.
static std::vector<at::Tensor> backward(at::Tensor slope_any, at::Tensor recurrent, at::Tensor start, at::Tensor states,
                                        at::Tensor gates) {
    at::NoGradGuard guard;
    const at::Tensor slope = slope_any.to(at::kFloat).contiguous();
    const int64_t T = states.size(0), B = states.size(1), H = states.size(2);
    at::Tensor to_given = at::empty({T, B, 3 * H}, states.options()), to_own = at::empty({T, B, 3 * H}, states.options());
    at::Tensor carried = at::zeros({B, H}, states.options()), first = start.contiguous();
    const Vec one(1.0f);
    for (int64_t t = T - 1; t >= 0; t--) {
        const float *g = gates.data_ptr<float>() + t * B * 4 * H, *s = slope.data_ptr<float>() + t * B * H;
        const float* last = t ? states.data_ptr<float>() + (t - 1) * B * H : first.data_ptr<float>();
        at::Tensor own = to_own[t];
        float *dx = to_given.data_ptr<float>() + t * B * 3 * H, *du = own.data_ptr<float>(), *c = carried.data_ptr<float>();
        for (int64_t i = 0; i < B; i++, g += 4 * H, s += H, last += H, dx += 3 * H, du += 3 * H, c += H)
            for (int64_t j = 0; j < H; j += W) {
                const Vec r = Vec::loadu(g + j), z = Vec::loadu(g + H + j), n = Vec::loadu(g + 2 * H + j);
                const Vec inner = Vec::loadu(g + 3 * H + j), d = Vec::loadu(s + j) + Vec::loadu(c + j);
                const Vec dn = d * (one - z) * (one - n * n);
                const Vec dz = d * (Vec::loadu(last + j) - n) * z * (one - z);
                const Vec dr = dn * inner * r * (one - r);
                dr.store(dx + j), dz.store(dx + H + j), dn.store(dx + 2 * H + j);
                dr.store(du + j), dz.store(du + H + j), (dn * r).store(du + 2 * H + j);
                (d * z).store(c + j);
            }
        carried.addmm_(own, recurrent);
    }
    return {to_given, to_own, carried};
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
    m.def("forward", &forward);
    m.def("backward", &backward);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "lpcnet_frame.h"
#include "detmath.h"
#include <string.h>

int lf_period(const float *features)
{
    float p = dm_exp2(8.f - 1.5f - features[18]) + .5f;
    return p < 32.f ? 32 : p > 256.f ? 256 : (int)p;
}

/* Column by column: the order of every sum is fixed, and the inner loop vectorises without changing it. */
static void add_scaled(int n, float v, const float *restrict w, float *restrict y)
{
    for (int j = 0; j < n; j++) y[j] += v * w[j];
}

void lf_apply(const lf_dense *layer, const float *x, float *y)
{
    const int n = layer->outputs;
    memcpy(y, layer->bias, (size_t)n * sizeof(float));
    for (int i = 0; i < layer->inputs; i++) add_scaled(n, x[i], layer->weight + (size_t)i * n, y);
}

static void apply_tanh(const lf_dense *layer, const float *x, float *y)
{
    lf_apply(layer, x, y);
    for (int j = 0; j < layer->outputs; j++) y[j] = 1.f - 2.f / (1.f + dm_exp(2.f * y[j]));
}

void lf_condition(const lf_net *net, const float *features, int n, float *cond, float *scratch)
{
    const int width = net->features + net->embedding, c = net->conv1.outputs;
    float *in = scratch, *hidden = scratch + (size_t)(n + 4) * LF_MAX;
    float a[LF_MAX], b[LF_MAX];
    for (int t = 0; t < n + 4; t++) {
        const float *f = features + (size_t)t * net->features;
        memcpy(in + (size_t)t * width, f, (size_t)net->features * sizeof(float));
        memcpy(in + (size_t)t * width + net->features, net->pitch + (size_t)lf_period(f) * net->embedding,
               (size_t)net->embedding * sizeof(float));
    }
    for (int t = 0; t < n + 2; t++) apply_tanh(&net->conv1, in + (size_t)t * width, hidden + (size_t)t * c);
    for (int t = 0; t < n; t++) {
        apply_tanh(&net->conv2, hidden + (size_t)t * c, a);
        apply_tanh(&net->dense1, a, b);
        apply_tanh(&net->dense2, b, cond + (size_t)t * net->dense2.outputs);
    }
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "lpcnet/frame.h"
#include "common/detmath.h"
#include "common/half.h"
#include <string.h>

int lf_period(const float *features)
{
    float p = dm_exp2(8.f - 1.5f - features[18]) + .5f;
    return p < 32.f ? 32 : p > 256.f ? 256 : (int)p;
}

static int pack_layer(const lf_layer *from, arena *memory, lf_dense *to)
{
    const size_t in = (size_t)from->inputs, out = (size_t)from->outputs, padded = LF_PADDED(out);
    uint16_t *weight = arena_take(memory, in * padded * sizeof *weight);
    float *bias = arena_take(memory, padded * sizeof *bias);
    if (!weight || !bias) return 0;
    for (size_t i = 0; i < in; i++)
        for (size_t j = 0; j < out; j++)
            weight[(j / LF_LANES * in + i) * LF_LANES + j % LF_LANES] = from->weight[i * out + j];
    memcpy(bias, from->bias, out * sizeof *bias);
    *to = (lf_dense){from->inputs, from->outputs, weight, bias};
    return 1;
}

int lf_pack(const lf_source *s, arena *memory, lf_net *net)
{
    const size_t bytes = LF_PERIODS * (size_t)s->embedding * sizeof *s->pitch;
    uint16_t *pitch = arena_take(memory, bytes);
    if (!pitch) return 0;
    memcpy(pitch, s->pitch, bytes);
    net->features = s->features;
    net->embedding = s->embedding;
    net->pitch = pitch;
    return pack_layer(&s->conv1, memory, &net->conv1) && pack_layer(&s->conv2, memory, &net->conv2) &&
           pack_layer(&s->dense1, memory, &net->dense1) && pack_layer(&s->dense2, memory, &net->dense2) &&
           pack_layer(&s->cond_a, memory, &net->cond_a) && pack_layer(&s->cond_b, memory, &net->cond_b);
}

static void apply_tanh(lf_apply apply, const lf_dense *layer, int n, const float *x, size_t x_step, float *y, size_t y_step)
{
    float all[2][LF_MAX];               /* includes the padding, for which y has no room */
    for (int t = 0; t < n; t += 2) {
        const int frames = n - t < 2 ? 1 : 2;
        apply(layer, frames, x + (size_t)t * x_step, x_step, all[0], LF_MAX);
        for (int i = 0; i < frames; i++)
            for (int j = 0; j < layer->outputs; j++)
                y[(size_t)(t + i) * y_step + (size_t)j] = 1.f - 2.f / (1.f + dm_exp(2.f * all[i][j]));
    }
}

void lf_condition(const lf_net *net, lf_apply apply, const float *features, int n, float *cond, float *scratch)
{
    const size_t width = (size_t)(net->features + net->embedding), c = (size_t)net->conv1.outputs;
    float *in = scratch, *hidden = scratch + (size_t)(n + 4) * LF_MAX;
    for (int t = 0; t < n + 4; t++) {
        const float *f = features + (size_t)t * (size_t)net->features;
        const uint16_t *pitch = net->pitch + (size_t)lf_period(f) * (size_t)net->embedding;
        float *row = in + (size_t)t * width;
        memcpy(row, f, (size_t)net->features * sizeof(float));
        for (int k = 0; k < net->embedding; k++) row[net->features + k] = half_to_float(pitch[k]);
    }
    apply_tanh(apply, &net->conv1, n + 2, in, width, hidden, c);
    apply_tanh(apply, &net->conv2, n, hidden, c, in, LF_MAX);       /* conv1 has read `in`, so it may be overwritten */
    apply_tanh(apply, &net->dense1, n, in, LF_MAX, hidden, LF_MAX);
    apply_tanh(apply, &net->dense2, n, hidden, LF_MAX, cond, LF_MAX);
}

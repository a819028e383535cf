/* SPDX-License-Identifier: BSD-2-Clause */
#include "vocoders/fargan.h"

#include <math.h>
#include <string.h>

#include "common/detmath.h"

#define EMPHASIS .85f
#define FG_LARGEST 64.f         /* limit of features; larger ones are damaged input */

/* The sums of integer products do not depend on their order, so every vector width gives the same result. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__gnu_linux__) && \
    !defined(__SANITIZE_ADDRESS__)
#define CLONES __attribute__((target_clones("avx2", "default")))
#else
#define CLONES
#endif

CLONES static void products(const int8_t *restrict w, const int16_t *restrict x, int32_t *restrict sums, int in,
                            int out)
{
    for (int i = 0; i < out; i++, w += in) {
        int32_t sum = 0;
        for (int k = 0; k < in; k++)
            sum += (int16_t)w[k] * x[k];
        sums[i] = sum;
    }
}

static float tanh_(float x)
{
    return 1.f - 2.f / (1.f + dm_exp(2.f * x));
}

static float sigmoid_(float x)
{
    return 1.f / (1.f + dm_exp(-x));
}

static float clip1(float x)
{
    x = x < 1.f ? x : 1.f;
    return x > -1.f ? x : -1.f;
}

static void tanh_all(float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = tanh_(x[i]);
}

/* y = W x + b with activations rounded to 1/127; x within -1 ... 1. */
static void linear(const fg_layer *l, const float *x, float *y)
{
    int16_t q[FG_WIDEST];       /* within -127 ... 127; int16, so that no product has to widen it again */
    int32_t sums[FG_JOINED];
    for (int k = 0; k < l->in; k++)
        q[k] = (int16_t)floorf(127.f * clip1(x[k]) + .5f);
    products(l->weight, q, sums, l->in, l->out);
    for (int i = 0; i < l->out; i++)
        y[i] = (float)sums[i] * l->scale[i] + l->bias[i];
}

static float dot(const float *w, const float *x, int n)
{
    float sum = 0.f;
    for (int k = 0; k < n; k++)
        sum += w[k] * x[k];
    return sum;
}

/* y = x times sigmoid(W x) */
static void gated(const fg_layer *l, const float *x, float *y)
{
    float gate[FG_FIRST];
    linear(l, x, gate);
    for (int i = 0; i < l->out; i++)
        y[i] = x[i] * sigmoid_(gate[i]);
}

/* h <- z h + (1 - z) tanh(W x + r (U h)); gates in the order z, r, h */
static void gru(const fg_layer *in, const fg_layer *own, const float *x, float *h)
{
    float a[3 * FG_GRU1], b[3 * FG_GRU1];
    const int n = own->in;
    linear(in, x, a);
    linear(own, h, b);
    for (int i = 0; i < n; i++) {
        float z = sigmoid_(a[i] + b[i]), r = sigmoid_(a[n + i] + b[n + i]);
        h[i] = z * h[i] + (1.f - z) * tanh_(a[2 * n + i] + r * b[2 * n + i]);
    }
}

/* Period of a row in samples: 256 / 2^(f + 1.5), within what the past holds. */
static int period_of(const float *features)
{
    float period = .5f + 256.f / dm_exp2(features[18] + 1.5f);
    period = period > FG_SHORTEST ? period : FG_SHORTEST;
    return (int)(period < FG_PAST ? period : FG_PAST);
}

/* Frame network: cond [4][FG_COND] */
static void condition(fg_state *s, const fg_model *m, const float *features, int period, float *cond)
{
    float x[FG_FEATURES + FG_EMBED], taps[3 * FG_DENSE1], y[FG_CONV1];
    int row = period - FG_SHORTEST;
    row = row < FG_PERIODS ? row : FG_PERIODS - 1;
    for (int i = 0; i < FG_FEATURES; i++)
        x[i] = FG_LARGEST * clip1(features[i] / FG_LARGEST);
    memcpy(x + FG_FEATURES, m->embed + FG_EMBED * row, FG_EMBED * sizeof(float));
    memcpy(taps, s->conv1, sizeof(s->conv1));
    for (int i = 0; i < FG_DENSE1; i++)
        taps[2 * FG_DENSE1 + i] = tanh_(dot(m->dense1 + i * (FG_FEATURES + FG_EMBED), x, FG_FEATURES + FG_EMBED)
                                        + m->dense1_bias[i]);
    memcpy(s->conv1, taps + FG_DENSE1, sizeof(s->conv1));
    linear(&m->conv1, taps, y);
    tanh_all(y, FG_CONV1);
    linear(&m->dense2, y, cond);
    tanh_all(cond, 4 * FG_COND);
}

/* Writes the 44 samples one period back, a subframe and two more on both sides; a short period is repeated. */
static void predict(const float *past, int period, float scale, float *pred)
{
    int at = FG_PAST - period - 2;
    for (int i = 0; i < FG_SUB + 4; i++) {
        pred[i] = clip1(scale * past[at < 0 ? 0 : at]);
        at++;
        if (at == FG_PAST)
            at -= period;
    }
}

/* Appends the scaled pitch prediction and the last subframe to the `width` values of x. */
static void append(float *x, int width, float share, const float *pred, const float *previous)
{
    for (int i = 0; i < FG_SUB; i++)
        x[width + i] = share * pred[2 + i];
    memcpy(x + width + FG_SUB, previous, FG_SUB * sizeof(float));
}

/* One subframe of FG_SUB samples, appended to the past. */
static void subframe(fg_state *s, const fg_model *m, const float *cond, int period)
{
    float taps[2 * FG_IN], x[FG_FIRST + 2 * FG_SUB], joined[FG_JOINED], share[4], y[FG_SKIP], out[FG_SUB];
    float *const input = taps + FG_IN, *const pred = input + FG_COND, *const previous = pred + FG_SUB + 4;
    float *const o1 = joined, *const o2 = o1 + FG_GRU1, *const o3 = o2 + FG_GRU2, *const o0 = o3 + FG_GRU3;
    float *const h[3] = {s->gru1, s->gru2, s->gru3};
    float *const o[3] = {o1, o2, o3};
    const float level = dm_exp(dot(m->gain, cond, FG_COND) + m->gain_bias[0]), scale = 1.f / (1e-5f + level);
    memcpy(taps, s->first, sizeof(s->first));
    memcpy(input, cond, FG_COND * sizeof(float));
    predict(s->past, period, scale, pred);
    for (int i = 0; i < FG_SUB; i++)
        previous[i] = clip1(scale * s->past[FG_PAST - FG_SUB + i]);
    memcpy(s->first, input, sizeof(s->first));
    linear(&m->first, taps, x);
    tanh_all(x, FG_FIRST);
    gated(&m->first_gate, x, o0);
    for (int i = 0; i < 4; i++)
        share[i] = sigmoid_(dot(m->gates + i * FG_FIRST, o0, FG_FIRST) + m->gates_bias[i]);
    const float *from = o0;
    int width = FG_FIRST;
    for (int k = 0; k < 3; k++) {
        memcpy(x, from, width * sizeof(float));
        append(x, width, share[k], pred, previous);
        gru(&m->gru_in[k], &m->gru_own[k], x, h[k]);
        gated(&m->gru_gate[k], h[k], o[k]);
        from = o[k];
        width = m->gru_own[k].in;
    }
    append(joined, FG_JOINED - 2 * FG_SUB, share[3], pred, previous);
    linear(&m->skip, joined, y);
    tanh_all(y, FG_SKIP);
    gated(&m->skip_gate, y, x);
    linear(&m->out, x, out);
    memmove(s->past, s->past + FG_SUB, (FG_PAST - FG_SUB) * sizeof(float));
    for (int i = 0; i < FG_SUB; i++)
        s->past[FG_PAST - FG_SUB + i] = level * tanh_(out[i]);
}

void fg_reset(fg_state *s)
{
    memset(s, 0, sizeof(*s));
    s->period = FG_PAST;
}

void fg_begin(fg_state *s, const fg_model *m, const float *pcm, const float *features)
{
    float cond[4 * FG_COND], x[2 * FG_FRAME];
    fg_reset(s);
    for (int i = 0; i < FG_PRIMING; i++)
        condition(s, m, features + i * FG_FEATURES, period_of(features + i * FG_FEATURES), cond);
    s->period = period_of(features + (FG_PRIMING - 2) * FG_FEATURES);
    x[0] = 0.f;
    for (int i = 1; i < 2 * FG_FRAME; i++)
        x[i] = pcm[i] - EMPHASIS * pcm[i - 1];
    memcpy(s->past + FG_PAST - FG_FRAME, x, FG_FRAME * sizeof(float));
    for (int k = 0; k < 4; k++) {
        subframe(s, m, cond + k * FG_COND, s->period);
        memcpy(s->past + FG_PAST - FG_SUB, x + FG_FRAME + k * FG_SUB, FG_SUB * sizeof(float));
    }
    s->last = pcm[2 * FG_FRAME - 1];
}

void fg_next(fg_state *s, const fg_model *m, const float *features, int16_t *pcm)
{
    float cond[4 * FG_COND];
    const int period = period_of(features);
    condition(s, m, features, period, cond);
    for (int k = 0; k < 4; k++) {
        subframe(s, m, cond + k * FG_COND, s->period);
        for (int i = 0; i < FG_SUB; i++) {
            s->last = s->past[FG_PAST - FG_SUB + i] + EMPHASIS * s->last;
            float y = floorf(32768.f * s->last + .5f);
            y = y < 32767.f ? y : 32767.f;
            pcm[k * FG_SUB + i] = (int16_t)(y > -32768.f ? y : -32768.f);
        }
    }
    s->period = period;
}

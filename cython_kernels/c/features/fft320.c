/* SPDX-License-Identifier: BSD-2-Clause */
/* The FFT of 320 real samples is one of 160 complex ones, in Stockham passes of radix 5, 4, 4, 2. Real and imaginary
 * parts are stored separately and every inner loop runs over neighbours, so that compilers vectorise it. */
#include "features/fft320.h"
#include "common/once.h"
#include <math.h>

#define HALF (DR_FFT / 2)
#define PASSES 4

typedef struct { float re[HALF], im[HALF]; } points;

static const double PI = 3.14159265358979323846;
static const int radix[PASSES] = {5, 4, 4, 2};
static points twiddle;                /* exp(-2 pi i k / 160) */
static points turn[PASSES];           /* twiddle factors of a pass: [k][q + s p] */
static float split[2][HALF + 1];      /* exp(-2 pi i k / 320) */
static once ready;

/* HALF = r * m * s points of a pass, s = stride of the finished sub-transforms. */
static void fill_turn(points *w, int r, int m, int s)
{
    for (int k = 0; k < r; k++)
        for (int t = 0; t < m * s; t++) {
            const int at = t / s * k * s % HALF;
            w->re[k * m * s + t] = twiddle.re[at];
            w->im[k * m * s + t] = twiddle.im[at];
        }
}

void dr_fft_init(void)
{
    if (!once_begin(&ready)) return;
    for (int i = 0; i < HALF; i++) {
        twiddle.re[i] = (float)cos(2 * PI * i / HALF);
        twiddle.im[i] = (float)-sin(2 * PI * i / HALF);
    }
    for (int i = 0; i <= HALF; i++) {
        split[0][i] = (float)cos(2 * PI * i / DR_FFT);
        split[1][i] = (float)-sin(2 * PI * i / DR_FFT);
    }
    for (int i = 0, s = 1; i < PASSES; s *= radix[i++]) fill_turn(&turn[i], radix[i], HALF / (radix[i] * s), s);
    once_done(&ready);
}

/* Computes output k of every small transform of a pass and multiplies it by its twiddle factor. */
static inline __attribute__((always_inline)) void outputs(const points *in, const points *w, int r, int k,
                                                          float *restrict re, float *restrict im)
{
    const int n = HALF / r;
    for (int t = 0; t < n; t++) {
        float x = 0, y = 0;
        for (int j = 0; j < r; j++) {
            const float a = in->re[j * n + t], b = in->im[j * n + t];
            const float c = twiddle.re[j * k * n % HALF], d = twiddle.im[j * k * n % HALF];
            x += a * c - b * d;
            y += a * d + b * c;
        }
        const float c = w->re[k * n + t], d = w->im[k * n + t];
        re[t] = x * c - y * d;
        im[t] = x * d + y * c;
    }
}

static inline __attribute__((always_inline)) void pass(const points *in, const points *w, int r, int s,
                                                       points *restrict out)
{
    const int n = HALF / r;
    float re[HALF / 2], im[HALF / 2];
    for (int k = 0; k < r; k++) {
        outputs(in, w, r, k, re, im);
        for (int p = 0; p < n / s; p++)
            for (int q = 0; q < s; q++) {
                out->re[s * (r * p + k) + q] = re[s * p + q];
                out->im[s * (r * p + k) + q] = im[s * p + q];
            }
    }
}

static void transform(points *a)
{
    points b;
    pass(a, &turn[0], 5, 1, &b);
    pass(&b, &turn[1], 4, 5, a);
    pass(a, &turn[2], 4, 20, &b);
    pass(&b, &turn[3], 2, 80, a);
}

void dr_fft_forward(const float *x, float *re, float *im)
{
    const float scale = 1.f / DR_FFT;
    points a;
    float forth[2][HALF + 1], back[2][HALF + 1];
    for (int i = 0; i < HALF; i++) { a.re[i] = x[2 * i]; a.im[i] = x[2 * i + 1]; }
    transform(&a);
    for (int k = 0; k <= HALF; k++) {
        forth[0][k] = back[0][HALF - k] = a.re[k % HALF];
        forth[1][k] = back[1][HALF - k] = a.im[k % HALF];
    }
    for (int k = 0; k <= HALF; k++) {
        const float er = .5f * (forth[0][k] + back[0][k]), ei = .5f * (forth[1][k] - back[1][k]);
        const float or_ = .5f * (forth[1][k] + back[1][k]), oi = -.5f * (forth[0][k] - back[0][k]);
        re[k] = scale * (er + or_ * split[0][k] - oi * split[1][k]);
        im[k] = scale * (ei + or_ * split[1][k] + oi * split[0][k]);
    }
}

/* Combines even and odd samples to one complex signal, whose inverse transform is a conjugated forward one. */
void dr_fft_inverse(const float *re, const float *im, float *x)
{
    points a;
    for (int k = 0; k < HALF; k++) {
        const float er = re[k] + re[HALF - k], ei = im[k] - im[HALF - k];
        const float dr = re[k] - re[HALF - k], di = im[k] + im[HALF - k];
        const float or_ = dr * split[0][k] + di * split[1][k], oi = di * split[0][k] - dr * split[1][k];
        a.re[k] = er - oi;
        a.im[k] = -(ei + or_);
    }
    transform(&a);
    for (int i = 0; i < HALF; i++) { x[2 * i] = a.re[i]; x[2 * i + 1] = -a.im[i]; }
}

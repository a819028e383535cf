/* SPDX-License-Identifier: BSD-2-Clause */
/* 320 real samples as 160 complex ones, which go through Stockham passes of radix 5, 4, 4, 2. */
#include "features/fft320.h"
#include "common/once.h"
#include <math.h>

#define HALF (DR_FFT / 2)

static const double PI = 3.14159265358979323846;
static float twiddle[HALF][2];        /* exp(-2 pi i k / 160) */
static float split[HALF + 1][2];      /* exp(-2 pi i k / 320) */
static once ready;

void dr_fft_init(void)
{
    if (!once_begin(&ready)) return;
    for (int i = 0; i < HALF; i++) {
        twiddle[i][0] = (float)cos(2 * PI * i / HALF);
        twiddle[i][1] = (float)-sin(2 * PI * i / HALF);
    }
    for (int i = 0; i <= HALF; i++) {
        split[i][0] = (float)cos(2 * PI * i / DR_FFT);
        split[i][1] = (float)-sin(2 * PI * i / DR_FFT);
    }
    once_done(&ready);
}

/* One pass: HALF = r * m * s points, s = stride of the finished sub-transforms. */
static void pass(const float (*in)[2], float (*out)[2], int r, int m, int s)
{
    const int step = HALF / (r * m);
    for (int p = 0; p < m; p++)
        for (int q = 0; q < s; q++)
            for (int k = 0; k < r; k++) {
                float re = 0, im = 0;
                for (int j = 0; j < r; j++) {
                    const float *x = in[q + s * (p + j * m)];
                    const float *w = twiddle[(j * k * (HALF / r)) % HALF];
                    re += x[0] * w[0] - x[1] * w[1];
                    im += x[0] * w[1] + x[1] * w[0];
                }
                const float *w = twiddle[(p * k * step) % HALF];
                float *y = out[q + s * (r * p + k)];
                y[0] = re * w[0] - im * w[1];
                y[1] = re * w[1] + im * w[0];
            }
}

static void transform(float (*a)[2])
{
    float b[HALF][2];
    pass((const float(*)[2])a, b, 5, 32, 1);
    pass((const float(*)[2])b, a, 4, 8, 5);
    pass((const float(*)[2])a, b, 4, 2, 20);
    pass((const float(*)[2])b, a, 2, 1, 80);
}

void dr_fft_forward(const float *x, float *re, float *im)
{
    const float scale = 1.f / DR_FFT;
    float a[HALF][2];
    for (int i = 0; i < HALF; i++) { a[i][0] = x[2 * i]; a[i][1] = x[2 * i + 1]; }
    transform(a);
    for (int k = 0; k <= HALF; k++) {
        const float *z = a[k % HALF], *y = a[(HALF - k) % HALF];
        float er = .5f * (z[0] + y[0]), ei = .5f * (z[1] - y[1]);
        float or_ = .5f * (z[1] + y[1]), oi = -.5f * (z[0] - y[0]);
        re[k] = scale * (er + or_ * split[k][0] - oi * split[k][1]);
        im[k] = scale * (ei + or_ * split[k][1] + oi * split[k][0]);
    }
}

/* Even and odd samples back into one complex signal; its inverse transform is a conjugated forward one. */
void dr_fft_inverse(const float *re, const float *im, float *x)
{
    float a[HALF][2];
    for (int k = 0; k < HALF; k++) {
        float er = re[k] + re[HALF - k], ei = im[k] - im[HALF - k];
        float dr = re[k] - re[HALF - k], di = im[k] + im[HALF - k];
        float or_ = dr * split[k][0] + di * split[k][1], oi = di * split[k][0] - dr * split[k][1];
        a[k][0] = er - oi;
        a[k][1] = -(ei + or_);
    }
    transform(a);
    for (int i = 0; i < HALF; i++) { x[2 * i] = a[i][0]; x[2 * i + 1] = -a[i][1]; }
}

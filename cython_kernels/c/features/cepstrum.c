/* SPDX-License-Identifier: BSD-2-Clause */
/* Definition: 18 triangular bands on 50 Hz bins, log energies with a floor that follows, DCT-II; LPC by
 * Levinson from the interpolated band spectrum (the LPCNet features, arXiv 1810.11846 section 3.1). */
#include "features/cepstrum.h"
#include "common/detmath.h"
#include "features/fft320.h"
#include "common/once.h"
#include <math.h>

#define HALF (DR_WINDOW / 2)
static const double PI = 3.14159265358979323846;

static const short band_edge[DR_BANDS] = {0, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 136, 160};
const float dr_heard[DR_BANDS] = {
    22.22f, 36.05f, 23.03f, 14.39f, 9.46f, 6.583f, 4.813f, 3.663f, 2.88f,
    1.922f, 1.383f, 1.052f, 0.8353f, 0.5806f, 0.4449f, 0.3674f, 0.3089f, 0.1461f};
static const float compensation[DR_BANDS] = {
    .8f, 1.f, 1.f, 1.f, 1.f, 1.f, 1.f, 1.f, .666667f, .5f, .5f, .5f, .333333f, .25f, .25f, .2f, .166667f, .173913f};

/* Full-scale speech stays below 10^9; beyond this limit squares would overflow and poison the predictor with NaN. */
#define LEVEL_MAX 12.f

static float window_half[HALF];
static float dct[DR_BANDS][DR_BANDS];          /* [band][coefficient] */
static float cosine[HALF][DR_ORDER + 1];       /* [bin k][lag i]: cos(2 pi i k / 320) */
static float lag_window[DR_ORDER + 1];
static once ready;

void dr_cepstrum_init(void)
{
    if (!once_begin(&ready)) return;
    for (int i = 0; i < HALF; i++) {
        double s = sin(.5 * PI * (i + .5) / HALF);
        window_half[i] = (float)sin(.5 * PI * s * s);
    }
    dr_fft_init();
    for (int k = 0; k < HALF; k++)
        for (int i = 0; i <= DR_ORDER; i++) cosine[k][i] = (float)cos(2 * PI * (i * k % DR_WINDOW) / DR_WINDOW);
    for (int i = 0; i < DR_BANDS; i++)
        for (int j = 0; j < DR_BANDS; j++)
            dct[i][j] = (float)(sqrt(2. / DR_BANDS) * cos((i + .5) * j * PI / DR_BANDS) * (j ? 1. : sqrt(.5)));
    for (int i = 0; i <= DR_ORDER; i++) lag_window[i] = (float)(1. - 6e-5 * i * i);
    once_done(&ready);
}

static void power_spectrum(const float *x, float *power)
{
    float re[DR_BINS], im[DR_BINS];
    dr_fft_forward(x, re, im);
    for (int k = 0; k < DR_BINS; k++) power[k] = re[k] * re[k] + im[k] * im[k];
}

void dr_window(const float *in, float *out)
{
    for (int i = 0; i < HALF; i++) {
        out[i] = in[i] * window_half[i];
        out[DR_WINDOW - 1 - i] = in[DR_WINDOW - 1 - i] * window_half[i];
    }
}

void dr_band_energy(const float *power, float *energy)
{
    for (int b = 0; b < DR_BANDS; b++) energy[b] = 0;
    for (int b = 0; b < DR_BANDS - 1; b++) {
        int width = band_edge[b + 1] - band_edge[b];
        for (int j = 0; j < width; j++) {
            float f = (float)j / (float)width, p = power[band_edge[b] + j];
            energy[b] += (1.f - f) * p;
            energy[b + 1] += f * p;
        }
    }
    energy[0] *= 2.f;
    energy[DR_BANDS - 1] *= 2.f;
}

void dr_band_levels(const float *cepstrum, float *level)
{
    for (int b = 0; b < DR_BANDS; b++) {
        float sum = 0;
        for (int j = 0; j < DR_BANDS; j++) sum += (cepstrum[j] + (j ? 0.f : 4.f)) * dct[b][j];
        sum = sum < -LEVEL_MAX ? -LEVEL_MAX : sum;
        level[b] = sum > LEVEL_MAX ? LEVEL_MAX : sum;
    }
}

void dr_interpolate(const float *band, float *bin)
{
    for (int b = 0; b < DR_BANDS - 1; b++) {
        int width = band_edge[b + 1] - band_edge[b];
        for (int j = 0; j < width; j++) {
            float f = (float)j / (float)width;
            bin[band_edge[b] + j] = (1.f - f) * band[b] + f * band[b + 1];
        }
    }
    bin[DR_BINS - 1] = band[DR_BANDS - 1];
}

float dr_level(float energy)
{
    return dm_log10(.01f + energy);
}

void dr_window_energy(const float *window, float *energy)
{
    float x[DR_WINDOW], power[DR_BINS];
    dr_window(window, x);
    power_spectrum(x, power);
    dr_band_energy(power, energy);
}

void dr_transform(const float *level, float *cepstrum)
{
    for (int j = 0; j < DR_BANDS; j++) {
        float sum = 0;
        for (int b = 0; b < DR_BANDS; b++) sum += level[b] * dct[b][j];
        cepstrum[j] = sum;
    }
}

void dr_cepstrum(const float *window, float *cepstrum)
{
    float energy[DR_BANDS], level[DR_BANDS];
    dr_window_energy(window, energy);
    float max = DR_SILENCE, follow = DR_SILENCE;
    for (int b = 0; b < DR_BANDS; b++) {
        float l = dr_level(energy[b]), floor_ = max - 8.f > follow - 2.5f ? max - 8.f : follow - 2.5f;
        if (l < floor_) l = floor_;
        level[b] = l;
        if (l > max) max = l;
        follow = follow - 2.5f > l ? follow - 2.5f : l;
    }
    dr_transform(level, cepstrum);
    cepstrum[0] -= 4.f;
}

void dr_bin_power(const float *energy, float *power)
{
    float band[DR_BANDS];
    for (int b = 0; b < DR_BANDS; b++) band[b] = .25f * compensation[b] * energy[b];
    dr_interpolate(band, power);
}

static void autocorrelation(const float *cepstrum, float *ac)
{
    float band[DR_BANDS], power[DR_BINS];
    dr_band_levels(cepstrum, band);
    for (int b = 0; b < DR_BANDS; b++) band[b] = dm_exp10(band[b]) * compensation[b];
    dr_interpolate(band, power);
    /* All lags at once, each summed over the bins in order; bin 160 (Nyquist) is taken as zero. */
    float sum[DR_ORDER + 1] = {0};
    for (int k = 1; k < HALF; k++)
        for (int i = 0; i <= DR_ORDER; i++) sum[i] += power[k] * cosine[k][i];
    for (int i = 0; i <= DR_ORDER; i++) ac[i] = power[0] + 2.f * sum[i];
    ac[0] += ac[0] * 1e-4f + 26.f / 38.f;
    for (int i = 1; i <= DR_ORDER; i++) ac[i] *= lag_window[i];
}

void dr_lpc_from_cepstrum(const float *cepstrum, float *lpc)
{
    float ac[DR_ORDER + 1];
    autocorrelation(cepstrum, ac);
    for (int i = 0; i < DR_ORDER; i++) lpc[i] = 0;
    float error = ac[0];
    for (int i = 0; i < DR_ORDER; i++) {
        float sum = ac[i + 1];
        for (int j = 0; j < i; j++) sum += lpc[j] * ac[i - j];
        float r = -sum / error;
        lpc[i] = r;
        for (int j = 0; j < (i + 1) / 2; j++) {
            float a = lpc[j], b = lpc[i - 1 - j];
            lpc[j] = a + r * b;
            lpc[i - 1 - j] = b + r * a;
        }
        error -= r * r * error;
        if (error < .001f * ac[0]) break;
    }
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Two steps on windows of two frames. (1) Comb: voiced frames are averaged with themselves one pitch period earlier
 * and later (pitch enhancement as in CELP postfilters: Chen and Gersho 1995). (2) Envelope: the 18 band energies are
 * brought to those of the features, with a little more contrast between strong and weak bands. */
#include "vocoders/postfilter.h"
#include "common/detmath.h"
#include "features/fft320.h"
#include "lpcnet/frame.h"
#include <string.h>

#define EMPHASIS .85f
#define CONTRAST .3f          /* log energies above and below their mean are stretched by this much */
#define CONTRAST_FLOOR -2.f   /* ... down to 20 dB below it */
#define GAIN_MAX 1.3f         /* 26 dB, as log10 of an amplitude */
#define LEVEL_MAX 30.f         /* of a band, as log10 of its energy: far beyond any speech */
#define COMB_PAST .7f         /* weight of the earlier period where the later one is not known yet */

void pf_init(void)
{
    dr_cepstrum_init();   /* it fills the tables of the Fourier transform as well */
}

void pf_reset(pf_state *s, float out)
{
    memset(s, 0, sizeof *s);
    s->last_out = out;
}

/* 0 in unvoiced frames, 1 in clearly voiced ones */
static float comb_weight(const float *features)
{
    float v = (features[19] + .1f) * 2.5f;
    return v < 0.f ? 0.f : v > 1.f ? 1.f : v;
}

/* x: the older frame of the window; both neighbours when a period fits into the newer frame. */
static void comb(const float *x, const float *features, int two_sided, float *y)
{
    const int t = lf_period(features);
    const int both = two_sided && t <= DR_HOP;
    const float v = comb_weight(features) * (both ? 1.f : COMB_PAST);
    const float scale = 1.f / (1.f + (both ? 2.f : 1.f) * v);
    for (int n = 0; n < DR_HOP; n++) {
        float sum = x[n - t];
        if (both) sum += x[n + t];
        y[n] = (x[n] + v * sum) * scale;
    }
}

/* Writes the features' band levels with more contrast, at equal loudness, since the contrast alone raises it. */
static void wanted_levels(const float *older, const float *newer, float *level)
{
    float cepstrum[DR_BANDS], mean = 0, before = 0, after = 0;
    for (int j = 0; j < DR_BANDS; j++) cepstrum[j] = .5f * (older[j] + newer[j]);
    dr_band_levels(cepstrum, level);
    for (int b = 0; b < DR_BANDS; b++) /* features may be any finite numbers, so their sums may overflow */
        level[b] = level[b] > -LEVEL_MAX ? (level[b] < LEVEL_MAX ? level[b] : LEVEL_MAX) : -LEVEL_MAX;
    for (int b = 0; b < DR_BANDS; b++) {
        float energy = dm_exp10(level[b]);
        mean += energy;
        before += energy * dr_heard[b];
    }
    mean = dm_log10(mean / DR_BANDS);
    for (int b = 0; b < DR_BANDS; b++) {
        float above = level[b] - mean;
        level[b] += CONTRAST * (above < CONTRAST_FLOOR ? CONTRAST_FLOOR : above);
        after += dm_exp10(level[b]) * dr_heard[b];
    }
    const float louder = dm_log10(after / before);
    for (int b = 0; b < DR_BANDS; b++) level[b] -= louder;
}

/* Gains that bring the band energies of a spectrum to the wanted levels. */
static void envelope_gains(const float *re, const float *im, const float *level, float *gain)
{
    float power[DR_BINS], energy[DR_BANDS], band[DR_BANDS];
    for (int k = 0; k < DR_BINS; k++) power[k] = re[k] * re[k] + im[k] * im[k];
    dr_band_energy(power, energy);
    for (int b = 0; b < DR_BANDS; b++) {
        float g = .5f * (level[b] - dm_log10(.01f + energy[b]));
        band[b] = g < -GAIN_MAX ? -GAIN_MAX : g > GAIN_MAX ? GAIN_MAX : g;
    }
    dr_interpolate(band, gain);
    for (int k = 0; k < DR_BINS; k++) gain[k] = dm_exp10(gain[k]);
}

static void shape(const float *in, const float *level, float *out)
{
    float x[DR_WINDOW], re[DR_BINS], im[DR_BINS], gain[DR_BINS];
    dr_window(in, x);
    dr_fft_forward(x, re, im);
    envelope_gains(re, im, level, gain);
    for (int k = 0; k < DR_BINS; k++) { re[k] *= gain[k]; im[k] *= gain[k]; }
    dr_fft_inverse(re, im, x);
    dr_window(x, out);
}

static float *shift(pf_state *s)
{
    memmove(s->signal, s->signal + DR_HOP, (PF_PAST + DR_WINDOW - DR_HOP) * sizeof(float));
    return s->signal + PF_PAST + DR_HOP;
}

static void take_in(pf_state *s, const int16_t *pcm)
{
    float *hop = shift(s);
    for (int n = 0; n < DR_HOP; n++) {
        hop[n] = (float)pcm[n] - EMPHASIS * s->last_in;
        s->last_in = (float)pcm[n];
    }
}

void pf_prime(pf_state *s, const int16_t *pcm, int frames, const float *features)
{
    pf_reset(s, 0);
    for (int i = 0; i < frames; i++) take_in(s, pcm + i * DR_HOP);
    memcpy(s->features, features, sizeof s->features);
}

/* Filters the window whose newer half was stored last. out: its older half. */
static void advance(pf_state *s, const float *features, int16_t *out)
{
    float window[DR_WINDOW], shaped[DR_WINDOW], level[DR_BANDS];
    comb(s->signal + PF_PAST, s->features, 1, window);
    comb(s->signal + PF_PAST + DR_HOP, features, 0, window + DR_HOP);
    wanted_levels(s->features, features, level);
    shape(window, level, shaped);
    for (int n = 0; n < DR_HOP; n++) {
        float y = s->overlap[n] + shaped[n] + EMPHASIS * s->last_out;
        y = y > -32767.f ? (y < 32767.f ? y : 32767.f) : -32767.f;
        s->last_out = y;
        out[n] = (int16_t)((int32_t)(y + 32768.5f) - 32768);
    }
    memcpy(s->overlap, shaped + DR_HOP, sizeof s->overlap);
    memcpy(s->features, features, sizeof s->features);
}

void pf_push(pf_state *s, const int16_t *pcm, const float *features, int16_t *out)
{
    take_in(s, pcm);
    advance(s, features, out);
}

void pf_finish(pf_state *s, const float *features, int16_t *out)
{
    const int t = lf_period(features);
    float *hop = shift(s);
    for (int n = 0; n < DR_HOP; n++) hop[n] = hop[n - t];
    advance(s, features, out);
}

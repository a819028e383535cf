/* SPDX-License-Identifier: BSD-2-Clause */
#include "features/background.h"
#include "common/detmath.h"
#include "features/analysis.h"
#include "features/fft320.h"
#include <math.h>
#include <string.h>

#define LOWEST 4      /* the lowest levels of a band, from which the background is estimated */
#define FEW 14        /* with at most so many moments, all of them may be speech */
#define RECENT 10     /* the last second: noise that became louder before it is heard in all of it */
#define WITNESS 6     /* that many bands may have become louder by less than the background is raised */
#define RISE_MAX 2.f  /* log10: by how much it is raised at most */
#define QUIETEST .1f  /* the mean level of noise minus that of the quietest of RECENT moments, at least */
#define STEADY .15f   /* log10: steady noise, too, is that much louder in its last second than in its quietest moment */
#define AUDIBLE 700.f /* loudness of a background of -55 dBFS: a quieter one is not followed, nor added */
#define FAR 2.f       /* log10: a band so far above the background does not change when that is added */
#define SEED 2463534242u   /* of xorshift: G. Marsaglia, Journal of Statistical Software 8(14), 2003 */
#define WINDOWS (BG_MOMENT / DR_WINDOW)
#define NOTHING 1e-6f /* smallest energy, so that digital silence has a logarithm */
#define LOUDEST 12.f  /* log10 of an energy above that of any band: the start of a search for the minimum */

/* The mean level of steady noise (log10) minus the level that level_of estimates without this correction. 1 dB is
 * left out, because a hum varies less than noise. Bands of few bins vary most. */
static const float above[DR_BANDS] = {
    .3f, .3f, .3f, .3f, .3f, .3f, .3f, .3f, .26f, .22f, .22f, .22f, .19f, .16f, .16f, .14f, .13f, .13f};

void bg_init(void)
{
    dr_cepstrum_init();
}

void bg_reset(bg_state *s)
{
    memset(s, 0, sizeof *s);
    s->random = SEED;
    for (int b = 0; b < DR_BANDS; b++) s->floor[b] = DR_SILENCE;
}

/* Writes the LOWEST lowest levels of a band in rising order. */
static void lowest(const bg_state *s, int band, float *low)
{
    for (int i = 0; i < LOWEST; i++) low[i] = LOUDEST;
    for (int i = 0; i < s->count; i++) {
        const float l = s->level[i][band];
        if (l >= low[LOWEST - 1]) continue;
        int at = LOWEST - 1;
        for (; at > 0 && low[at - 1] > l; at--) low[at] = low[at - 1];
        low[at] = l;
    }
}

/* Returns the lowest level of a band in the RECENT last moments. */
static float recent(const bg_state *s, int band)
{
    float low = LOUDEST;
    for (int i = 1; i <= RECENT; i++) {
        const float l = s->level[(s->next + BG_MOMENTS - i) % BG_MOMENTS][band];
        if (l < low) low = l;
    }
    return low;
}

/* Raises the background (log10) where it has become louder: quiet moments of the last four seconds say nothing about
 * noise that has swelled since. Speech raises the lowest level of a second in some bands, noise in most of them, so
 * the rise is that of the WITNESS lowest. low: the lowest levels of all moments. */
static void follow(const bg_state *s, const float *low, float *background)
{
    float last[DR_BANDS], rise[WITNESS];
    for (int i = 0; i < WITNESS; i++) rise[i] = RISE_MAX;
    for (int b = 0; b < DR_BANDS; b++) {
        last[b] = recent(s, b);
        const float r = last[b] - low[b] > STEADY ? last[b] - low[b] - STEADY : 0.f;
        if (r >= rise[WITNESS - 1]) continue;
        int at = WITNESS - 1;
        for (; at > 0 && rise[at - 1] > r; at--) rise[at] = rise[at - 1];
        rise[at] = r;
    }
    for (int b = 0; b < DR_BANDS; b++) {
        const float most = background[b] + rise[WITNESS - 1], heard = last[b] + QUIETEST, to = heard < most ? heard : most;
        if (to > background[b]) background[b] = to;
    }
}

/* Returns the background level of a band. If several moments are about as quiet as the quietest, that is the level.
 * If not, the speech had no pause, and the background must be lower: as far below the quietest moment as the
 * last of the LOWEST lies above it, and twice as far while few moments are known. */
static float level_of(const bg_state *s, int band, float *quietest)
{
    float low[LOWEST];
    lowest(s, band, low);
    *quietest = low[0];
    return low[0] - (s->count < FEW ? 2.f : 1.f) * (low[LOWEST - 1] - low[0]) + above[band];
}

static float loudness(const float *background)
{
    float sum = 0;
    for (int b = 0; b < DR_BANDS; b++) sum += dr_heard[b] * dm_exp10(background[b]);
    return sum;
}

static void estimate(bg_state *s)
{
    float background[DR_BANDS], low[DR_BANDS];
    for (int b = 0; b < DR_BANDS; b++) background[b] = level_of(s, b, &low[b]);
    s->audible = s->count >= FEW && loudness(background) > AUDIBLE;
    if (s->audible) follow(s, low, background);
    for (int b = 0; b < DR_BANDS; b++) {
        s->energy[b] = dm_exp10(background[b]);
        s->floor[b] = dr_level(s->energy[b]);
    }
}

void bg_hear(bg_state *s, const int16_t *pcm)
{
    float x[BG_MOMENT], energy[DR_BANDS], sum[DR_BANDS] = {0};
    for (int n = 1; n < BG_MOMENT; n++) x[n] = (float)pcm[n] - DR_PREEMPHASIS * (float)pcm[n - 1];
    x[0] = x[1];
    for (int w = 0; w < WINDOWS; w++) {
        dr_window_energy(x + w * DR_WINDOW, energy);
        for (int b = 0; b < DR_BANDS; b++) sum[b] += energy[b];
    }
    float *level = s->level[s->next];
    for (int b = 0; b < DR_BANDS; b++) level[b] = dm_log10(NOTHING + sum[b] / (float)WINDOWS);
    s->next = (s->next + 1) % BG_MOMENTS;
    if (s->count < BG_MOMENTS) s->count++;
    if (s->count >= LOWEST) estimate(s);
}

static float uniform(bg_state *s)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 17;
    s->random ^= s->random << 5;
    return (float)(int32_t)s->random * (1.f / 2147483648.f);
}

/* Writes the amplitude of the uniform numbers drawn per bin: a uniform number in [-a, a] has the variance a^2 / 3. */
static void bin_amplitudes(const float *energy, float *amplitude)
{
    float power[DR_BINS];
    dr_bin_power(energy, power);
    for (int k = 0; k < DR_BINS; k++) amplitude[k] = sqrtf(3.f * power[k]);
}

void bg_noise(bg_state *s, int16_t *pcm)
{
    float amplitude[DR_BINS], re[DR_BINS], im[DR_BINS], x[DR_WINDOW], y[DR_WINDOW];
    bin_amplitudes(s->energy, amplitude);
    for (int k = 0; k < DR_BINS; k++) {
        re[k] = amplitude[k] * uniform(s);
        im[k] = amplitude[k] * uniform(s);
    }
    re[0] = im[0] = im[DR_BINS - 1] = 0;
    dr_fft_inverse(re, im, x);
    dr_window(x, y);
    for (int n = 0; n < DR_HOP; n++) {
        float v = s->overlap[n] + y[n] + DR_PREEMPHASIS * s->last;
        v = v > -32767.f ? (v < 32767.f ? v : 32767.f) : -32767.f;
        s->last = v;
        pcm[n] = (int16_t)((int32_t)(v + 32768.5f) - 32768);
    }
    memcpy(s->overlap, y + DR_HOP, sizeof s->overlap);
}

void bg_lift(const bg_state *s, float *cepstrum, int denoised)
{
    float level[DR_BANDS], rise[DR_BANDS], change[DR_BANDS];
    int below = 0;
    dr_band_levels(cepstrum, level);
    for (int b = 0; b < DR_BANDS; b++) {
        rise[b] = s->floor[b] > level[b] ? s->floor[b] - level[b] : 0.f;
        if (denoised && s->audible && level[b] < s->floor[b] + FAR) rise[b] = dm_log10(1.f + dm_exp10(s->floor[b] - level[b]));
        below |= rise[b] > 0.f;
    }
    if (!below) return;
    dr_transform(rise, change);
    for (int j = 0; j < DR_BANDS; j++) cepstrum[j] += change[j];
}

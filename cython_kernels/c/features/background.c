/* SPDX-License-Identifier: BSD-2-Clause */
#include "features/background.h"
#include "common/detmath.h"
#include "features/analysis.h"
#include "features/fft320.h"
#include <math.h>
#include <string.h>

#define LOWEST 4      /* the lowest levels of a band, from which the background is estimated */
#define FEW 14        /* with at most so many moments, all of them may be speech */
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

/* Returns the background level of a band. If several moments are about as quiet as the quietest, that is the level.
 * If not, the speech had no pause, and the background must be lower: as far below the quietest moment as the
 * last of the LOWEST lies above it, and twice as far while few moments are known. */
static float level_of(const bg_state *s, int band)
{
    float low[LOWEST];
    lowest(s, band, low);
    return low[0] - (s->count < FEW ? 2.f : 1.f) * (low[LOWEST - 1] - low[0]) + above[band];
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
    for (int b = 0; b < DR_BANDS && s->count >= LOWEST; b++) {
        s->energy[b] = dm_exp10(level_of(s, b));
        s->floor[b] = dr_level(s->energy[b]);
    }
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

void bg_lift(const bg_state *s, float *cepstrum)
{
    float level[DR_BANDS], rise[DR_BANDS], change[DR_BANDS];
    int below = 0;
    dr_band_levels(cepstrum, level);
    for (int b = 0; b < DR_BANDS; b++) {
        rise[b] = s->floor[b] > level[b] ? s->floor[b] - level[b] : 0.f;
        below |= rise[b] > 0.f;
    }
    if (!below) return;
    dr_transform(rise, change);
    for (int j = 0; j < DR_BANDS; j++) cepstrum[j] += change[j];
}

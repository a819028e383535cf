/* SPDX-License-Identifier: BSD-2-Clause */
/* The background of speech: per band, the level that the quietest moments of the last seconds have in common (minimum
 * statistics: R. Martin, IEEE Transactions on Speech and Audio Processing 9(5), 2001). */
#ifndef DREDGE_BACKGROUND_H
#define DREDGE_BACKGROUND_H

#include "features/cepstrum.h"
#include <stdint.h>

#define BG_MOMENT (6 * DR_HOP)   /* samples that are analysed at a time */
#define BG_MOMENTS 40            /* moments whose levels are kept */

typedef struct {
    float level[BG_MOMENTS][DR_BANDS];   /* log10 of the mean energy of each moment's windows */
    float energy[DR_BANDS];              /* band energies of the background */
    float floor[DR_BANDS];               /* the same as the features' level */
    int next, count;
    int audible;                         /* the background is loud enough to be heard */
    float overlap[DR_HOP], last;         /* noise synthesis: second half of the last window, last sample */
    uint32_t random;
} bg_state;

void bg_init(void);

/* Forget all moments: the background is digital silence. */
void bg_reset(bg_state *s);

/* Adds one moment to the estimate. pcm: BG_MOMENT samples. */
void bg_hear(bg_state *s, const int16_t *pcm);

/* Writes DR_HOP samples of noise with the spectrum of the background. */
void bg_noise(bg_state *s, int16_t *pcm);

/* Raises the bands of a cepstrum that are below the background to it; all other values stay equal bit for bit.
 * denoised: it describes speech without its noise, so a background that can be heard is added to it. */
void bg_lift(const bg_state *s, float *cepstrum, int denoised);

#endif

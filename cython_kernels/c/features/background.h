/* SPDX-License-Identifier: BSD-2-Clause */
/* The background of speech: per band, the level that the quietest moments of the last seconds have in common (minimum
 * statistics: R. Martin, IEEE Transactions on Speech and Audio Processing 9(5), 2001). */
#ifndef DREDGE_BACKGROUND_H
#define DREDGE_BACKGROUND_H

#include "features/cepstrum.h"
#include <stdint.h>

#define BG_MOMENT (6 * DR_HOP)   /* samples that are analysed at a time */
#define BG_MOMENTS 40            /* of which the levels are kept */

typedef struct {
    float level[BG_MOMENTS][DR_BANDS];   /* log10 of the mean energy of each moment's windows */
    float energy[DR_BANDS];              /* of the background */
    float floor[DR_BANDS];               /* the same as the features' level */
    int next, count;
    float overlap[DR_HOP], last;         /* of the noise: second half of its last window, its last sample */
    uint32_t random;
} bg_state;

void bg_init(void);

/* Forget all moments: the background is digital silence. */
void bg_reset(bg_state *s);

/* pcm: the BG_MOMENT samples of one moment. */
void bg_hear(bg_state *s, const int16_t *pcm);

/* DR_HOP samples of noise like the background. */
void bg_noise(bg_state *s, int16_t *pcm);

/* cepstrum: DR_BANDS values; bands below the background are raised to it, other cepstra do not change by a bit. */
void bg_lift(const bg_state *s, float *cepstrum);

#endif

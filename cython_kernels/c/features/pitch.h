/* SPDX-License-Identifier: BSD-2-Clause */
/* Causal pitch tracker: normalised correlation of the LPC residual, best path over 1/period. */
#ifndef DREDGE_PITCH_H
#define DREDGE_PITCH_H

#include "features/cepstrum.h"

#define DR_PITCH_MIN 32
#define DR_PITCH_MAX 256
#define DR_LAGS (DR_PITCH_MAX - DR_PITCH_MIN + 1)
#define DR_RESIDUAL (DR_PITCH_MAX + 1 + DR_WINDOW)

typedef struct {
    float residual[DR_RESIDUAL];   /* smoothed LPC residual, newest sample last */
    float memory[DR_ORDER];        /* last pre-emphasised samples, newest first */
    float smooth[3];               /* state of the residual's smoothing filters */
    float path[DR_LAGS];           /* score of the best path that ends in each lag, maximum is 0 */
} dr_pitch;

void dr_pitch_init(void);
void dr_pitch_reset(dr_pitch *p);

/* Moves on by one hop. hop: DR_HOP new pre-emphasised samples; lpc: predictor of the current window.
 * period: samples, fractional, in [32, 256]. correlation: in [-1, 1]. */
void dr_pitch_track(dr_pitch *p, const float *hop, const float *lpc, float *period, float *correlation);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* Twenty features per 10 ms: 18 cepstra, log2(256 / period) - 1.5, voicing. */
#ifndef DREDGE_ANALYSIS_H
#define DREDGE_ANALYSIS_H

#include "features/pitch.h"
#include <stdint.h>

#define DR_FEATURES 20
#define DR_PREEMPHASIS .85f

typedef struct {
    float window[DR_WINDOW];   /* pre-emphasised samples, newest last */
    float last;                /* last input sample */
    dr_pitch pitch;
} dr_features;

void dr_features_init(void);
void dr_features_reset(dr_features *f);

/* pcm: DR_HOP samples; out: DR_FEATURES values for the window that ends with them. */
void dr_features_push(dr_features *f, const int16_t *pcm, float *out);

#endif

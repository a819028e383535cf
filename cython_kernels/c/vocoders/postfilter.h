/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes vocoder output follow its features: less noise between the harmonics, exact band energies. */
#ifndef DREDGE_POSTFILTER_H
#define DREDGE_POSTFILTER_H

#include "features/cepstrum.h"
#include <stdint.h>

#define PF_PAST 256     /* longest pitch period */

typedef struct {
    float signal[PF_PAST + DR_WINDOW];   /* pre-emphasised input, newest last */
    float overlap[DR_HOP];               /* second half of the last window, to be added */
    float last_in, last_out;             /* emphasis and de-emphasis memories, int16 scale */
    float features[20];                  /* of the newest frame */
} pf_state;

void pf_init(void);

/* Forgets the signal. out: the last sample that was played, from which the output continues without a step. */
void pf_reset(pf_state *s, float out);

/* Primes the filter with decoded speech, without output. pcm: frames * DR_HOP samples; features: of the last one. */
void pf_prime(pf_state *s, const int16_t *pcm, int frames, const float *features);

/* pcm: DR_HOP samples of the next frame, features: its 20 values. out: DR_HOP samples of the frame BEFORE it. */
void pf_push(pf_state *s, const int16_t *pcm, const float *features, int16_t *out);

/* Filters the last frame, which no frame follows: its last pitch period is repeated. features: of the next one. */
void pf_finish(pf_state *s, const float *features, int16_t *out);

#endif

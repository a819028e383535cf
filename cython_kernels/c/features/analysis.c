/* SPDX-License-Identifier: BSD-2-Clause */
#include "features/analysis.h"
#include "common/detmath.h"
#include <string.h>

void dr_features_init(void)
{
    dr_cepstrum_init();
    dr_pitch_init();
}

void dr_features_reset(dr_features *f)
{
    memset(f->window, 0, sizeof f->window);
    f->last = 0;
    dr_pitch_reset(&f->pitch);
}

/* softplus(5 r) / softplus(5) - .5: compresses the unvoiced side of the correlation. */
static float voicing(float r)
{
    return dm_ln(1.f + dm_exp(5.f * r)) / 5.00671535f - .5f;
}

void dr_features_push(dr_features *f, const int16_t *pcm, float *out)
{
    memmove(f->window, f->window + DR_HOP, DR_HOP * sizeof(float));
    float *hop = f->window + DR_HOP;
    for (int n = 0; n < DR_HOP; n++) {
        hop[n] = (float)pcm[n] - DR_PREEMPHASIS * f->last;
        f->last = (float)pcm[n];
    }
    float lpc[DR_ORDER], period, correlation;
    dr_cepstrum(f->window, out);
    dr_lpc_from_cepstrum(out, lpc);
    dr_pitch_track(&f->pitch, hop, lpc, &period, &correlation);
    out[DR_BANDS] = dm_log2((float)DR_PITCH_MAX / period) - 1.5f;
    out[DR_BANDS + 1] = voicing(correlation);
}

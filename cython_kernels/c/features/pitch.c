/* SPDX-License-Identifier: BSD-2-Clause */
#include "features/pitch.h"
#include "common/detmath.h"
#include "common/once.h"
#include <string.h>

#define JUMP_PER_UNIT .002f     /* cost of moving by 1/60 octave from one hop to the next */
#define JUMP_MAX .25f           /* cost of moving anywhere */
#define MEMORY .9f              /* factor per hop on the path's score relative to the best path */
#define SHORT_LAG_BONUS .0005f  /* per 1/60 octave: decides ties between a period and its multiples */

#define BLOCK 32                /* lags that are correlated together */

static float position[DR_LAGS];  /* position of each lag on the 1/60-octave scale; it falls with the lag */
static once ready;

void dr_pitch_init(void)
{
    if (!once_begin(&ready)) return;
    for (int i = 0; i < DR_LAGS; i++)
        position[i] = 60.f * dm_log2((float)DR_PITCH_MAX / (float)(DR_PITCH_MIN + i));
    once_done(&ready);
}

void dr_pitch_reset(dr_pitch *p) { memset(p, 0, sizeof *p); }

/* LPC residual, then (1 + .7 z^-1)(.25 + .5 z^-1 + .25 z^-2): keeps the strong low harmonics. */
static void push_residual(dr_pitch *p, const float *hop, const float *lpc)
{
    float x[DR_ORDER + DR_HOP], e[1 + DR_HOP], d[2 + DR_HOP];   /* each begins with samples of the previous hop */
    for (int i = 0; i < DR_ORDER; i++) x[i] = p->memory[DR_ORDER - 1 - i];
    memcpy(x + DR_ORDER, hop, DR_HOP * sizeof *x);
    memcpy(e + 1, hop, DR_HOP * sizeof *e);
    for (int i = 0; i < DR_ORDER; i++)
        for (int n = 0; n < DR_HOP; n++) e[1 + n] += lpc[i] * x[DR_ORDER + n - 1 - i];
    e[0] = p->smooth[0], d[0] = p->smooth[2], d[1] = p->smooth[1];
    for (int n = 0; n < DR_HOP; n++) d[2 + n] = e[1 + n] + .7f * e[n];
    memmove(p->residual, p->residual + DR_HOP, (DR_RESIDUAL - DR_HOP) * sizeof(float));
    float *out = p->residual + DR_RESIDUAL - DR_HOP;
    for (int n = 0; n < DR_HOP; n++) out[n] = .25f * d[2 + n] + .5f * d[1 + n] + .25f * d[n];
    for (int i = 0; i < DR_ORDER; i++) p->memory[i] = hop[DR_HOP - 1 - i];
    p->smooth[0] = e[DR_HOP], p->smooth[1] = d[1 + DR_HOP], p->smooth[2] = d[DR_HOP];
}

/* cross[k], k < BLOCK: sum of now[n] past[n + k]; sums stay in registers. */
static void cross_block(const float *now, const float *past, float *cross)
{
    float sum[BLOCK] = {0};
    for (int n = 0; n < DR_WINDOW; n++)
        for (int k = 0; k < BLOCK; k++) sum[k] += now[n] * past[n + k];
    memcpy(cross, sum, sizeof sum);
}

/* score[i]: 2 x.y / (1 + x.x + y.y) of the window and itself, lag 32 + i earlier. */
static void correlate(const dr_pitch *p, float *score)
{
    const float *now = p->residual + DR_RESIDUAL - DR_WINDOW;
    float cross[DR_LAGS], energy = 0, lagged = 0;
    int k = 0;                                                    /* reversed: cross[k] is of lag 256 - k */
    for (; k + BLOCK <= DR_LAGS; k += BLOCK) cross_block(now, now - DR_PITCH_MAX + k, cross + k);
    for (; k < DR_LAGS; k++) {
        cross[k] = 0;
        for (int n = 0; n < DR_WINDOW; n++) cross[k] += now[n] * now[n - DR_PITCH_MAX + k];
    }
    for (int n = 0; n < DR_WINDOW; n++) energy += now[n] * now[n];
    for (int n = 0; n < DR_WINDOW; n++) lagged += now[n - DR_PITCH_MIN] * now[n - DR_PITCH_MIN];
    for (int i = 0; i < DR_LAGS; i++) {
        score[i] = 2.f * cross[DR_LAGS - 1 - i] / (1.f + energy + lagged);
        const float *edge = now - DR_PITCH_MIN - i - 1;
        lagged += edge[0] * edge[0] - edge[DR_WINDOW] * edge[DR_WINDOW];
        if (lagged < 0.f) lagged = 0.f;
    }
}

/* Best predecessor of every lag: the jump cost is linear up to a cap, so two sweeps suffice. */
static void advance_path(float *path, const float *score)
{
    for (int i = 0; i < DR_LAGS; i++) path[i] *= MEMORY;
    for (int i = 1; i < DR_LAGS; i++) {
        float v = path[i - 1] - JUMP_PER_UNIT * (position[i - 1] - position[i]);
        if (v > path[i]) path[i] = v;
    }
    for (int i = DR_LAGS - 2; i >= 0; i--) {
        float v = path[i + 1] - JUMP_PER_UNIT * (position[i] - position[i + 1]);
        if (v > path[i]) path[i] = v;
    }
    float max = -1e9f;
    for (int i = 0; i < DR_LAGS; i++) {
        if (path[i] < -JUMP_MAX) path[i] = -JUMP_MAX;
        path[i] += score[i] + SHORT_LAG_BONUS * position[i];
        if (path[i] > max) max = path[i];
    }
    for (int i = 0; i < DR_LAGS; i++) path[i] -= max;
}

/* Vertex of the parabola through the peak and its neighbours, at most half a sample away. */
static float refine(const float *score, int i)
{
    if (i == 0 || i == DR_LAGS - 1) return 0;
    float curve = score[i - 1] - 2.f * score[i] + score[i + 1];
    if (curve > -1e-6f) return 0;
    float d = .5f * (score[i - 1] - score[i + 1]) / curve;
    return d < -.5f ? -.5f : d > .5f ? .5f : d;
}

void dr_pitch_track(dr_pitch *p, const float *hop, const float *lpc, float *period, float *correlation)
{
    float score[DR_LAGS];
    push_residual(p, hop, lpc);
    correlate(p, score);
    advance_path(p->path, score);
    int best = 0;
    for (int i = 1; i < DR_LAGS; i++)
        if (p->path[i] > p->path[best]) best = i;
    *period = (float)(DR_PITCH_MIN + best) + refine(score, best);
    if (*period < DR_PITCH_MIN) *period = DR_PITCH_MIN;
    if (*period > DR_PITCH_MAX) *period = DR_PITCH_MAX;
    *correlation = score[best];
}

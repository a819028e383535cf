/* SPDX-License-Identifier: BSD-2-Clause */
/* The frame-rate network of the vocoder, in float with binary16 weights: two convolutions over five frames, two dense
 * layers, and their inputs to the two recurrent layers. */
#ifndef DREDGE_LPCNET_FRAME_H
#define DREDGE_LPCNET_FRAME_H

#include "common/arena.h"
#include <stdint.h>

#define LF_CONTEXT 2        /* frames of look-back and of look-ahead */
#define LF_MAX 256          /* widest layer before the last two */
#define LF_LANES 16
#define LF_PERIODS 257
#define LF_PADDED(n) (((n) + LF_LANES - 1) / LF_LANES * LF_LANES)

/* As stored: weight [inputs][outputs] in binary16. */
typedef struct { int inputs, outputs; const uint16_t *weight; const float *bias; } lf_layer;

/* As read: weight [outputs / LF_LANES][inputs][LF_LANES], padded with zeros. */
typedef struct { int inputs, outputs; const uint16_t *weight; const float *bias; } lf_dense;

typedef struct {
    int features, embedding;            /* 20, width of the pitch embedding */
    const uint16_t *pitch;              /* [LF_PERIODS][embedding], row = period in samples */
    lf_layer conv1, conv2, dense1, dense2;   /* convolutions: inputs = 3 * channels, oldest frame first */
    lf_layer cond_a, cond_b;            /* conditioning of the two recurrent layers */
} lf_source;

typedef struct {
    int features, embedding;
    const uint16_t *pitch;
    lf_dense conv1, conv2, dense1, dense2, cond_a, cond_b;
} lf_net;

/* y [frames][LF_PADDED(outputs)] = x W + b, summed in the order of the inputs; frames: 1 or 2, which read the weights
 * together; steps: from one frame to the next. */
typedef void (*lf_apply)(const lf_dense *layer, int frames, const float *x, size_t x_step, float *y, size_t y_step);

/* Packs the layers of a network; returns 0 if there is no memory. */
int lf_pack(const lf_source *source, arena *memory, lf_net *net);

/* Returns the pitch period of a frame in whole samples, 32 ... 256. */
int lf_period(const float *features);

/* features [n + 2 * LF_CONTEXT][20] -> cond [n][LF_MAX]; scratch: (n + 4) * 2 * LF_MAX floats. */
void lf_condition(const lf_net *net, lf_apply apply, const float *features, int n, float *cond, float *scratch);

#endif

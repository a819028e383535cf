/* SPDX-License-Identifier: BSD-2-Clause */
/* The frame-rate network of the vocoder, in float: two convolutions over five frames, two dense layers. */
#ifndef DREDGE_LPCNET_FRAME_H
#define DREDGE_LPCNET_FRAME_H

#define LF_CONTEXT 2        /* frames of look-back and of look-ahead */
#define LF_MAX 256          /* widest layer */

typedef struct { int inputs, outputs; const float *weight, *bias; } lf_dense;   /* weight [inputs][outputs] */

typedef struct {
    int features, embedding;            /* 20, width of the pitch embedding */
    const float *pitch;                 /* [257][embedding], row = period in samples */
    lf_dense conv1, conv2, dense1, dense2;   /* convolutions: inputs = 3 * channels, oldest frame first */
    lf_dense cond_a, cond_b;            /* conditioning of the two recurrent layers */
} lf_net;

/* Pitch period in whole samples, 32 ... 256. */
int lf_period(const float *features);

/* features [n + 2 * LF_CONTEXT][20] -> cond [n][dense2.outputs]; scratch: (n + 4) * 2 * LF_MAX floats. */
void lf_condition(const lf_net *net, const float *features, int n, float *cond, float *scratch);

/* y = W x + b */
void lf_apply(const lf_dense *layer, const float *x, float *y);

#endif

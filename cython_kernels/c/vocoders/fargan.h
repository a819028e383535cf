/* SPDX-License-Identifier: BSD-2-Clause */
/* FARGAN (arXiv 2405.21069) as libopus 1.5 trains it: a frame network every 10 ms, then four subframes of 40 samples,
 * each made from the frame's condition, the last pitch period and the last 40 samples. int8 weights and activations,
 * exact sums; everything else in float32 in a fixed order, so that every board gives the same samples. */
#ifndef DREDGE_FARGAN_H
#define DREDGE_FARGAN_H

#include <stdint.h>

#define FG_FRAME 160
#define FG_SUB 40
#define FG_FEATURES 20
#define FG_PAST 256             /* longest pitch period */
#define FG_SHORTEST 32          /* shortest one */
#define FG_EMBED 12
#define FG_PERIODS 224          /* embeddings, of periods from FG_SHORTEST on */
#define FG_DENSE1 64
#define FG_CONV1 128
#define FG_COND 80              /* per subframe */
#define FG_IN (FG_COND + FG_SUB + 4 + FG_SUB)
#define FG_FIRST 192
#define FG_GRU1 160
#define FG_GRU2 128
#define FG_GRU3 128
#define FG_SKIP 128
#define FG_JOINED (FG_GRU1 + FG_GRU2 + FG_GRU3 + FG_FIRST + 2 * FG_SUB)
#define FG_WIDEST FG_JOINED     /* largest input of any int8 layer */
#define FG_PRIMING 5            /* feature rows that fg_begin reads, beside two frames of speech */

typedef struct {
    const int8_t *weight;       /* [out][in] */
    const float *scale;         /* [out], of weight times activation */
    const float *bias;          /* [out] */
    int in, out;
} fg_layer;

typedef struct {
    const float *embed;         /* [FG_PERIODS][FG_EMBED] */
    const float *dense1, *dense1_bias;   /* [FG_DENSE1][FG_FEATURES + FG_EMBED] */
    const float *gain, *gain_bias;       /* [FG_COND]: log level of a subframe */
    const float *gates, *gates_bias;     /* [4][FG_FIRST]: shares of the pitch prediction */
    fg_layer conv1, dense2, first, first_gate, gru_in[3], gru_own[3], gru_gate[3], skip, skip_gate, out;
} fg_model;

typedef struct {
    float past[FG_PAST];        /* pre-emphasised samples in -1 ... 1, newest last */
    float conv1[2 * FG_DENSE1]; /* inputs of the two frames before */
    float first[FG_IN];         /* input of the subframe before */
    float gru1[FG_GRU1], gru2[FG_GRU2], gru3[FG_GRU3];
    float last;                 /* de-emphasis memory */
    int period;                 /* pitch period of the frame before, in samples */
} fg_state;

void fg_reset(fg_state *s);

/* Primes the network with decoded speech, so that the next frame continues it: 320 samples in -1 ... 1 and FG_PRIMING
 * rows of features, the last of which describes the next frame. */
void fg_begin(fg_state *s, const fg_model *m, const float *pcm, const float *features);

/* One frame of FG_FRAME samples (int16). features: the row one frame further on than the samples. */
void fg_next(fg_state *s, const fg_model *m, const float *features, int16_t *pcm);

#endif

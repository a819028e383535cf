/* SPDX-License-Identifier: BSD-2-Clause */
/* int8 LPCNet, two samples per step of its large layer (bunching: Vipperla et al. 2020, arXiv 2008.04574): the
 * sample-rate network of the vocoder. Every level of instructions gives the same samples. */
#ifndef DREDGE_LPCNET_H
#define DREDGE_LPCNET_H

#include "lpcnet/frame.h"
#include <stdint.h>

#define LN_SLOTS_A 8        /* signal, prediction, two excitations, four excitations one pitch period ago */
#define LN_LEVELS_A 128     /* mu-law codes / 2 */
#define LN_SLOTS_B 3        /* signal, prediction, excitation */
#define LN_LEVELS 256
#define LN_HOP 160
#define LN_ORDER 16
#define LN_MAX_A 512        /* multiples of 32 */
#define LN_MAX_B 64         /* multiples of 8 */
#define LN_HISTORY 512      /* excitation kept, >= longest period + 1 */
#define LN_WEIGHT 64        /* largest weight of a matrix or of the tree: two times 255 and four times 127 fit 16 bits */
#define LN_LIMIT 1024.f     /* no single term of a pre-activation is larger: its conversion to int32 is defined */
#define LN_SUBTREES 17      /* four decisions each: the first four, and one for each of their outcomes */

/* As stored: a matrix of 8 x 4 int8 blocks (outputs x inputs), strip by strip; values in [-LN_WEIGHT, LN_WEIGHT]. */
typedef struct {
    int outputs, inputs;          /* multiples of 8 and 4 */
    const int8_t *blocks;         /* [n][8][4] */
    const uint8_t *column;        /* [n]: first input of the block / 4 */
    const uint16_t *count;        /* [outputs / 8]: blocks of each strip */
    const float *scale;           /* [outputs]: times the integer sum */
} ln_blocks;

typedef struct {
    int hidden_a, hidden_b;
    const int8_t *table;          /* [LN_SLOTS_A][LN_LEVELS_A][3A] gates n, r, z */
    const float *table_scale;     /* [3A] times the sum over the slots */
    ln_blocks recur_a;            /* A -> 3A gates r, z, n */
    const float *bias_a;          /* [A] of the recurrent side of n */
    ln_blocks input_b;            /* A -> 6B: gates r, z, n of the first sample, then of the second */
    const int8_t *table_b;        /* [LN_SLOTS_B][LN_LEVELS][3B] gates r, z, n */
    const float *table_b_scale;   /* [3B] */
    ln_blocks recur_b;            /* B -> 3B gates r, z, n */
    const float *bias_b;          /* [B] */
    const int8_t *tree;           /* [2][256][B] */
    const float *tree_scale;      /* [2][256] times the integer sum */
    const float *tree_bias;       /* [2][256] */
    const float *tree_gain;       /* [2][256] */
} ln_net;

/* A network packed for one level (lpcnet/pack.h). */
typedef struct ln_model ln_model;
typedef struct ln_matrix ln_matrix;

typedef struct {
    float a[LN_MAX_A], b[LN_MAX_B];      /* hidden states times 32768 */
    float memory[LN_ORDER];              /* pre-emphasised samples, newest last */
    uint8_t excitation[LN_HISTORY + LN_HOP];
    float emphasis;                      /* de-emphasis memory: the last output sample */
    uint64_t random;
} ln_state;

/* The inputs that are constant over one frame of LN_HOP samples. */
typedef struct {
    const float *cond_a;          /* [3A] gates n, r, z */
    const float *cond_b;          /* [3B] gates r, z, n */
    const float *lpc;             /* [LN_ORDER] */
    int period;                   /* 32 ... 256 */
    float sharpness;              /* >= 1; multiplies the logits of the tree */
    int from;                     /* LN_FORCE: the network runs from this sample on, an even one */
} ln_frame;

enum { LN_GENERATE, LN_FORCE, LN_SKIP };   /* draw samples; follow pcm; follow pcm without the network */

/* pcm: LN_HOP samples, written by LN_GENERATE, else read. */
typedef void (*ln_run)(const ln_model *model, ln_state *state, const ln_frame *frame, int16_t *pcm, int mode);

typedef struct {
    const char *name;
    int offset;               /* added to the inputs of its products: 0, or 128 where they are unsigned */
    int full;                 /* 1 if it has a product for full matrices */
    int tile;                 /* strips that its product processes at a time */
    ln_run run;
    lf_apply dense;           /* a layer of the frame-rate network */
    /* For tests: y [outputs] = m x, x [inputs] in [-127, 127]; m as ln_pack_blocks makes it. */
    void (*product)(const ln_matrix *m, const int8_t *x, int inputs, int32_t *y);
    void (*tanh)(const int16_t *x, int16_t *y);   /* for tests: 16 of them */
} ln_level;

/* Levels that this build has and this processor can run, cheapest first; returns how many. */
int ln_levels(const ln_level **levels);

void ln_init(void);
void ln_reset(ln_state *state, uint64_t seed);

uint8_t ln_to_ulaw(float x);            /* int16 scale -> 0 ... 255 */
float ln_from_ulaw(uint8_t u);

extern float ln_expand[LN_LEVELS];      /* mu-law code -> linear */
extern float ln_threshold[LN_LEVELS];   /* logit of the i-th of 256 probabilities, tails trimmed */

#endif

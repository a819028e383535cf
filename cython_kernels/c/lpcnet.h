/* SPDX-License-Identifier: BSD-2-Clause */
/* int8 LPCNet: the sample-rate network of the vocoder. Every level of instructions gives the same samples. */
#ifndef DREDGE_LPCNET_H
#define DREDGE_LPCNET_H

#include <stdint.h>

#define LN_SLOTS 6          /* last signal, prediction, last excitation, excitation one period ago (3 taps) */
#define LN_LEVELS 256
#define LN_HOP 160
#define LN_ORDER 16
#define LN_MAX_A 512
#define LN_MAX_B 64
#define LN_HISTORY 512      /* excitation kept, >= longest period + 2 */

/* Matrix of 8 x 4 int8 blocks (outputs x inputs), strip by strip; values in [-127, 127]. */
typedef struct {
    int outputs, inputs;          /* multiples of 8 and 4 */
    const int8_t *blocks;         /* [n][8][4] */
    const uint8_t *column;        /* [n]: first input of the block / 4 */
    const uint16_t *count;        /* [outputs / 8]: blocks of each strip */
    const float *scale;           /* [outputs]: times the integer sum */
} ln_matrix;

typedef struct {
    int hidden_a, hidden_b;
    const int8_t *table;          /* [LN_SLOTS][256][3A] gates n, r, z */
    const float *table_scale;     /* [LN_SLOTS][3A] */
    ln_matrix recur_a;            /* A -> 3A gates r, z, n */
    const float *bias_a;          /* [A] of the recurrent side of n */
    ln_matrix input_b;            /* A -> 3B gates r, z, n */
    ln_matrix recur_b;            /* B -> 3B gates r, z, n */
    const float *bias_b;          /* [B] */
    const int8_t *tree;           /* [2][256][B] */
    const float *tree_scale;      /* [2][256] times the integer sum */
    const float *tree_bias;       /* [2][256] */
    const float *tree_gain;       /* [2][256] */
} ln_net;

typedef struct {
    float a[LN_MAX_A], b[LN_MAX_B];
    int8_t qa[LN_MAX_A], qb[LN_MAX_B];   /* round(127 a), round(127 b) */
    float memory[LN_ORDER];              /* pre-emphasised samples, newest first */
    uint8_t excitation[LN_HISTORY + LN_HOP];
    float emphasis;                      /* last output sample */
    uint64_t random;
} ln_state;

/* What stays the same over one frame of LN_HOP samples. */
typedef struct {
    const float *cond_a;          /* [3A] gates n, r, z */
    const float *cond_b;          /* [3B] gates r, z, n */
    const float *lpc;             /* [LN_ORDER] */
    int period;                   /* 32 ... 256 */
    float sharpness;              /* >= 1; multiplies the logits of the tree */
} ln_frame;

enum { LN_GENERATE, LN_FORCE, LN_SKIP };   /* sample; follow pcm; follow pcm without running the network */

/* pcm: LN_HOP samples, written by LN_GENERATE, else read. */
typedef void (*ln_run)(const ln_net *net, ln_state *state, const ln_frame *frame, int16_t *pcm, int mode);

typedef struct {
    const char *name;
    ln_run run;
    void (*product)(const ln_matrix *m, const int8_t *x, int32_t *y);   /* for tests */
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

/* SPDX-License-Identifier: BSD-2-Clause */
/* The network as the sample loop reads it: packed once, for one level of instructions.
 *
 * Units are padded with silent ones to a multiple of LN_LANES and everything that belongs to LN_LANES of them lies
 * together: [units / LN_LANES][gate r, z, n][LN_LANES]. Strips of equal length follow one another, so that the
 * processor foresees the end of each; where their sums belong is written beside them.
 *
 * Pre-activations are scaled so that the range of the activation fills 16 bits (lpcnet/tanh.h): the factor is in the
 * scales and biases here, and reaches the conditioning once per frame. */
#ifndef DREDGE_LPCNET_PACK_H
#define DREDGE_LPCNET_PACK_H

#include "lpcnet/lpcnet.h"
#include "lpcnet/tanh.h"

/* Contracts between these files, checked where DREDGE_DEBUG=1 was set when the kernels were built. */
#ifdef DREDGE_DEBUG
#include <assert.h>
#define LN_ASSERT(what) assert(what)
#else
#define LN_ASSERT(what) ((void)0)
#endif

#define LN_LANES 16
#define LN_GROUP 2          /* strips have a multiple of this many blocks */

/* Pre-activation -> 16 bits. sigmoid(x) = (1 + tanh(x / 2)) / 2; n is multiplied by r, which comes times 32768. */
#define LN_GAIN_N LN_TANH_GAIN
#define LN_GAIN_RZ (.5f * LN_TANH_GAIN)
#define LN_GAIN_R_TIMES (LN_TANH_GAIN / 32768.f)

/* Strips of equal or similar length are taken T = level->tile at a time and filled up to the longest of them. */
struct ln_matrix {
    int tiles, inputs;
    int dense;                    /* 0, or: inputs / 4 of a full matrix: weights [tiles][dense][32 outputs][4], no more */
    const int8_t *weights;        /* [steps][T][LN_GROUP][8][4], 64-byte aligned */
    const uint8_t *column;        /* [steps][T][LN_GROUP]: first input of each block / 4 */
    const uint16_t *steps;        /* [tiles] */
    const uint16_t *place;        /* [tiles][T]: where the eight sums of a strip go; stored in this order */
    const int32_t *start;         /* [tiles][T][8]: what sums start with: -offset times the sum of the weights */
};

typedef struct {
    int units, row;               /* padded; bytes per row of the table */
    const int8_t *table;          /* [slots][levels][row] */
    const float *table_scale;     /* [3 units] */
    const float *recur_scale;     /* [3 units] */
    const float *bias;            /* [units] */
    ln_matrix recur;
} ln_layer;

typedef struct { ln_matrix product; float scale[2][LN_LANES], bias[2][LN_LANES], gain[2][LN_LANES]; } ln_subtree;

struct ln_model {
    int hidden_a, hidden_b;       /* not padded */
    const ln_level *level;
    ln_layer a, b;
    ln_matrix input_b;            /* sums [2][3 units of b] */
    const float *input_scale;
    ln_subtree *tree;             /* [LN_SUBTREES]; node of heap index i in lane i, lane 0 silent */
    lf_net frame;
    arena memory;                 /* of everything above */
};

/* NULL if there is no memory. The network's arrays are not needed any more afterwards. */
ln_model *ln_pack(const ln_net *net, const lf_source *frame, const ln_level *level);
void ln_free(ln_model *model);

/* One matrix alone, for tests: sums in the order of its outputs. Its memory belongs to the model. */
ln_matrix ln_pack_blocks(ln_model *model, const ln_blocks *source);
ln_model *ln_empty(const ln_level *level);

#endif

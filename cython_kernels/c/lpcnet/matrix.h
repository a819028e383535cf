/* SPDX-License-Identifier: BSD-2-Clause */
/* Interface of lpcnet/matrix.c for lpcnet/pack.c: the order of units in packed arrays, and matrices in that order. */
#ifndef DREDGE_LPCNET_MATRIX_H
#define DREDGE_LPCNET_MATRIX_H

#include "lpcnet/pack.h"

#define LN_ROUND_UP(n, to) (((n) + (to) - 1) / (to) * (to))

/* gates: the packed place (r, z, n) of each third of the file. */
typedef struct { int hidden, units, gates[3]; } ln_order;

/* Returns the packed place of output i of a matrix or column i of a table. LN_LANES units of a gate are neighbours. */
static inline int ln_lane(const ln_order *o, int i)
{
    const int three = 3 * o->hidden, block = i / three, gate = o->gates[i % three / o->hidden], j = i % o->hidden;
    return block * 3 * o->units + j / LN_LANES * 3 * LN_LANES + gate * LN_LANES + j % LN_LANES;
}

/* order NULL: as in the file. 0 if there is no memory. */
int ln_pack_matrix(ln_model *model, const ln_blocks *source, const ln_order *order, ln_matrix *m);

#endif

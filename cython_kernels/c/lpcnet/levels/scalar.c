/* SPDX-License-Identifier: BSD-2-Clause */
/* The specification of all levels: the others must give the same bits. */
#include "lpcnet/levels/vec_scalar.h"

#define LN_OFFSET 0
#define LN_FULL 0
#define LN_TILE 1

static void ln_product(const ln_matrix *m, const int8_t *x, int32_t *y)
{
    const int8_t *w = m->weights;
    const uint8_t *column = m->column;
    for (int s = 0; s < m->tiles; s++) {
        int32_t *sum = y + m->place[s];
        for (int i = 0; i < 8; i++) sum[i] = m->start[8 * s + i];
        for (int n = 0; n < 2 * m->steps[s]; n++, w += 32) {
            const int8_t *v = x + 4 * *column++;
            for (int i = 0; i < 8; i++)
                for (int k = 0; k < 4; k++) sum[i] += w[4 * i + k] * v[k];
        }
    }
}

#include "lpcnet/run.h"

const ln_level ln_level_scalar = LN_LEVEL("scalar");

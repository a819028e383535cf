/* SPDX-License-Identifier: BSD-2-Clause */
/* The specification: what the other levels must reproduce. */
#include "lpcnet.h"

static void ln_product(const ln_matrix *m, const int8_t *x, int32_t *y)
{
    const int8_t *w = m->blocks;
    const uint8_t *column = m->column;
    for (int s = 0; s < m->outputs / 8; s++, y += 8) {
        int32_t sum[8] = {0};
        for (int n = 0; n < m->count[s]; n++, w += 32) {
            const int8_t *v = x + 4 * *column++;
            for (int i = 0; i < 8; i++)
                for (int k = 0; k < 4; k++) sum[i] += w[4 * i + k] * v[k];
        }
        for (int i = 0; i < 8; i++) y[i] = sum[i];
    }
}

#include "lpcnet_run.h"

const ln_level ln_level_scalar = {"scalar", ln_run_frame, ln_product};

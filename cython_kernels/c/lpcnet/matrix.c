/* SPDX-License-Identifier: BSD-2-Clause */
#include "lpcnet/matrix.h"
#include <stdlib.h>
#include <string.h>

#define SLACK 64            /* products may load this much beyond the end of weights and columns */

static void *room(ln_model *m, size_t bytes) { return arena_take(&m->memory, bytes); }

/* A strip of the file: its number, its first block and its number of steps. */
typedef struct { int strip, from, steps; } ln_strip;

static int by_length(const void *a, const void *b)
{
    const ln_strip *x = a, *y = b;
    return x->steps != y->steps ? x->steps - y->steps : x->strip - y->strip;
}

/* Sorted by length, empty ones (strip -1) before them so that tiles are whole. Returns how many there are. */
static int sort_strips(const ln_blocks *b, int tile, ln_strip *strips)
{
    const int n = b->outputs / 8, all = LN_ROUND_UP(n, tile);
    for (int i = 0, from = 0; i < n; from += b->count[i++])
        strips[all - n + i] = (ln_strip){i, from, (b->count[i] + LN_GROUP - 1) / LN_GROUP};
    for (int i = 0; i < all - n; i++) strips[i] = (ln_strip){-1, 0, -1};
    qsort(strips, (size_t)all, sizeof *strips, by_length);
    return all;
}

/* Strip number t of a tile whose first step is number `step` of the matrix. */
static void put_strip(const ln_model *model, const ln_blocks *b, const ln_strip *s, int step, int t, ln_matrix *m,
                      int32_t *start)
{
    for (int k = 0; s->strip >= 0 && k < b->count[s->strip]; k++) {
        const int to = ((step + k / LN_GROUP) * model->level->tile + t) * LN_GROUP + k % LN_GROUP;
        const int8_t *block = b->blocks + 32 * (s->from + k);
        memcpy((int8_t *)m->weights + 32 * to, block, 32);
        ((uint8_t *)m->column)[to] = b->column[s->from + k];
        for (int j = 0; j < 32; j++) start[j / 4] -= model->level->offset * block[j];
    }
}

static void put_tiles(const ln_model *model, const ln_blocks *b, const ln_order *o, const ln_strip *strips, ln_matrix *m)
{
    const int tile = model->level->tile;
    for (int i = 0, step = 0; i < m->tiles; step += m->steps[i++]) {
        const ln_strip *last = strips + (i + 1) * tile - 1;     /* never one of the empty ones */
        ((uint16_t *)m->steps)[i] = (uint16_t)last->steps;
        for (int t = 0; t < tile; t++) {
            const ln_strip *s = strips + i * tile + t, *home = s->strip < 0 ? last : s;   /* overwritten by the last */
            const int output = 8 * home->strip, at = i * tile + t;
            ((uint16_t *)m->place)[at] = (uint16_t)(o ? ln_lane(o, output) : output);
            put_strip(model, b, s, step, t, m, (int32_t *)m->start + 8 * at);
        }
    }
}

static int pack_sparse(ln_model *model, const ln_blocks *b, const ln_order *o, ln_matrix *m)
{
    ln_strip strips[6 * LN_MAX_A / 8 + 8];
    const int tile = model->level->tile, all = sort_strips(b, tile, strips);
    size_t steps = 0;
    for (int i = tile - 1; i < all; i += tile) steps += (size_t)strips[i].steps;
    const size_t blocks = steps * (size_t)tile * LN_GROUP;
    m->tiles = all / tile;
    m->weights = room(model, 32 * blocks + SLACK);
    m->column = room(model, blocks + SLACK);
    m->steps = room(model, sizeof *m->steps * (size_t)m->tiles);
    m->place = room(model, sizeof *m->place * (size_t)all);
    m->start = room(model, sizeof *m->start * 8 * (size_t)all);
    if (!m->weights || !m->column || !m->steps || !m->place || !m->start) return 0;
    put_tiles(model, b, o, strips, m);
    return 1;
}

/* Tiles of 32 outputs that lie together in packed order. */
static void put_dense(const ln_model *model, const ln_blocks *b, const ln_order *o, ln_matrix *m)
{
    int8_t *weights = (int8_t *)m->weights;
    int32_t *start = (int32_t *)m->start;
    for (int i = 0; i < b->outputs; i++) {
        const int to = o ? ln_lane(o, i) : i;
        for (int k = 0; k < b->inputs; k++) {
            const int8_t w = b->blocks[((i / 8 * m->dense + k / 4) * 8 + i % 8) * 4 + k % 4];
            weights[((to / 32 * m->dense + k / 4) * 32 + to % 32) * 4 + k % 4] = w;
            start[to] -= model->level->offset * w;
        }
    }
}

static int pack_dense(ln_model *model, const ln_blocks *b, const ln_order *o, ln_matrix *m)
{
    const int outputs = o ? b->outputs / o->hidden * o->units : b->outputs;
    m->dense = b->inputs / 4;
    m->tiles = outputs / 32;
    m->weights = room(model, (size_t)(outputs * b->inputs));
    m->start = room(model, sizeof *m->start * (size_t)outputs);
    if (m->weights && m->start) put_dense(model, b, o, m);
    return m->weights && m->start;
}

static int is_dense(const ln_model *model, const ln_blocks *b, const ln_order *o)
{
    const int outputs = o ? b->outputs / o->hidden * o->units : b->outputs;
    if (!model->level->full || outputs % 32 || b->inputs % 8) return 0;
    for (int i = 0, at = 0; i < b->outputs / 8; i++) {
        if (b->count[i] != b->inputs / 4) return 0;
        for (int k = 0; k < b->count[i]; k++) if (b->column[at++] != k) return 0;
    }
    return 1;
}

/* Asserts what lpcnet_weights.py has checked, because the products rely on it. */
static void check_blocks(const ln_blocks *b)
{
    int blocks = 0;
    LN_ASSERT(b->outputs % 8 == 0 && b->inputs % 4 == 0 && b->inputs <= LN_MAX_A);
    for (int i = 0; i < b->outputs / 8; i++) blocks += b->count[i];
    for (int i = 0; i < blocks; i++) LN_ASSERT(4 * b->column[i] < b->inputs);
    for (int i = 0; i < 32 * blocks; i++) LN_ASSERT(abs(b->blocks[i]) <= LN_WEIGHT);
}

int ln_pack_matrix(ln_model *model, const ln_blocks *b, const ln_order *o, ln_matrix *m)
{
    check_blocks(b);
    m->inputs = b->inputs;
    return is_dense(model, b, o) ? pack_dense(model, b, o, m) : pack_sparse(model, b, o, m);
}

ln_matrix ln_pack_blocks(ln_model *model, const ln_blocks *source)
{
    ln_matrix m = {0};
    if (!ln_pack_matrix(model, source, NULL, &m)) m.tiles = 0;
    return m;
}

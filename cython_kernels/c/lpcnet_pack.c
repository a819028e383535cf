/* SPDX-License-Identifier: BSD-2-Clause */
#include "lpcnet_pack.h"
#include <stdlib.h>
#include <string.h>

#define SLACK 64            /* products may load this much beyond the end of weights and columns */
#define ROUND_UP(n, to) (((n) + (to) - 1) / (to) * (to))

static void *room(ln_model *m, size_t bytes) { return arena_take(&m->memory, bytes); }

void ln_free(ln_model *m)
{
    if (m) arena_free(&m->memory);
    free(m);
}

ln_model *ln_empty(const ln_level *level)
{
    ln_model *m = calloc(1, sizeof *m);
    if (m) m->level = level;
    return m;
}

/* Where output i of a matrix or column i of a table goes: gate, then unit in the file, LN_LANES units together here. */
typedef struct { int hidden, units, gates[3]; } ln_order;

static int lane(const ln_order *o, int i)
{
    const int three = 3 * o->hidden, block = i / three, gate = o->gates[i % three / o->hidden], j = i % o->hidden;
    return block * 3 * o->units + j / LN_LANES * 3 * LN_LANES + gate * LN_LANES + j % LN_LANES;
}

/* Strip s of the file: where its blocks begin there, and how many steps it takes. */
typedef struct { int strip, from, steps; } ln_strip;

static int by_length(const void *a, const void *b)
{
    const ln_strip *x = a, *y = b;
    return x->steps != y->steps ? x->steps - y->steps : x->strip - y->strip;
}

/* Sorted by length, empty ones (strip -1) before them so that tiles are whole. Returns how many there are. */
static int sort_strips(const ln_blocks *b, int tile, ln_strip *strips)
{
    const int n = b->outputs / 8, all = ROUND_UP(n, tile);
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
            ((uint16_t *)m->place)[at] = (uint16_t)(o ? lane(o, output) : output);
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
        const int to = o ? lane(o, i) : i;
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

/* What lpcnet_weights.py checks before: the products count on it. */
static void check_blocks(const ln_blocks *b)
{
    int blocks = 0;
    LN_ASSERT(b->outputs % 8 == 0 && b->inputs % 4 == 0 && b->inputs <= LN_MAX_A);
    for (int i = 0; i < b->outputs / 8; i++) blocks += b->count[i];
    for (int i = 0; i < blocks; i++) LN_ASSERT(4 * b->column[i] < b->inputs);
    for (int i = 0; i < 32 * blocks; i++) LN_ASSERT(b->blocks[i] >= -127);
}

static int pack_matrix(ln_model *model, const ln_blocks *b, const ln_order *o, ln_matrix *m)
{
    check_blocks(b);
    return is_dense(model, b, o) ? pack_dense(model, b, o, m) : pack_sparse(model, b, o, m);
}

ln_matrix ln_pack_blocks(ln_model *model, const ln_blocks *source)
{
    ln_matrix m = {0};
    if (!pack_matrix(model, source, NULL, &m)) m.tiles = 0;
    return m;
}

static float gain(int gate, int recurrent)
{
    return gate < 2 ? LN_GAIN_RZ : recurrent ? LN_GAIN_R_TIMES : LN_GAIN_N;
}

static const float *pack_scale(ln_model *model, const float *scale, int n, const ln_order *o, int recurrent)
{
    float *y = room(model, sizeof *y * 3 * (size_t)o->units * (size_t)(n / (3 * o->hidden)));
    for (int i = 0; y && i < n; i++)
        y[lane(o, i)] = scale[i] * gain(o->gates[i % (3 * o->hidden) / o->hidden], recurrent);
    return y;
}

static const int8_t *pack_table(ln_model *model, const int8_t *table, int rows, const ln_order *o)
{
    int8_t *y = room(model, 3 * (size_t)o->units * (size_t)rows);
    for (int r = 0; y && r < rows; r++)
        for (int i = 0; i < 3 * o->hidden; i++)
            y[(size_t)r * 3 * (size_t)o->units + (size_t)lane(o, i)] = table[(size_t)r * 3 * (size_t)o->hidden + (size_t)i];
    return y;
}

typedef struct { const int8_t *table; int rows; const float *scale, *bias; const ln_blocks *recur; } ln_parts;

static int pack_layer(ln_model *model, const ln_parts *p, const ln_order *table_order, const ln_order *o, ln_layer *g)
{
    g->units = o->units;
    g->row = 3 * o->units;
    g->table = pack_table(model, p->table, p->rows, table_order);
    g->table_scale = pack_scale(model, p->scale, 3 * o->hidden, table_order, 0);
    g->recur_scale = pack_scale(model, p->recur->scale, 3 * o->hidden, o, 1);
    float *bias = room(model, sizeof *bias * (size_t)o->units);
    g->bias = bias;
    for (int j = 0; bias && j < o->hidden; j++) bias[j] = p->bias[j] * LN_GAIN_R_TIMES;
    return g->table && g->table_scale && g->recur_scale && g->bias && pack_matrix(model, p->recur, o, &g->recur);
}

/* Heap index in the whole tree of lane i in subtree t. */
static int node_of(int t, int i)
{
    int depth = 0;
    while (i >> (depth + 1)) depth++;
    return t ? ((15 + t) << depth) + i - (1 << depth) : i;
}

/* Both halves of every node as one dense matrix of 2 LN_LANES outputs. */
static int pack_subtree(ln_model *model, const ln_net *net, int t, ln_subtree *y)
{
    const int b = net->hidden_b, columns = b / 4;
    int8_t blocks[2 * LN_LANES * LN_MAX_B] = {0};
    uint8_t column[2 * LN_LANES / 8 * LN_MAX_B / 4];
    uint16_t count[2 * LN_LANES / 8];
    for (int i = 0; i < 2 * LN_LANES; i++) {
        const int half = i / LN_LANES, from = half * LN_LEVELS + node_of(t, i % LN_LANES);
        if (i % LN_LANES == 0) continue;
        y->scale[half][i % LN_LANES] = net->tree_scale[from] * LN_GAIN_N;
        y->bias[half][i % LN_LANES] = net->tree_bias[from] * LN_GAIN_N;
        y->gain[half][i % LN_LANES] = net->tree_gain[from] * (1.f / 32768.f);
        for (int k = 0; k < b; k++)
            blocks[((i / 8 * columns + k / 4) * 8 + i % 8) * 4 + k % 4] = net->tree[(size_t)from * (size_t)b + (size_t)k];
    }
    for (int i = 0; i < 2 * LN_LANES / 8; i++) {
        count[i] = (uint16_t)columns;
        for (int k = 0; k < columns; k++) column[i * columns + k] = (uint8_t)k;
    }
    const ln_blocks source = {2 * LN_LANES, b, blocks, column, count, NULL};
    return pack_matrix(model, &source, NULL, &y->product);
}

static int pack_all(ln_model *m, const ln_net *net)
{
    const int a = net->hidden_a, b = net->hidden_b;
    const ln_order order_a = {a, ROUND_UP(a, LN_LANES), {0, 1, 2}}, order_b = {b, ROUND_UP(b, LN_LANES), {0, 1, 2}};
    const ln_order table_a = {a, order_a.units, {2, 0, 1}};
    const ln_parts layer_a = {net->table, LN_SLOTS_A * LN_LEVELS_A, net->table_scale, net->bias_a, &net->recur_a};
    const ln_parts layer_b = {net->table_b, LN_SLOTS_B * LN_LEVELS, net->table_b_scale, net->bias_b, &net->recur_b};
    m->hidden_a = a;
    m->hidden_b = b;
    m->input_scale = pack_scale(m, net->input_b.scale, 6 * b, &order_b, 0);
    m->tree = room(m, LN_SUBTREES * sizeof *m->tree);
    if (!m->input_scale || !m->tree || !pack_matrix(m, &net->input_b, &order_b, &m->input_b)) return 0;
    if (!pack_layer(m, &layer_a, &table_a, &order_a, &m->a)) return 0;
    if (!pack_layer(m, &layer_b, &order_b, &order_b, &m->b)) return 0;
    for (int t = 0; t < LN_SUBTREES; t++)
        if (!pack_subtree(m, net, t, &m->tree[t])) return 0;
    return 1;
}

ln_model *ln_pack(const ln_net *net, const lf_source *frame, const ln_level *level)
{
    ln_model *m = ln_empty(level);
    if (m && pack_all(m, net) && lf_pack(frame, &m->memory, &m->frame)) return m;
    ln_free(m);
    return NULL;
}

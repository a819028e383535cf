/* SPDX-License-Identifier: BSD-2-Clause */
#include "lpcnet/matrix.h"
#include <stdlib.h>
#include <string.h>

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

static float gain(int gate, int recurrent)
{
    return gate < 2 ? LN_GAIN_RZ : recurrent ? LN_GAIN_R_TIMES : LN_GAIN_N;
}

static const float *pack_scale(ln_model *model, const float *scale, int n, const ln_order *o, int recurrent)
{
    float *y = room(model, sizeof *y * 3 * (size_t)o->units * (size_t)(n / (3 * o->hidden)));
    for (int i = 0; y && i < n; i++)
        y[ln_lane(o, i)] = scale[i] * gain(o->gates[i % (3 * o->hidden) / o->hidden], recurrent);
    return y;
}

static const int8_t *pack_table(ln_model *model, const int8_t *table, int rows, const ln_order *o)
{
    int8_t *y = room(model, 3 * (size_t)o->units * (size_t)rows);
    for (int r = 0; y && r < rows; r++)
        for (int i = 0; i < 3 * o->hidden; i++)
            y[(size_t)r * 3 * (size_t)o->units + (size_t)ln_lane(o, i)] = table[(size_t)r * 3 * (size_t)o->hidden + (size_t)i];
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
    return g->table && g->table_scale && g->recur_scale && g->bias && ln_pack_matrix(model, p->recur, o, &g->recur);
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
    return ln_pack_matrix(model, &source, NULL, &y->product);
}

static int pack_all(ln_model *m, const ln_net *net)
{
    const int a = net->hidden_a, b = net->hidden_b;
    const ln_order order_a = {a, LN_ROUND_UP(a, LN_LANES), {0, 1, 2}}, order_b = {b, LN_ROUND_UP(b, LN_LANES), {0, 1, 2}};
    const ln_order table_a = {a, order_a.units, {2, 0, 1}};
    const ln_parts layer_a = {net->table, LN_SLOTS_A * LN_LEVELS_A, net->table_scale, net->bias_a, &net->recur_a};
    const ln_parts layer_b = {net->table_b, LN_SLOTS_B * LN_LEVELS, net->table_b_scale, net->bias_b, &net->recur_b};
    m->hidden_a = a;
    m->hidden_b = b;
    m->input_scale = pack_scale(m, net->input_b.scale, 6 * b, &order_b, 0);
    m->tree = room(m, LN_SUBTREES * sizeof *m->tree);
    if (!m->input_scale || !m->tree || !ln_pack_matrix(m, &net->input_b, &order_b, &m->input_b)) return 0;
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

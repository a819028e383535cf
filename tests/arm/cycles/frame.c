/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs a vocoder from a file, as dredge_kernels.lpcnet does: frame LEVEL WEIGHTS FEATURES FRAMES
 *
 * WEIGHTS: the arrays in the order of `load`, each with its size in bytes before it (int32). FEATURES: float32 rows of
 * 20. FRAMES: how many are measured; as many are run before, to fill caches and branch predictors. Prints a checksum
 * of the speech. Marks for plugin.c around the measured frames. */
#define _DEFAULT_SOURCE
#include "features/cepstrum.h"
#include "lpcnet/lpcnet.h"
#include "lpcnet/pack.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef VALGRIND
#include <valgrind/callgrind.h>
#define START CALLGRIND_TOGGLE_COLLECT
#define STOP CALLGRIND_TOGGLE_COLLECT
#else
#define START syscall(24301, 1L)
#define STOP syscall(24301, 2L)
#endif

static int32_t taken;            /* bytes of the last array */

static void *take(FILE *f)
{
    void *p;
    if (fread(&taken, sizeof taken, 1, f) != 1 || !(p = aligned_alloc(64, ((size_t)taken + 127) / 64 * 64)) ||
        fread(p, 1, (size_t)taken, f) != (size_t)taken) {
        fprintf(stderr, "weights: the file ends too early\n");
        exit(1);
    }
    return p;
}

static ln_blocks take_blocks(FILE *f, int outputs, int inputs)
{
    ln_blocks m = {outputs, inputs, NULL, NULL, NULL, NULL};
    m.blocks = take(f), m.column = take(f), m.count = take(f), m.scale = take(f);
    return m;
}

static lf_layer take_layer(FILE *f, int inputs)
{
    lf_layer l = {.inputs = inputs};
    l.weight = take(f), l.bias = take(f);
    l.outputs = taken / (int)sizeof *l.bias;
    return l;
}

static void load(FILE *f, ln_net *n, lf_source *s)
{
    n->bias_a = take(f), n->hidden_a = taken / 4;
    n->bias_b = take(f), n->hidden_b = taken / 4;
    n->table = take(f), n->table_scale = take(f), n->table_b = take(f), n->table_b_scale = take(f);
    n->recur_a = take_blocks(f, 3 * n->hidden_a, n->hidden_a);
    n->input_b = take_blocks(f, 6 * n->hidden_b, n->hidden_a);
    n->recur_b = take_blocks(f, 3 * n->hidden_b, n->hidden_b);
    n->tree = take(f), n->tree_scale = take(f), n->tree_bias = take(f), n->tree_gain = take(f);
    s->features = 20, s->pitch = take(f), s->embedding = taken / 2 / 257;
    s->conv1 = take_layer(f, 3 * (s->features + s->embedding));
    s->conv2 = take_layer(f, 3 * s->conv1.outputs);
    s->dense1 = take_layer(f, s->conv2.outputs);
    s->dense2 = take_layer(f, s->dense1.outputs);
    s->cond_a = take_layer(f, s->dense2.outputs);
    s->cond_b = take_layer(f, s->dense2.outputs);
}

static const ln_level *chosen(const char *name)
{
    const ln_level *level[8];
    const int n = ln_levels(level);
    for (int i = 0; i < n; i++)
        if (!strcmp(level[i]->name, name)) return level[i];
    fprintf(stderr, "level %s is not available here\n", name);
    exit(1);
}

/* Two frames at a time, as the receiver asks for them. */
static uint64_t speak(ln_model *m, ln_state *state, const float *row, int frames, uint64_t sum)
{
    static float cond[2][LF_MAX], scratch[6][2 * LF_MAX], cond_a[2][3 * LN_MAX_A + 64], cond_b[2][3 * LN_MAX_B + 64];
    float lpc[LN_ORDER];
    int16_t pcm[LN_HOP];
    for (int i = 0; i < frames; i++) {
        if (i % 2 == 0) lf_condition(&m->frame, m->level->dense, row + 20 * i, 2, cond[0], scratch[0]);
        const float *x = row + 20 * (i + 2);
        dr_lpc_from_cepstrum(x, lpc);
        if (i % 2 == 0) {
            const int both = i + 1 < frames ? 2 : 1;
            m->level->dense(&m->frame.cond_a, both, cond[0], LF_MAX, cond_a[0], 3 * LN_MAX_A + 64);
            m->level->dense(&m->frame.cond_b, both, cond[0], LF_MAX, cond_b[0], 3 * LN_MAX_B + 64);
        }
        const ln_frame f = {cond_a[i % 2], cond_b[i % 2], lpc, lf_period(x), 1.2f, 0};
        m->level->run(m, state, &f, pcm, LN_GENERATE);
        for (int k = 0; k < LN_HOP; k++) sum = sum * 31 + (uint16_t)pcm[k];
    }
    return sum;
}

int main(int argc, char **argv)
{
    ln_net net = {0};
    lf_source source = {0};
    ln_state state;
    if (argc != 5) return 2;
    const int frames = atoi(argv[4]);
    FILE *weights = fopen(argv[2], "rb"), *rows = fopen(argv[3], "rb");
    float *feature = calloc(20 * (2 * (size_t)frames + 4), sizeof *feature);
    if (!weights || !rows || fread(feature, 80, 2 * (size_t)frames + 4, rows) != 2 * (size_t)frames + 4) return 3;
    load(weights, &net, &source);
    ln_init();
    dr_cepstrum_init();
    ln_model *model = ln_pack(&net, &source, chosen(argv[1]));
    if (!model) return 4;
    ln_reset(&state, 1);
    uint64_t sum = speak(model, &state, feature, frames, 1);
    START;
    sum = speak(model, &state, feature + 20 * frames, frames, sum);
    STOP;
    printf("%016llx %ld\n", (unsigned long long)sum, (long)model->memory.bytes);
    ln_free(model);
    return 0;
}

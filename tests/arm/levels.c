/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs random vocoders at every level of instructions that this processor has and compares all bits with the
 * scalar level. Usage: levels [SEED [NETS]]. Prints one line for the frame network and one per level:
 *   frame HASH
 *   LEVEL products HASH samples HASH codes N      (N: different excitation codes that were drawn)
 * The hashes do not depend on the processor. Exit status: 0, or 1 after naming the first difference. */
#include "random_net.h"
#include "features/cepstrum.h"
#include "lpcnet/pack.h"
#include <stdio.h>
#include <string.h>

#define MAX_FRAMES 6
#define MAX_LEVELS 8
#define GUARD 8             /* sums behind the last one, which nobody may touch */
#define ROUNDS 12           /* random inputs per matrix */

static const rn_size sizes[] = {{32, 8, 100, 6}, {64, 8, 50, 6}, {96, 24, 50, 4}, {160, 16, 30, 4}, {512, 64, 4, 2}};
#define NB_SIZES ((int)(sizeof sizes / sizeof *sizes))
static const int modes[MAX_FRAMES] = {LN_FORCE, LN_GENERATE, LN_SKIP, LN_FORCE, LN_GENERATE, LN_GENERATE};

typedef struct { float lpc[LN_ORDER], sharpness; int period; int16_t pcm[LN_HOP]; } still;   /* of one frame */

typedef struct { float features[MAX_FRAMES + 2 * LF_CONTEXT][RN_FEATURES]; still frame[MAX_FRAMES]; } input;

typedef struct {
    float cond_a[MAX_FRAMES][3 * LN_MAX_A], cond_b[MAX_FRAMES][3 * LN_MAX_B];
    int16_t pcm[MAX_FRAMES][LN_HOP];
    ln_state state[MAX_FRAMES];
} output;

typedef struct { uint64_t products, samples; uint8_t drawn[LN_LEVELS]; } tally;

static const ln_level *levels[MAX_LEVELS];
static int nb_levels;
static tally tallies[MAX_LEVELS];
static uint64_t frame_hash;
static int differences;

/* FNV-1a */
static void hash(uint64_t *h, const void *data, size_t n)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < n; i++) *h = (*h ^ p[i]) * 0x100000001B3ull;
}

static void compare(const char *level, const char *what, const void *got, const void *want, size_t n)
{
    const uint8_t *g = got, *w = want;
    size_t i = 0;
    while (i < n && g[i] == w[i]) i++;
    if (i < n && differences++ == 0) fprintf(stderr, "%s: %s differs from scalar at byte %zu\n", level, what, i);
}

/* --- sparse products ------------------------------------------------------------------------------ */

static void multiply(const char *what, const ln_blocks *b, const int8_t *x)
{
    _Alignas(64) static int32_t want[6 * LN_MAX_A + GUARD], got[6 * LN_MAX_A + GUARD];
    const size_t n = (size_t)b->outputs * sizeof *got;
    for (int l = 0; l < nb_levels; l++) {
        ln_model *room = ln_empty(levels[l]);
        const ln_matrix m = ln_pack_blocks(room, b);
        int32_t *y = l ? got : want;
        memset(y, 0x5A, sizeof got);
        levels[l]->product(&m, x, b->inputs, y);
        hash(&tallies[l].products, y, n);
        compare(levels[l]->name, what, y, want, n + GUARD * sizeof *y);
        for (int i = 0; i < GUARD; i++)
            if (y[b->outputs + i] != 0x5A5A5A5A && differences++ == 0)
                fprintf(stderr, "%s: %s writes behind its end\n", levels[l]->name, what);
        ln_free(room);
    }
}

static void check_products(uint64_t *seed, const char *what, const ln_blocks *m)
{
    int8_t room[LN_MAX_A + 1];
    for (int i = 0; i < ROUNDS; i++) {
        int8_t *x = room + i % 2;                       /* inputs need no alignment */
        rn_fill8(seed, x, (size_t)m->inputs);
        if (i < 2) memset(x, i ? -127 : 127, (size_t)m->inputs);
        multiply(what, m, x);
    }
}

/* The largest sum there is, known beforehand: 512 * 127 * LN_WEIGHT, of both signs. */
static void check_extremes(void)
{
    static int8_t blocks[LN_MAX_A / 4 * 32], x[LN_MAX_A];
    static uint8_t column[LN_MAX_A / 4];
    const uint16_t count = LN_MAX_A / 4;
    ln_model *room = ln_empty(levels[0]);
    for (int i = 0; i < count; i++) column[i] = (uint8_t)i;
    for (int sign = -1; sign <= 1; sign += 2) {
        memset(blocks, LN_WEIGHT, sizeof blocks);
        memset(x, 127 * sign, sizeof x);
        const ln_blocks b = {8, LN_MAX_A, blocks, column, &count, NULL};
        multiply("extreme product", &b, x);
        int32_t y[8];
        const ln_matrix m = ln_pack_blocks(room, &b);
        levels[0]->product(&m, x, LN_MAX_A, y);
        for (int i = 0; i < 8; i++)
            if (y[i] != sign * LN_MAX_A * 127 * LN_WEIGHT && differences++ == 0)
                fprintf(stderr, "scalar: extreme product is %d\n", (int)y[i]);
    }
    ln_free(room);
}

/* --- activations ---------------------------------------------------------------------------------- */

static void check_tanh(void)
{
    for (int first = -32768; first < 32768; first += 16) {
        int16_t x[16], want[16], got[16];
        for (int i = 0; i < 16; i++) x[i] = (int16_t)(first + i);
        levels[0]->tanh(x, want);
        for (int l = 1; l < nb_levels; l++) {
            levels[l]->tanh(x, got);
            compare(levels[l]->name, "tanh", got, want, sizeof got);
        }
    }
}

/* --- whole frames --------------------------------------------------------------------------------- */

static void make_inputs(uint64_t *seed, const rn_size *z, input *in)
{
    memset(in, 0, sizeof *in);
    for (int i = 0; i < z->frames + 2 * LF_CONTEXT; i++) rn_features(seed, in->features[i]);
    for (int i = 0; i < z->frames; i++) {
        const float *f = in->features[i + LF_CONTEXT];
        still *y = &in->frame[i];
        dr_lpc_from_cepstrum(f, y->lpc);
        if (i % 3 == 2) for (int k = 0; k < LN_ORDER; k++) y->lpc[k] = rn_real(seed, -1.5f, 1.5f);   /* unstable */
        y->period = i < 2 ? 32 + 224 * i : lf_period(f);
        y->sharpness = rn_real(seed, 1.f, 3.f);
        for (int t = 0; t < LN_HOP; t++) y->pcm[t] = (int16_t)(rn_int(seed, -32768, 32767) >> (i + t / 32));
        if (i == 0) { y->pcm[5] = -32768; y->pcm[6] = 32767; }
    }
    hash(&frame_hash, in, sizeof *in);
}

/* What the frame-rate network makes of the features. */
static void condition(const ln_model *model, const rn_size *z, const input *in, int l, output *out)
{
    static float cond[MAX_FRAMES][LF_MAX], scratch[(MAX_FRAMES + 4) * 2 * LF_MAX];
    lf_condition(&model->frame, levels[l]->dense, in->features[0], z->frames, cond[0], scratch);
    for (int i = 0, both; i < z->frames; i += both) {    /* alone, and two together */
        both = i && i + 1 < z->frames ? 2 : 1;
        levels[l]->dense(&model->frame.cond_a, both, cond[i], LF_MAX, out->cond_a[i], 3 * LN_MAX_A);
        levels[l]->dense(&model->frame.cond_b, both, cond[i], LF_MAX, out->cond_b[i], 3 * LN_MAX_B);
    }
}

static void run_frames(const ln_model *model, const rn_size *z, const input *in, uint64_t seed, int l, output *out)
{
    static ln_state state;
    memset(out, 0, sizeof *out);
    condition(model, z, in, l, out);
    ln_reset(&state, seed);
    for (int i = 0; i < z->frames; i++) {
        const still *f = &in->frame[i];
        const ln_frame frame = {out->cond_a[i], out->cond_b[i], f->lpc, f->period, f->sharpness, 2 * 37 * (i == 3)};
        if (modes[i] != LN_GENERATE) memcpy(out->pcm[i], f->pcm, sizeof f->pcm);
        levels[l]->run(model, &state, &frame, out->pcm[i], modes[i]);
        out->state[i] = state;
        for (int t = 0; modes[i] == LN_GENERATE && t < LN_HOP; t++)
            tallies[l].drawn[state.excitation[LN_HISTORY - LN_HOP + t]] = 1;
    }
    hash(&tallies[l].samples, out, sizeof *out);
}

static void check_net(uint64_t *seed, const rn_size *z)
{
    static input in;
    static output want, got;
    const ln_net net = rn_net(seed, z);
    const lf_source frame_net = rn_frame_net(seed, z);
    check_products(seed, "recur_a", &net.recur_a);
    check_products(seed, "input_b", &net.input_b);
    check_products(seed, "recur_b", &net.recur_b);
    make_inputs(seed, z, &in);
    for (int l = 0; l < nb_levels; l++) {
        output *out = l ? &got : &want;
        ln_model *model = ln_pack(&net, &frame_net, levels[l]);
        if (!model) abort();
        run_frames(model, z, &in, 1 + (uint64_t)z->hidden_a, l, out);
        ln_free(model);
        compare(levels[l]->name, "conditioning", out->cond_a, want.cond_a, sizeof want.cond_a + sizeof want.cond_b);
        compare(levels[l]->name, "pcm", out->pcm, want.pcm, sizeof want.pcm);
        compare(levels[l]->name, "state", out->state, want.state, sizeof want.state);
    }
    rn_free();
}

int main(int argc, char **argv)
{
    uint64_t seed = 0x9E3779B97F4A7C15ull * (uint64_t)(argc > 1 ? atoi(argv[1]) : 1);
    const int nets = argc > 2 ? atoi(argv[2]) : NB_SIZES;
    if (!seed) seed = 1;
    ln_init();
    dr_cepstrum_init();
    nb_levels = ln_levels(levels);
    check_extremes();
    check_tanh();
    for (int i = 0; i < NB_SIZES && i < nets; i++) check_net(&seed, &sizes[i]);
    printf("frame %016llx\n", (unsigned long long)frame_hash);
    for (int l = 0; l < nb_levels; l++) {
        int codes = 0;
        for (int u = 0; u < LN_LEVELS; u++) codes += tallies[l].drawn[u];
        printf("%s products %016llx samples %016llx codes %d\n", levels[l]->name,
               (unsigned long long)tallies[l].products, (unsigned long long)tallies[l].samples, codes);
    }
    return differences != 0;
}

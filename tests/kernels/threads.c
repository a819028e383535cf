/* SPDX-License-Identifier: BSD-2-Clause */
/* Many threads, one model: every thread initialises the tables, waits for the others, and then runs voices, an
 * extractor and a postfilter of its own on weights that all of them share. Every thread must get the same bits.
 * Usage: threads [THREADS [FRAMES]]. Prints "same HASH" or "different"; the exit status is 0 or 1. Meant for
 * -fsanitize=thread, which makes it fail on any unsynchronised access. */
#include "../arm/random_net.h"
#include "features/analysis.h"
#include "lpcnet/pack.h"
#include "vocoders/postfilter.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#ifdef BROKEN
#include <sched.h>
#include <stdatomic.h>
#endif

#define MOST_THREADS 64
#define MOST_FRAMES 64

typedef struct { float features[MOST_FRAMES + 2 * LF_CONTEXT][RN_FEATURES]; int16_t pcm[MOST_FRAMES][LN_HOP]; } input;

static const ln_level *levels[8];
static ln_model *models[8];
static int nb_levels, frames = 8, threads = 8;
static input in;
static pthread_barrier_t begun, ready, packed;   /* one each: a second use would order what came before it */
static uint64_t results[MOST_THREADS];

static uint64_t mixed(uint64_t h, const void *data, size_t n)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 0x100000001B3ull;
    return h;
}

/* One voice of a model that others are using. */
static uint64_t speak(const ln_model *model, uint64_t h)
{
    static _Thread_local float cond[MOST_FRAMES][LF_MAX], scratch[(MOST_FRAMES + 4) * 2 * LF_MAX];
    static _Thread_local float cond_a[3 * LN_MAX_A], cond_b[3 * LN_MAX_B];
    const ln_level *level = model->level;
    float lpc[LN_ORDER];
    int16_t pcm[LN_HOP];
    ln_state state;
    ln_reset(&state, 7);
    lf_condition(&model->frame, level->dense, in.features[0], frames, cond[0], scratch);
    for (int i = 0; i < frames; i++) {
        dr_lpc_from_cepstrum(in.features[i + LF_CONTEXT], lpc);
        level->dense(&model->frame.cond_a, 1, cond[i], 0, cond_a, 0);
        level->dense(&model->frame.cond_b, 1, cond[i], 0, cond_b, 0);
        const ln_frame frame = {cond_a, cond_b, lpc, lf_period(in.features[i + LF_CONTEXT]), 1.5f, 0};
        memcpy(pcm, in.pcm[i], sizeof pcm);
        level->run(model, &state, &frame, pcm, i < 2 ? LN_FORCE : LN_GENERATE);
        h = mixed(h, pcm, sizeof pcm);
    }
    return h;
}

static uint64_t listen(uint64_t h)
{
    dr_features extractor;
    pf_state filter;
    float row[DR_FEATURES];
    int16_t out[DR_HOP];
    dr_features_reset(&extractor);
    pf_reset(&filter, 0);
    for (int i = 0; i < frames; i++) {
        dr_features_push(&extractor, in.pcm[i], row);
        pf_push(&filter, in.pcm[i], row, out);
        h = mixed(mixed(h, row, sizeof row), out, sizeof out);
    }
    return h;
}

static void tables(void)
{
    ln_init();
    dr_features_init();
    pf_init();
}

#ifdef BROKEN
/* For the test of this test: something that threads must not share. They do it in step, though nothing orders what
   they do (relaxed operations do not synchronise): of what a thread did long ago ThreadSanitizer has no record. */
static uint64_t share(uint64_t h)
{
    static int16_t shared_room[LN_HOP];
    static atomic_int arrived;
    for (int turn = 1; turn <= 50; turn++) {
        memcpy(shared_room, in.pcm[0], sizeof shared_room);
        h = mixed(h, shared_room, sizeof shared_room);
        atomic_fetch_add_explicit(&arrived, 1, memory_order_relaxed);
        while (atomic_load_explicit(&arrived, memory_order_relaxed) < turn * threads) sched_yield();
    }
    return h;
}
#endif

static void *work(void *result)
{
    uint64_t h = 0xCBF29CE484222325ull;
    pthread_barrier_wait(&begun);
    tables();
    pthread_barrier_wait(&ready);   /* the main thread packs the weights */
    pthread_barrier_wait(&packed);
#ifdef BROKEN
    h = share(h);
#endif
    for (int l = 0; l < nb_levels; l++) h = speak(models[l], h);
    *(uint64_t *)result = listen(h);
    return NULL;
}

static void make_inputs(uint64_t *seed)
{
    for (int i = 0; i < frames + 2 * LF_CONTEXT; i++) rn_features(seed, in.features[i]);
    for (int i = 0; i < frames; i++)
        for (int t = 0; t < LN_HOP; t++) in.pcm[i][t] = (int16_t)(rn_int(seed, -32768, 32767) >> 3);
}

int main(int argc, char **argv)
{
    const rn_size size = {96, 24, 50, 0};
    pthread_t thread[MOST_THREADS];
    uint64_t seed = 3;
    if (argc > 1) threads = atoi(argv[1]);
    if (argc > 2) frames = atoi(argv[2]);
    if (threads < 1 || threads > MOST_THREADS || frames < 3 || frames > MOST_FRAMES) return 2;
    const ln_net net = rn_net(&seed, &size);
    const lf_source frame_net = rn_frame_net(&seed, &size);
    make_inputs(&seed);
    nb_levels = ln_levels(levels);
    pthread_barrier_t *all[] = {&begun, &ready, &packed};
    for (int i = 0; i < 3; i++) pthread_barrier_init(all[i], NULL, (unsigned)threads + 1);
    for (int i = 0; i < threads; i++)
        if (pthread_create(&thread[i], NULL, work, &results[i])) return 2;
    pthread_barrier_wait(&begun);
    tables();
    pthread_barrier_wait(&ready);
    for (int l = 0; l < nb_levels; l++)
        if (!(models[l] = ln_pack(&net, &frame_net, levels[l]))) return 2;
    pthread_barrier_wait(&packed);
    for (int i = 0; i < threads; i++) pthread_join(thread[i], NULL);
    int same = 1;
    for (int i = 1; i < threads; i++) same &= results[i] == results[0];
    for (int l = 0; l < nb_levels; l++) ln_free(models[l]);
    rn_free();
    if (same) printf("same %016llx\n", (unsigned long long)results[0]);
    else printf("different\n");
    return !same;
}

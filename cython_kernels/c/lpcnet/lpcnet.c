/* SPDX-License-Identifier: BSD-2-Clause */
#include "lpcnet/lpcnet.h"
#include "common/cpu.h"
#include "common/detmath.h"
#include "common/once.h"
#include <string.h>

#define SEGMENTS_PER_OCTAVE 64   /* fine enough for one mu-law boundary per segment at most */
#define TRIM .02f                /* probability cut from both ends of every binary decision */

float ln_expand[LN_LEVELS];
float ln_threshold[LN_LEVELS];
static float boundary[130];                       /* 1 + 255 |x| / 32768 where level k begins */
static uint8_t first_level[8 * SEGMENTS_PER_OCTAVE];
static once ready;

void ln_init(void)
{
    if (!once_begin(&ready)) return;
    for (int u = 0; u < LN_LEVELS; u++) {
        int k = u < 128 ? 128 - u : u - 128;
        float a = (32768.f / 255.f) * (dm_exp2((float)k / 16.f) - 1.f);
        ln_expand[u] = u < 128 ? -a : a;
        float p = TRIM + (1.f - 2.f * TRIM) * ((float)u + .5f) / 256.f;
        ln_threshold[u] = dm_ln(p / (1.f - p));
    }
    for (int k = 0; k < 130; k++) boundary[k] = dm_exp2(((float)k - .5f) / 16.f);
    for (int s = 0, k = 0; s < 8 * SEGMENTS_PER_OCTAVE; s++) {
        float start = dm_from_bits((uint32_t)(127 * SEGMENTS_PER_OCTAVE + s) << 17);
        while (k < 128 && boundary[k + 1] <= start) k++;
        first_level[s] = (uint8_t)k;
    }
    once_done(&ready);
}

uint8_t ln_to_ulaw(float x)
{
    float a = x < 0.f ? -x : x;
    float y = 1.f + a * (255.f / 32768.f);
    if (!(y < 255.99f)) y = 255.99f;   /* NaN as well: the index below must stay inside the table */
    int k = first_level[(dm_to_bits(y) >> 17) - 127 * SEGMENTS_PER_OCTAVE];
    if (y >= boundary[k + 1]) k++;
    if (x < 0.f) return (uint8_t)(128 - k);
    return (uint8_t)(k > 127 ? 255 : 128 + k);
}

float ln_from_ulaw(uint8_t u) { return ln_expand[u]; }

void ln_reset(ln_state *state, uint64_t seed)
{
    memset(state, 0, sizeof *state);
    memset(state->excitation, 128, sizeof state->excitation);
    state->random = seed;
}

extern const ln_level ln_level_scalar;
#if defined(__x86_64__)
extern const ln_level ln_level_avx2, ln_level_vnni;
#endif
#if defined(__aarch64__)
extern const ln_level ln_level_neon, ln_level_dotprod;
#endif

int ln_levels(const ln_level **levels)
{
    int n = 0;
    levels[n++] = &ln_level_scalar;
#if defined(__x86_64__)
    if (cpu_has_avx2()) levels[n++] = &ln_level_avx2;
    if (cpu_has_avx512_vnni()) levels[n++] = &ln_level_vnni;
#endif
#if defined(__aarch64__)
    if (cpu_has_neon()) levels[n++] = &ln_level_neon;
    if (cpu_has_dotprod()) levels[n++] = &ln_level_dotprod;
#endif
    return n;
}

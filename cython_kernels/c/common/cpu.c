/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/cpu.h"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#define HWCAP_ASIMDDP_BIT (1ul << 20)
int cpu_has_neon(void) { return 1; }
int cpu_has_dotprod(void) { return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP_BIT) != 0; }
#else
int cpu_has_neon(void) { return 0; }
int cpu_has_dotprod(void) { return 0; }
#endif

#if defined(__x86_64__)
#include <cpuid.h>

/* __builtin_cpu_supports of gcc 10 has no name for F16C, so CPUID is read directly. */
static int has_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C) != 0;
}

int cpu_has_avx2(void) { return __builtin_cpu_supports("avx2") && has_f16c(); }

int cpu_has_avx512_vnni(void)
{
    return cpu_has_avx2() && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw");
}
#else
int cpu_has_avx2(void) { return 0; }
int cpu_has_avx512_vnni(void) { return 0; }
#endif

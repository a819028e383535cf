/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests for the instruction sets of this processor. */
#ifndef DREDGE_CPU_H
#define DREDGE_CPU_H

int cpu_has_avx2(void);           /* and F16C */
int cpu_has_avx512_vnni(void);
int cpu_has_neon(void);
int cpu_has_dotprod(void);

#endif

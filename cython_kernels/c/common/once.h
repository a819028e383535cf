/* SPDX-License-Identifier: BSD-2-Clause */
/* Lets the first thread that needs a table compute it, while the others wait. */
#ifndef DREDGE_ONCE_H
#define DREDGE_ONCE_H

typedef int once;                 /* 0 (static): not begun; 1: a thread computes the tables; 2: they are ready */

/* 1 for the one caller that shall compute the tables and then call once_done; 0 when they are ready. */
static inline int once_begin(once *o)
{
    int seen = 0;
    if (__atomic_compare_exchange_n(o, &seen, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)) return 1;
    while (__atomic_load_n(o, __ATOMIC_ACQUIRE) != 2) { }    /* microseconds, once per process */
    return 0;
}

static inline void once_done(once *o) { __atomic_store_n(o, 2, __ATOMIC_RELEASE); }

#endif

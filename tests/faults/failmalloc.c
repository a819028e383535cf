/* SPDX-License-Identifier: BSD-2-Clause */
/* Preloaded in front of the C library: refuses chosen allocations between arm and disarm, and counts
   blocks that are still held. Works for every allocator that ends in the C library's. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

static volatile int armed;
static volatile long seen, first, last, live;

/* The allocations with these numbers, counted from 0, fail. */
void fail_arm(long from, long count) { seen = 0; first = from; last = from + count; armed = 1; }

/* How many allocations there were. */
long fail_disarm(void) { armed = 0; return seen; }

long fail_live(void) { return live; }

static int refused(void)
{
    if (!armed) return 0;
    const long now = __sync_fetch_and_add(&seen, 1);
    if (now < first || now >= last) return 0;
    errno = ENOMEM;
    return 1;
}

static void *counted(void *block)
{
    if (block) __sync_fetch_and_add(&live, 1);
    return block;
}

void *malloc(size_t n) { return refused() ? NULL : counted(__libc_malloc(n)); }
void *calloc(size_t n, size_t m) { return refused() ? NULL : counted(__libc_calloc(n, m)); }
void *memalign(size_t a, size_t n) { return refused() ? NULL : counted(__libc_memalign(a, n)); }
void *aligned_alloc(size_t a, size_t n) { return memalign(a, n); }

int posix_memalign(void **out, size_t a, size_t n)
{
    void *block = memalign(a, n);
    if (!block) return ENOMEM;
    *out = block;
    return 0;
}

void *realloc(void *old, size_t n)
{
    if (!old) return malloc(n);
    return refused() ? NULL : __libc_realloc(old, n);
}

void free(void *block)
{
    if (block) __sync_fetch_and_sub(&live, 1);
    __libc_free(block);
}

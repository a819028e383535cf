/* SPDX-License-Identifier: BSD-2-Clause */
/* A memory arena: its blocks are freed together by one call. */
#ifndef DREDGE_ARENA_H
#define DREDGE_ARENA_H

#include <stddef.h>

#define ARENA_ALIGN 64

typedef struct { struct arena_room *rooms; size_t bytes; } arena;

/* Returns zeroed memory aligned to ARENA_ALIGN bytes, NULL if there is none. */
void *arena_take(arena *a, size_t bytes);
void arena_free(arena *a);

#endif

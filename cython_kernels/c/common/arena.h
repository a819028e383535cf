/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory that is given back all at once. */
#ifndef DREDGE_ARENA_H
#define DREDGE_ARENA_H

#include <stddef.h>

#define ARENA_ALIGN 64

typedef struct { struct arena_room *rooms; size_t bytes; } arena;

/* Zeroed, at a multiple of ARENA_ALIGN bytes; NULL if there is no memory. */
void *arena_take(arena *a, size_t bytes);
void arena_free(arena *a);

#endif

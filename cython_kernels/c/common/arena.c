/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/arena.h"
#include <stdlib.h>
#include <string.h>

struct arena_room { struct arena_room *next; };

void *arena_take(arena *a, size_t bytes)
{
    const size_t whole = ARENA_ALIGN + (bytes + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    struct arena_room *r = aligned_alloc(ARENA_ALIGN, whole);
    if (!r) return NULL;
    memset(r, 0, whole);
    r->next = a->rooms;
    a->rooms = r;
    a->bytes += bytes;
    return (char *)r + ARENA_ALIGN;
}

void arena_free(arena *a)
{
    while (a->rooms) {
        struct arena_room *r = a->rooms;
        a->rooms = r->next;
        free(r);
    }
}

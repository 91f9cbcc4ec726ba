/* Memory with one lifetime: allocate piece by piece, release everything at once. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/bytes.h"

#include <stddef.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks;
    size_t used;     /* of the newest chunk */
    size_t capacity; /* of the newest chunk */
    size_t bytes;    /* given out since the last reset */
};

void arena_init(struct arena *arena);
/* Release everything given out; all pointers into the arena end here. */
void arena_release(struct arena *arena);
/* As release, but keep one chunk for the next round. */
void arena_reset(struct arena *arena);
/* Uninitialised memory, aligned for any type. Exhaustion ends the process. */
void *arena_alloc(struct arena *arena, size_t bytes) __attribute__((returns_nonnull));
void *arena_calloc(struct arena *arena, size_t count, size_t bytes)
    __attribute__((returns_nonnull));
struct bytes arena_copy(struct arena *arena, struct bytes bytes);
/* A NUL-terminated copy. */
char *arena_text(struct arena *arena, struct bytes bytes) __attribute__((returns_nonnull));

#endif

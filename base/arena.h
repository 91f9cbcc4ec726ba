/* Memory with one lifetime: allocate piece by piece, release everything at once. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/bytes.h"

#include <stddef.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks;
    uint8_t *space;  /* of the newest chunk, or lent */
    size_t used;     /* of it */
    size_t capacity; /* of it */
    size_t bytes;    /* given out since the last reset */
};

void arena_init(struct arena *arena);
/* The same, with `bytes` at `space`, aligned for any type, to be given out first. They stay the
 * caller's, and outlive the arena; its first release or reset gives them up. */
void arena_init_in(struct arena *arena, void *space, size_t bytes);
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

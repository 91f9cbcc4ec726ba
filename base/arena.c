#include "base/arena.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES_MIN = 4000 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t capacity;
    alignas(max_align_t) uint8_t data[];
};

void arena_init(struct arena *arena)
{
    *arena = (struct arena){.chunks = NULL};
}

void arena_init_in(struct arena *arena, void *space, size_t bytes)
{
    *arena = (struct arena){.space = space, .capacity = bytes};
}

static void release_chunks(struct arena_chunk *chunk)
{
    while (chunk != NULL) {
        struct arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void arena_release(struct arena *arena)
{
    release_chunks(arena->chunks);
    arena_init(arena);
}

void arena_reset(struct arena *arena)
{
    struct arena_chunk *kept = arena->chunks;

    if (kept != NULL) {
        release_chunks(kept->next);
        kept->next = NULL;
        if (kept->capacity > CHUNK_BYTES_MIN) {
            free(kept);
            kept = NULL;
        }
    }
    arena_init(arena);
    if (kept != NULL) {
        arena->chunks = kept;
        arena->space = kept->data;
        arena->capacity = kept->capacity;
    }
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    size_t rounded;
    void *memory;

    CHECK_OP(bytes, <=, SIZE_MAX / 4);
    bytes = bytes == 0 ? 1 : bytes; /* nothing has an address too, even in a fresh arena */
    rounded = (bytes + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
    if (arena->capacity - arena->used < rounded) {
        size_t capacity = rounded > CHUNK_BYTES_MIN ? rounded : CHUNK_BYTES_MIN;
        struct arena_chunk *chunk = xmalloc(sizeof *chunk + capacity);

        chunk->next = arena->chunks;
        chunk->capacity = capacity;
        arena->chunks = chunk;
        arena->space = chunk->data;
        arena->capacity = capacity;
        arena->used = 0;
    }
    memory = arena->space + arena->used;
    arena->used += rounded;
    arena->bytes += rounded;
    return memory;
}

void *arena_calloc(struct arena *arena, size_t count, size_t bytes)
{
    void *memory;

    CHECK(bytes == 0 || count <= SIZE_MAX / 4 / bytes);
    memory = arena_alloc(arena, count * bytes);
    memset(memory, 0, count * bytes);
    return memory;
}

struct bytes arena_copy(struct arena *arena, struct bytes bytes)
{
    uint8_t *data = arena_alloc(arena, bytes.size);

    if (bytes.size > 0) {
        memcpy(data, bytes.data, bytes.size);
    }
    return bytes_of(data, bytes.size);
}

char *arena_text(struct arena *arena, struct bytes bytes)
{
    char *text = arena_alloc(arena, bytes.size + 1);

    if (bytes.size > 0) {
        memcpy(text, bytes.data, bytes.size);
    }
    text[bytes.size] = '\0';
    return text;
}

/* Memory of the library: exhaustion is an answer here, never the end of the process, since the
 * library is a guest. (base/alloc.h and what stands on it abort, so they are not used.) */
#ifndef CLIENT_MEMORY_H
#define CLIENT_MEMORY_H

#include "base/bytes.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

/* For tests: asked before each allocation; true refuses it. NULL in products. Set before threads
 * start. */
extern bool (*client_memory_refuse)(void);

/* NULL on exhaustion; zeroed; released with free(). */
void *client_alloc(size_t bytes);
/* The array grown to `count` elements; NULL on exhaustion, the old one is then still there. */
void *client_grow(void *memory, size_t count, size_t element_bytes);
char *client_copy_text(const char *text);

/* A byte string that grows at its end and is consumed at its start. */
struct client_buffer {
    uint8_t *data;
    size_t start; /* bytes before it are consumed */
    size_t size;  /* bytes from the start */
    size_t capacity;
};

void client_buffer_release(struct client_buffer *buffer);
/* Make room for `bytes` more at the end; their address, or NULL on exhaustion. */
uint8_t *client_buffer_reserve(struct client_buffer *buffer, size_t bytes);
/* `bytes` of the reserved room were filled. */
void client_buffer_filled(struct client_buffer *buffer, size_t bytes);
void client_buffer_consume(struct client_buffer *buffer, size_t bytes);
void client_buffer_clear(struct client_buffer *buffer);
struct bytes client_buffer_lend(const struct client_buffer *buffer);

/* Memory with one lifetime and a bound. */
struct client_arena_chunk;
struct client_arena {
    struct client_arena_chunk *chunks;
    size_t used; /* of the newest chunk */
    size_t capacity;
    size_t bytes; /* of all chunks */
    size_t bytes_max;
    bool exhausted; /* an allocation failed */
};

void client_arena_init(struct client_arena *arena, size_t bytes_max);
void client_arena_release(struct client_arena *arena);
/* Zeroed and aligned for any type; NULL on exhaustion or above the bound. */
void *client_arena_alloc(struct client_arena *arena, size_t bytes);
/* An allocator for protobuf-c that takes from the arena and frees nothing. Behind every block
 * stands a NUL, so that `bytes` fields can be used as texts. */
ProtobufCAllocator client_arena_allocator(struct client_arena *arena);

#endif

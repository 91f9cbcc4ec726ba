#include "client/client_memory.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER_BYTES_MIN = 4096, ARENA_CHUNK_BYTES_MIN = 1024, ARENA_CHUNK_BYTES_MAX = 1024 * 1024 };

struct client_arena_chunk {
    struct client_arena_chunk *next;
    alignas(max_align_t) uint8_t data[];
};

bool (*client_memory_refuse)(void);

static bool is_refused(void)
{
    return client_memory_refuse != NULL && client_memory_refuse();
}

void *client_alloc(size_t bytes)
{
    return is_refused() ? NULL : calloc(1, bytes == 0 ? 1 : bytes);
}

void *client_grow(void *memory, size_t count, size_t element_bytes)
{
    return is_refused() ? NULL : reallocarray(memory, count, element_bytes);
}

char *client_copy_text(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = client_alloc(bytes);

    if (copy != NULL) {
        memcpy(copy, text, bytes);
    }
    return copy;
}

void client_buffer_release(struct client_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct client_buffer){.data = NULL};
}

uint8_t *client_buffer_reserve(struct client_buffer *buffer, size_t bytes)
{
    size_t wanted;
    size_t capacity;
    uint8_t *data;

    if (buffer->data != NULL && buffer->capacity - buffer->start - buffer->size >= bytes) {
        return buffer->data + buffer->start + buffer->size;
    }
    if (buffer->data != NULL && buffer->start > 0) {
        memmove(buffer->data, buffer->data + buffer->start, buffer->size);
        buffer->start = 0;
    }
    if (bytes > SIZE_MAX / 4 || buffer->size > SIZE_MAX / 4) {
        return NULL;
    }
    wanted = buffer->size + bytes;
    if (buffer->data == NULL || buffer->capacity < wanted) {
        capacity = buffer->capacity < BUFFER_BYTES_MIN ? BUFFER_BYTES_MIN : buffer->capacity;
        while (capacity < wanted) {
            capacity *= 2;
        }
        data = client_grow(buffer->data, capacity, 1);
        if (data == NULL) {
            return NULL;
        }
        buffer->data = data;
        buffer->capacity = capacity;
    }
    return buffer->data + buffer->size;
}

void client_buffer_filled(struct client_buffer *buffer, size_t bytes)
{
    buffer->size += bytes;
}

void client_buffer_consume(struct client_buffer *buffer, size_t bytes)
{
    buffer->start += bytes;
    buffer->size -= bytes;
    if (buffer->size == 0) {
        buffer->start = 0;
    }
}

void client_buffer_clear(struct client_buffer *buffer)
{
    buffer->start = 0;
    buffer->size = 0;
}

struct bytes client_buffer_lend(const struct client_buffer *buffer)
{
    return buffer->size == 0 ? BYTES_EMPTY : bytes_of(buffer->data + buffer->start, buffer->size);
}

void client_arena_init(struct client_arena *arena, size_t bytes_max)
{
    *arena = (struct client_arena){.bytes_max = bytes_max};
}

void client_arena_release(struct client_arena *arena)
{
    while (arena->chunks != NULL) {
        struct client_arena_chunk *chunk = arena->chunks;

        arena->chunks = chunk->next;
        free(chunk);
    }
    client_arena_init(arena, arena->bytes_max);
}

/* Chunks double in size, so that a large answer takes few of them. */
static bool arena_add_chunk(struct client_arena *arena, size_t bytes)
{
    size_t capacity = arena->bytes < ARENA_CHUNK_BYTES_MIN   ? ARENA_CHUNK_BYTES_MIN
                      : arena->bytes > ARENA_CHUNK_BYTES_MAX ? ARENA_CHUNK_BYTES_MAX
                                                             : arena->bytes;
    struct client_arena_chunk *chunk;

    if (capacity < bytes) {
        capacity = bytes;
    }
    if (capacity > arena->bytes_max - arena->bytes) {
        return false;
    }
    chunk = client_alloc(sizeof *chunk + capacity);
    if (chunk == NULL) {
        return false;
    }
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    arena->used = 0;
    arena->capacity = capacity;
    arena->bytes += capacity;
    return true;
}

void *client_arena_alloc(struct client_arena *arena, size_t bytes)
{
    size_t rounded;
    void *memory;

    if (bytes > arena->bytes_max) {
        arena->exhausted = true;
        return NULL;
    }
    rounded = (bytes + alignof(max_align_t)) / alignof(max_align_t) * alignof(max_align_t);
    if (arena->capacity - arena->used < rounded && !arena_add_chunk(arena, rounded)) {
        arena->exhausted = true;
        return NULL;
    }
    memory = arena->chunks->data + arena->used;
    arena->used += rounded;
    return memory;
}

/* Rounding up from bytes + 1 leaves at least one zero byte behind the block. */
static void *allocator_alloc(void *arena, size_t bytes)
{
    return client_arena_alloc(arena, bytes);
}

static void allocator_free(void *arena, void *memory)
{
    (void)arena;
    (void)memory;
}

ProtobufCAllocator client_arena_allocator(struct client_arena *arena)
{
    return (ProtobufCAllocator){
        .alloc = allocator_alloc, .free = allocator_free, .allocator_data = arena};
}

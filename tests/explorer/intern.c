#include "tests/explorer/intern.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/checksum.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 1 << 20, FIRST_SLOTS = 1 << 10 };

struct intern_chunk {
    struct intern_chunk *next;
    size_t used;
    size_t size;
    uint64_t data[];
};

void intern_init(struct intern *intern)
{
    memset(intern, 0, sizeof *intern);
    intern->slot_count = FIRST_SLOTS;
    intern->slots = xcalloc(intern->slot_count, sizeof intern->slots[0]);
}

void intern_release(struct intern *intern)
{
    while (intern->chunks != NULL) {
        struct intern_chunk *next = intern->chunks->next;
        free(intern->chunks);
        intern->chunks = next;
    }
    free(intern->items);
    free(intern->hashes);
    free(intern->slots);
    memset(intern, 0, sizeof *intern);
}

static uint8_t *keep(struct intern *intern, struct bytes bytes)
{
    size_t size = (bytes.size + sizeof(uint64_t) - 1) / sizeof(uint64_t) * sizeof(uint64_t);
    struct intern_chunk *chunk = intern->chunks;
    if (chunk == NULL || chunk->size - chunk->used < size) {
        size_t room = size > CHUNK_BYTES ? size : CHUNK_BYTES;
        chunk = xmalloc(sizeof *chunk + room);
        *chunk = (struct intern_chunk){.next = intern->chunks, .used = 0, .size = room};
        intern->chunks = chunk;
        intern->bytes_used += sizeof *chunk + room;
    }
    uint8_t *to = (uint8_t *)chunk->data + chunk->used;
    memcpy(to, bytes.data, bytes.size);
    chunk->used += size;
    return to;
}

static void insert_slot(struct intern *intern, uint64_t hash, uint32_t number)
{
    size_t at = hash & (intern->slot_count - 1);
    while (intern->slots[at] != 0) {
        at = (at + 1) & (intern->slot_count - 1);
    }
    intern->slots[at] = number + 1;
}

static void grow(struct intern *intern)
{
    if (intern->count == intern->capacity) {
        intern->capacity = intern->capacity == 0 ? FIRST_SLOTS / 2 : intern->capacity * 2;
        intern->items = xrealloc(intern->items, intern->capacity * sizeof intern->items[0]);
        intern->hashes = xrealloc(intern->hashes, intern->capacity * sizeof intern->hashes[0]);
        intern->bytes_used += intern->capacity / 2 * (sizeof intern->items[0] + sizeof(uint64_t));
    }
    if ((size_t)intern->count * 2 < intern->slot_count) {
        return;
    }
    free(intern->slots);
    intern->bytes_used += intern->slot_count * sizeof intern->slots[0];
    intern->slot_count *= 2;
    intern->slots = xcalloc(intern->slot_count, sizeof intern->slots[0]);
    for (uint32_t i = 0; i < intern->count; i++) {
        insert_slot(intern, intern->hashes[i], i);
    }
}

uint32_t intern_add(struct intern *intern, struct bytes bytes)
{
    uint64_t hash = checksum(bytes);
    size_t at = hash & (intern->slot_count - 1);
    while (intern->slots[at] != 0) {
        uint32_t number = intern->slots[at] - 1;
        if (intern->hashes[number] == hash && bytes_equal(intern->items[number], bytes)) {
            return number;
        }
        at = (at + 1) & (intern->slot_count - 1);
    }
    grow(intern);
    CHECK_OP(intern->count, <, UINT32_MAX - 1);
    uint32_t number = intern->count++;
    intern->items[number] = bytes_of(keep(intern, bytes), bytes.size);
    intern->hashes[number] = hash;
    insert_slot(intern, hash, number);
    return number;
}

struct bytes intern_lend(const struct intern *intern, uint32_t number)
{
    CHECK_OP(number, <, intern->count);
    return intern->items[number];
}

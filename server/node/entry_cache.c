#include "server/node/entry_cache.h"

#include "base/alloc.h"
#include "base/block.h"
#include "base/check.h"

#include <stdlib.h>
#include <string.h>

enum { CAPACITY_MIN = 1024, PAYLOAD_OVERHEAD_BYTES = 32 };

struct payload *payload_new(size_t size)
{
    struct payload *payload;

    CHECK_OP(size, <=, UINT32_MAX);
    payload = block_new(sizeof *payload + size);
    payload->references = 1;
    payload->size = (uint32_t)size;
    return payload;
}

struct payload *payload_copy(struct bytes bytes)
{
    struct payload *payload = payload_new(bytes.size);

    if (bytes.size > 0) {
        memcpy(payload->data, bytes.data, bytes.size);
    }
    return payload;
}

struct payload *payload_ref(struct payload *payload)
{
    payload->references++;
    return payload;
}

void payload_unref(struct payload *payload)
{
    if (payload != NULL && --payload->references == 0) {
        block_free(payload, sizeof *payload + payload->size);
    }
}

struct bytes payload_lend(const struct payload *payload)
{
    return bytes_of(payload->data, payload->size);
}

void entry_cache_init(struct entry_cache *cache, raft_index next)
{
    *cache = (struct entry_cache){.capacity = CAPACITY_MIN, .first = next, .next = next};
    cache->slots = xcalloc(cache->capacity, sizeof(struct payload *));
}

void entry_cache_release(struct entry_cache *cache)
{
    entry_cache_reset(cache, 1);
    free(cache->slots);
    cache->slots = NULL;
}

static struct payload **slot_of(const struct entry_cache *cache, raft_index index)
{
    return &cache->slots[index & (cache->capacity - 1)];
}

static void drop(struct entry_cache *cache, raft_index index)
{
    struct payload **slot = slot_of(cache, index);

    cache->bytes -= (*slot)->size + PAYLOAD_OVERHEAD_BYTES;
    payload_unref(*slot);
    *slot = NULL;
}

static void drop_from(struct entry_cache *cache, raft_index index)
{
    while (cache->next > index && cache->next > cache->first) {
        cache->next--;
        drop(cache, cache->next);
    }
}

void entry_cache_reset(struct entry_cache *cache, raft_index next)
{
    drop_from(cache, cache->first);
    cache->first = next;
    cache->next = next;
}

static void grow(struct entry_cache *cache)
{
    struct entry_cache grown = *cache;

    grown.capacity = 2 * cache->capacity;
    grown.slots = xcalloc(grown.capacity, sizeof(struct payload *));
    for (raft_index index = cache->first; index < cache->next; index++) {
        *slot_of(&grown, index) = *slot_of(cache, index);
    }
    free(cache->slots);
    *cache = grown;
}

void entry_cache_put(struct entry_cache *cache, raft_index index, struct payload *payload)
{
    CHECK_OP(index, <=, cache->next);
    if (index < cache->first) {
        entry_cache_reset(cache, index);
    }
    drop_from(cache, index);
    if (cache->next - cache->first == cache->capacity) {
        grow(cache);
    }
    *slot_of(cache, index) = payload;
    cache->bytes += payload->size + PAYLOAD_OVERHEAD_BYTES;
    cache->next = index + 1;
}

struct payload *entry_cache_find(const struct entry_cache *cache, raft_index index)
{
    return index >= cache->first && index < cache->next ? *slot_of(cache, index) : NULL;
}

void entry_cache_evict(struct entry_cache *cache, raft_index keep_from, uint64_t bytes_max)
{
    enum { AHEAD = 4 };

    while (cache->first < cache->next && cache->first < keep_from && cache->bytes > bytes_max) {
        /* What is dropped was last used long ago: fetched while others are. */
        __builtin_prefetch(*slot_of(cache, cache->first + AHEAD), 1);
        drop(cache, cache->first);
        cache->first++;
    }
}

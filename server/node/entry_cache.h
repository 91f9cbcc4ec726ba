/* The payloads of the newest log entries, by index: what is not yet durable, not yet applied, or
 * still likely to be sent. Payloads are immutable and counted, so the log thread, the encoder of a
 * message and the state machine share one copy. */
#ifndef NODE_ENTRY_CACHE_H
#define NODE_ENTRY_CACHE_H

#include "base/bytes.h"
#include "raft/raft.h"

struct payload {
    uint32_t references;
    uint32_t size;
    uint8_t data[];
};

/* One reference for the caller; `size` bytes to be filled in before anybody else sees it. */
struct payload *payload_new(size_t size);
struct payload *payload_copy(struct bytes bytes);
struct payload *payload_ref(struct payload *payload);
void payload_unref(struct payload *payload); /* NULL is fine */
struct bytes payload_lend(const struct payload *payload);

struct entry_cache {
    struct payload **slots; /* by index modulo capacity, a power of two */
    size_t capacity;
    raft_index first; /* the cache holds first .. next - 1 */
    raft_index next;
    uint64_t bytes;
};

/* Empty; the next entry put is `next`. */
void entry_cache_init(struct entry_cache *cache, raft_index next);
void entry_cache_release(struct entry_cache *cache);
/* Drop everything; the next entry put is `next`. */
void entry_cache_reset(struct entry_cache *cache, raft_index next);

/* Put the payload of entry `index`, taking over the caller's reference. Entries at and after
 * `index` go first: index <= next. An index below `first` empties the cache. */
void entry_cache_put(struct entry_cache *cache, raft_index index, struct payload *payload);
/* Lent, or NULL when it is not here. */
struct payload *entry_cache_find(const struct entry_cache *cache, raft_index index);
/* Drop the oldest entries below `keep_from` while more than `bytes_max` are held. */
void entry_cache_evict(struct entry_cache *cache, raft_index keep_from, uint64_t bytes_max);

#endif

/* The block that everything in RAM is made of: one version of one record, key and value side by
 * side, immutable once it is shared, and counted.
 *
 * The links are the overlay's (overlay.h). Only the main thread touches links and counts; key,
 * value and `removed` may be read by the checkpoint thread while the record is in a sealed
 * generation. */
#ifndef STATE_RECORD_H
#define STATE_RECORD_H

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/list.h"
#include "base/map.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct record_links {
    struct record *left;
    struct record *right;
    struct record *parent;
};

enum record_remark {
    RECORD_ABSENT_BELOW = 1, /* current: neither source nor older generation knows the key */
    RECORD_REPLACED = 2,     /* sealed or retired: there is a newer version in RAM */
    RECORD_BEGINNING = 4     /* clean: the value is longer */
};

struct record {
    struct map_node index; /* its hash is also the priority in the ordered tree */
    uint64_t sum;          /* over key and value, since it is shared: memory may fail too */
    union {
        struct record_links tree; /* dirty: ordered by key */
        struct list recent;       /* clean: ordered by use */
    } links;
    uint32_t references;
    uint32_t value_bytes;
    uint32_t generation; /* in which it was written; 0 = clean */
    uint16_t key_bytes;
    bool removed;    /* a tombstone, without value */
    uint8_t remarks; /* record_remark */
    uint8_t data[];  /* key, value */
};

/* With one reference, the value uninitialised. */
struct record *record_new(struct bytes key, size_t value_bytes);
struct record *record_ref(struct record *record);
void record_unref(struct record *record); /* NULL is fine */

static inline struct bytes record_key_of(const struct record *record)
{
    return bytes_of(record->data, record->key_bytes);
}

static inline struct bytes record_value_of(const struct record *record)
{
    return bytes_of(record->data + record->key_bytes, record->value_bytes);
}

/* Where the owner of a record that is not shared yet writes its value. */
static inline uint8_t *record_value_space(struct record *record)
{
    return record->data + record->key_bytes;
}

static inline uint64_t record_sum_of(const struct record *record)
{
    return checksum_pair(record_key_of(record), record_value_of(record));
}

/* What the record costs in RAM: itself, the allocator's share, its place in the index. */
static inline uint64_t record_memory_bytes(const struct record *record)
{
    enum { ALLOCATOR_BYTES = 16, INDEX_BYTES = 14 };

    return sizeof *record + record->key_bytes + record->value_bytes + ALLOCATOR_BYTES + INDEX_BYTES;
}

#endif

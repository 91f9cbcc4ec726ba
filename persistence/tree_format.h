/* What a tree store's keys and values are. docs/DISK_FORMAT.md has the same as tables.
 *
 * One database with byte string keys. The key of one byte 0 is the meta record; record `key` is at
 * the byte 1 followed by `key`, so all records lie together, in their order. Every value is sealed
 * (seal.h) with LMDB's key. Integers are big endian. */
#ifndef PERSISTENCE_TREE_FORMAT_H
#define PERSISTENCE_TREE_FORMAT_H

#include "persistence/seal.h"
#include "persistence/tree_store.h"

enum {
    TREE_KEY_META = 0,
    TREE_KEY_RECORD = 1,
    TREE_KEY_BYTES_MAX = TREE_STORE_KEY_BYTES_MAX + 1,
    TREE_CONFIG_BYTES_MAX = 1024 * 1024
};

/* LMDB's key of a record. */
struct tree_key {
    size_t size;
    uint8_t data[TREE_KEY_BYTES_MAX];
};

/* `key` has at most TREE_STORE_KEY_BYTES_MAX bytes. */
void tree_format_key(struct bytes key, struct tree_key *ret_key);
struct bytes tree_format_meta_key(void);
/* The caller's key in LMDB's; false for the meta record's. */
bool tree_format_record_key(struct bytes stored_key, struct bytes *ret_key);

/* Append the value of the meta record, sealed. */
void tree_format_put_meta(const struct tree_meta *meta, struct buffer *buffer);
/* `config` lent from `stored`. CORRUPT; FORMAT, with the number found in *ret_format. */
MUST_CHECK enum status
tree_format_get_meta(struct bytes stored, struct tree_meta *ret_meta, uint32_t *ret_format);

#endif

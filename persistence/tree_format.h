/* What a tree store's keys and values are. docs/DISK_FORMAT.md has the same as tables.
 *
 * One database with byte string keys. The key of one byte 0 is the meta record; record `key` is at
 * the byte 1 followed by `key`, so all records lie together, in their order. Every value is sealed
 * (seal.h) with LMDB's key. A record's value that is long has a second seal, over its beginning, so
 * that who looks for a name or a number need not read it all. Integers are big endian. */
#ifndef PERSISTENCE_TREE_FORMAT_H
#define PERSISTENCE_TREE_FORMAT_H

#include "persistence/seal.h"
#include "persistence/tree_store.h"

enum {
    TREE_KEY_META = 0,
    TREE_KEY_RECORD = 1,
    TREE_KEY_BYTES_MAX = TREE_STORE_KEY_BYTES_MAX + 1,
    TREE_HEAD_BYTES = 4096, /* a longer value has the second seal */
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

/* What a record's value takes with its seals. */
size_t tree_format_record_bytes(size_t value_bytes);
/* Write the value and its seals to `stored`, which has room for as much. */
void tree_format_put_record(struct bytes stored_key, struct bytes value, uint8_t *stored);
/* The value, lent from `stored`; of one longer than `bytes_wanted` perhaps only a beginning that is
 * at least as long. What is given was compared with its seal; false: damaged. */
bool tree_format_get_record(struct bytes stored_key,
                            struct bytes stored,
                            size_t bytes_wanted,
                            struct bytes *ret_value);

/* Append the value of the meta record, sealed. */
void tree_format_put_meta(const struct tree_meta *meta, struct buffer *buffer);
/* `config` lent from `stored`. CORRUPT; FORMAT, with the number found in *ret_format. */
MUST_CHECK enum status
tree_format_get_meta(struct bytes stored, struct tree_meta *ret_meta, uint32_t *ret_format);

#endif

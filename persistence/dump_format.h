/* The bytes of a dump file. docs/DISK_FORMAT.md has the same as tables.
 *
 *     header   whose, and of what state
 *     records  in the order of their keys, numbered by their place
 *     trailer  how many there were, and a sum that ties all of them together
 *
 * Integers are big endian. A record's checksum covers its number, so none can be missing or doubled
 * unseen; the trailer's chain covers the header's and all records' checksums in order, so pieces of
 * two dumps cannot pass for one. */
#ifndef PERSISTENCE_DUMP_FORMAT_H
#define PERSISTENCE_DUMP_FORMAT_H

#include "persistence/tree_store.h"

enum {
    DUMP_FORMAT = 1,
    DUMP_HEADER_FIXED_BYTES = 72, /* before the configuration */
    DUMP_RECORD_HEAD_BYTES = 6,
    DUMP_CHECKSUM_BYTES = 8,
    DUMP_TRAILER_BYTES = 40,
    DUMP_VALUE_BYTES_MAX = 64 * 1024 * 1024
};

struct dump_header {
    uint8_t cluster_id[16];
    struct tree_meta meta;
};

struct dump_trailer {
    uint64_t record_count;
    uint64_t file_bytes; /* of the whole file */
    uint64_t chain;
};

/* Append the encoded header; returns the chain's start. */
uint64_t dump_format_put_header(const struct dump_header *header, struct buffer *buffer);
/* Size of header and checksum from its fixed part. CORRUPT: not a dump, or absurd. FORMAT. */
MUST_CHECK enum status dump_format_header_bytes(const uint8_t fixed[DUMP_HEADER_FIXED_BYTES],
                                                size_t *ret_bytes);
/* `bytes` as long as dump_format_header_bytes said. `config` lent. CORRUPT: checksum. */
MUST_CHECK enum status
dump_format_get_header(struct bytes bytes, struct dump_header *ret_header, uint64_t *ret_chain);

/* The head of a record and the two sizes in it. */
void dump_format_put_record_head(struct bytes key,
                                 struct bytes value,
                                 uint8_t head[DUMP_RECORD_HEAD_BYTES]);
void dump_format_get_record_head(const uint8_t head[DUMP_RECORD_HEAD_BYTES],
                                 size_t *ret_key_bytes,
                                 size_t *ret_value_bytes);
/* The checksum of record `number` (the first is 1). */
uint64_t dump_format_record_checksum(uint64_t number, struct bytes key, struct bytes value);
/* The chain with one more record. */
uint64_t dump_format_chain(uint64_t chain, uint64_t record_checksum);

void dump_format_put_trailer(const struct dump_trailer *trailer, uint8_t to[DUMP_TRAILER_BYTES]);
bool dump_format_get_trailer(const uint8_t from[DUMP_TRAILER_BYTES],
                             struct dump_trailer *ret_trailer);

#endif

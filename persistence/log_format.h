/* What a log store's keys and values are. docs/DISK_FORMAT.md has the same as tables.
 *
 * One database with 64-bit integer keys (MDB_INTEGERKEY, in the machine's byte order, as LMDB's own
 * pages are). The small keys are the five records; entry `index` takes the keys
 *
 *     index << LOG_KEY_PIECE_BITS | piece
 *
 * one for each started 512 KiB of its payload and at least one, so entries lie in order, pieces
 * behind each other, and appending is always at the end. Small entries that are appended together
 * share a value, a run: its key is that of the last of them, so the first key at or behind that of
 * an entry is the one it lies under. Integers in values are big endian. Every value is sealed
 * (seal.h) with its key as 8 bytes, big endian. */
#ifndef PERSISTENCE_LOG_FORMAT_H
#define PERSISTENCE_LOG_FORMAT_H

#include "persistence/log_store.h"
#include "persistence/seal.h"

enum {
    LOG_KEY_IDENTITY = 1,
    LOG_KEY_HARD_STATE = 2,
    LOG_KEY_BASE = 3,
    LOG_KEY_WITNESSES = 4,
    LOG_KEY_STAMP = 5,
    LOG_KEY_PIECE_BITS = 8,
    LOG_PIECES_MAX = 1 << LOG_KEY_PIECE_BITS,
    LOG_PIECE_BYTES = 512 * 1024,
    LOG_RUN_BYTES_MAX = 2016, /* two of these fill a page of LMDB; a larger one has its own */

    LOG_IDENTITY_BYTES_MIN = 69, /* all of it in formats 1 and 2 */
    LOG_IDENTITY_BYTES_MAX = LOG_IDENTITY_BYTES_MIN + 2 + 8 * LOG_STORE_STARTS_MAX,
    LOG_WITNESS_BYTES = 56,
    LOG_WITNESSES_BYTES_MAX = LOG_WITNESS_BYTES * LOG_STORE_WITNESSES_MAX,
    LOG_HARD_STATE_BYTES = 16,
    LOG_BASE_BYTES = 16,
    LOG_ENTRY_HEAD_BYTES = 13, /* before the payload, or before the stamp */
    LOG_STAMP_BYTES = 8,
    LOG_RUN_ENTRIES_MAX = LOG_RUN_BYTES_MAX / LOG_ENTRY_HEAD_BYTES,
    LOG_RECORD_BYTES_MAX = LOG_WITNESSES_BYTES_MAX + SEAL_BYTES
};

#define LOG_INDEX_MAX ((UINT64_C(1) << (64 - LOG_KEY_PIECE_BITS)) - 2)

static inline uint64_t log_key(raft_index index, uint32_t piece)
{
    return index << LOG_KEY_PIECE_BITS | piece;
}

/* Pieces of an entry with so many bytes of payload. */
uint32_t log_format_pieces(uint64_t payload_bytes);

void log_format_seal(uint64_t key, uint8_t *value, size_t size);
bool log_format_check(uint64_t key, struct bytes stored, struct bytes *ret_value);

/* Sealed values of the records; returns their size, at most LOG_RECORD_BYTES_MAX. */
size_t log_format_put_identity(const struct log_identity *identity, uint8_t *to);
size_t log_format_put_hard_state(const struct log_state *state, uint8_t *to);
size_t log_format_put_base(const struct log_state *state, uint8_t *to);
size_t log_format_put_witnesses(const struct log_witness *witnesses, size_t count, uint8_t *to);
/* CORRUPT; FORMAT, with the number found in *ret_format. */
MUST_CHECK enum status log_format_get_identity(struct bytes stored,
                                               struct log_identity *ret_identity,
                                               uint32_t *ret_format);
/* Fill term and vote, or base and base_term. */
MUST_CHECK enum status log_format_get_hard_state(struct bytes stored, struct log_state *state);
MUST_CHECK enum status log_format_get_base(struct bytes stored, struct log_state *state);
MUST_CHECK enum status log_format_get_witnesses(
    struct bytes stored, struct log_witness witnesses[LOG_STORE_WITNESSES_MAX], size_t *ret_count);

/* The stamp of the last commit whose meta page was waited for. */
size_t log_format_put_stamp(uint64_t stamp, uint8_t *to);
bool log_format_get_stamp_record(struct bytes stored, uint64_t *ret_stamp);

/* How many of the entries, from the first on, share a value: at least one. */
size_t log_format_run_length(const struct log_entry *entries, size_t count);
/* The value of `count` entries, sealed, and its size; of a single one all that its first piece
 * holds. With the stamp of its commit, if `stamp` is not NULL. */
size_t log_format_run_bytes(const struct log_entry *entries, size_t count, const uint64_t *stamp);
void log_format_put_run(const struct log_entry *entries,
                        size_t count,
                        const uint64_t *stamp,
                        uint8_t *to);
/* The value of a piece behind the first, sealed, and its size. */
size_t log_format_piece_bytes(const struct log_entry *entry, uint32_t piece);
void log_format_put_piece(const struct log_entry *entry, uint32_t piece, uint8_t *to);

struct log_run {
    raft_index first;
    raft_index last;
    size_t payload_bytes; /* of the first entry, with all its pieces */
    /* For log_format_next_entry. */
    raft_index next;
    struct bytes rest;
};
/* The run that is stored under the key of `last`, whose entries log_format_next_entry gives one
 * after the other. False: damaged. */
bool log_format_get_run(raft_index last, struct bytes stored, struct log_run *ret_run);
/* False: that was the last one. Of an entry in pieces its payload is the part in the first. */
bool log_format_next_entry(struct log_run *run, struct log_entry *ret_entry);
/* The stamp of what log_format_get_run takes. False: it has none, or is none. */
bool log_format_get_stamp(struct bytes stored, uint64_t *ret_stamp);

#endif

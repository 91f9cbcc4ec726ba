/* What a log store's keys and values are. docs/DISK_FORMAT.md has the same as tables.
 *
 * One database with 64-bit integer keys (MDB_INTEGERKEY, in the machine's byte order, as LMDB's own
 * pages are). The small keys are the five records; entry `index` takes the keys
 *
 *     index << LOG_KEY_PIECE_BITS | piece
 *
 * one for each started 512 KiB of its payload and at least one, so entries lie in order, pieces
 * behind each other, and appending is always at the end. Integers in values are big endian. Every
 * value is sealed (seal.h) with its key as 8 bytes, big endian. */
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

    LOG_IDENTITY_BYTES_MIN = 69, /* all of it in formats 1 and 2 */
    LOG_IDENTITY_BYTES_MAX = LOG_IDENTITY_BYTES_MIN + 2 + 8 * LOG_STORE_STARTS_MAX,
    LOG_WITNESS_BYTES = 56,
    LOG_WITNESSES_BYTES_MAX = LOG_WITNESS_BYTES * LOG_STORE_WITNESSES_MAX,
    LOG_HARD_STATE_BYTES = 16,
    LOG_BASE_BYTES = 16,
    LOG_ENTRY_HEAD_BYTES = 13, /* before the payload of piece 0, or before its stamp */
    LOG_STAMP_BYTES = 8,
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

/* The value of a piece, sealed, and its size. Piece 0 has the stamp of its commit, if `stamp` is
 * not NULL. */
size_t log_format_piece_bytes(const struct log_entry *entry, uint32_t piece, const uint64_t *stamp);
void log_format_put_piece(const struct log_entry *entry,
                          uint32_t piece,
                          const uint64_t *stamp,
                          uint8_t *to);
/* Read piece 0 of `index`: *ret_entry with the part of the payload in this piece, and the size of
 * the whole payload. False: damaged. */
bool log_format_get_first_piece(raft_index index,
                                struct bytes stored,
                                struct log_entry *ret_entry,
                                size_t *ret_payload_bytes);
/* The stamp of what log_format_get_first_piece takes. False: it has none, or is none. */
bool log_format_get_stamp(struct bytes stored, uint64_t *ret_stamp);

#endif

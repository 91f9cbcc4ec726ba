#include "persistence/log_store.h"

#include "base/mark.h"
#include "persistence/log_format.h"
#include "persistence/log_store_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { WHAT_BYTES_MAX = 96 };

/* --- Records --- */

enum status log_store_get_record(const struct log_store *store,
                                 MDB_txn *txn,
                                 uint64_t key,
                                 struct bytes *ret_record,
                                 struct error *error)
{
    MDB_val key_value = environment_value(&key, sizeof key);
    MDB_val value;
    int result = mdb_get(txn, store->environment.database, &key_value, &value);

    if (result != MDB_SUCCESS) {
        return environment_error(&store->environment, result, "reading a record of the log", error);
    }
    *ret_record = bytes_of(value.mv_data, value.mv_size);
    return STATUS_OK;
}

enum status log_store_record_damaged(const struct log_store *store,
                                     const char *what,
                                     bool missing,
                                     struct error *error)
{
    return error_set(error, STATUS_CORRUPT, "the %s in %s is %s: " DAMAGE_WAY_OUT, what,
                     store->environment.path, missing ? "missing" : "damaged");
}

enum status log_store_entry_damaged(const struct log_store *store,
                                    raft_index index,
                                    const char *how,
                                    struct error *error)
{
    return error_set(error, STATUS_CORRUPT, "log entry %" PRIu64 " in %s %s: " DAMAGE_WAY_OUT,
                     index, store->environment.path, how);
}

typedef enum status (*record_decoder)(struct bytes record, struct log_state *state);

static enum status load_record(const struct log_store *store,
                               MDB_txn *txn,
                               uint64_t key,
                               const char *what,
                               record_decoder decode,
                               struct log_state *state,
                               struct error *error)
{
    struct bytes record = BYTES_EMPTY;
    enum status status = log_store_get_record(store, txn, key, &record, error);

    if (status == STATUS_OK) {
        return decode(record, state) == STATUS_OK
                   ? STATUS_OK
                   : log_store_record_damaged(store, what, false, error);
    }
    return status == STATUS_NOT_FOUND ? log_store_record_damaged(store, what, true, error) : status;
}

/* The index of the entry at the cursor's place; 0 at a record. */
static enum status get_index(const struct log_store *store,
                             MDB_cursor *cursor,
                             MDB_cursor_op operation,
                             uint64_t from,
                             raft_index *ret_index,
                             struct error *error)
{
    MDB_val key = environment_value(&from, sizeof from);
    MDB_val value;
    uint64_t found;
    int result = mdb_cursor_get(cursor, &key, &value, operation);

    if (result == MDB_NOTFOUND) {
        *ret_index = 0;
        return STATUS_OK;
    }
    if (result == MDB_SUCCESS && key.mv_size != sizeof found) {
        result = MDB_CORRUPTED;
    }
    if (result != MDB_SUCCESS) {
        return environment_error(&store->environment, result, "looking for entries", error);
    }
    memcpy(&found, key.mv_data, sizeof found);
    *ret_index = found >> LOG_KEY_PIECE_BITS;
    return STATUS_OK;
}

enum status log_store_load_state(const struct log_store *store,
                                 MDB_txn *txn,
                                 struct log_state *state,
                                 struct error *error)
{
    enum status status = load_record(store, txn, LOG_KEY_HARD_STATE, "hard state",
                                     log_format_get_hard_state, state, error);
    MDB_cursor *cursor;
    raft_index first = 0;
    raft_index last = 0;
    int result;

    if (status == STATUS_OK) {
        status = load_record(store, txn, LOG_KEY_BASE, "base", log_format_get_base, state, error);
    }
    if (status != STATUS_OK) {
        return status;
    }
    result = mdb_cursor_open(txn, store->environment.database, &cursor);
    if (result != MDB_SUCCESS) {
        return environment_error(&store->environment, result, "looking for entries", error);
    }
    status = get_index(store, cursor, MDB_SET_RANGE, log_key(1, 0), &first, error);
    if (status == STATUS_OK) {
        status = get_index(store, cursor, MDB_LAST, 0, &last, error);
    }
    mdb_cursor_close(cursor);
    if (status == STATUS_OK && first != 0 && first != state->base + 1) {
        return log_store_entry_damaged(store, state->base + 1, "is missing", error);
    }
    state->last = last == 0 ? state->base : last;
    return status;
}

/* --- Entries --- */

struct reading {
    const struct log_store *store;
    MDB_cursor *cursor;
    MDB_cursor_op operation; /* to the next key */
    struct buffer joined;    /* an entry of several pieces */
    uint64_t bytes;          /* that were read */
};

/* The value of a piece, which must be the next key. */
static enum status next_piece(struct reading *reading,
                              raft_index index,
                              uint32_t piece,
                              struct bytes *ret_stored,
                              struct error *error)
{
    uint64_t wanted = log_key(index, piece);
    MDB_val key = environment_value(&wanted, sizeof wanted);
    MDB_val value;
    int result = mdb_cursor_get(reading->cursor, &key, &value, reading->operation);

    if (result != MDB_SUCCESS && result != MDB_NOTFOUND) {
        char what[WHAT_BYTES_MAX];

        (void)snprintf(what, sizeof what, "reading entry %" PRIu64, index);
        return environment_error(&reading->store->environment, result, what, error);
    }
    if (result == MDB_NOTFOUND || key.mv_size != sizeof wanted ||
        memcmp(key.mv_data, &wanted, sizeof wanted) != 0) {
        return log_store_entry_damaged(reading->store, index,
                                       piece == 0 ? "is missing" : "lacks a piece", error);
    }
    reading->operation = MDB_NEXT;
    *ret_stored = bytes_of(value.mv_data, value.mv_size);
    reading->bytes += value.mv_size;
    return STATUS_OK;
}

/* Put the pieces behind the first together. */
static enum status join_pieces(struct reading *reading,
                               struct log_entry *entry,
                               size_t payload_bytes,
                               struct error *error)
{
    uint32_t pieces = log_format_pieces(payload_bytes);

    buffer_clear(&reading->joined);
    buffer_put(&reading->joined, entry->payload);
    for (uint32_t piece = 1; piece < pieces; piece++) {
        struct bytes stored = BYTES_EMPTY;
        struct bytes part;
        size_t rest = payload_bytes - reading->joined.size;
        enum status status = next_piece(reading, entry->index, piece, &stored, error);

        if (status != STATUS_OK) {
            return status;
        }
        if (!log_format_check(log_key(entry->index, piece), stored, &part) ||
            part.size != (rest < LOG_PIECE_BYTES ? rest : LOG_PIECE_BYTES)) {
            return log_store_entry_damaged(reading->store, entry->index, "is damaged", error);
        }
        buffer_put(&reading->joined, part);
    }
    entry->payload = buffer_lend(&reading->joined);
    return STATUS_OK;
}

static enum status read_entry(struct reading *reading,
                              raft_index index,
                              struct log_entry *ret_entry,
                              struct error *error)
{
    struct bytes stored = BYTES_EMPTY;
    size_t payload_bytes;
    enum status status = next_piece(reading, index, 0, &stored, error);

    if (status != STATUS_OK) {
        return status;
    }
    if (!log_format_get_first_piece(index, stored, ret_entry, &payload_bytes)) {
        return log_store_entry_damaged(reading->store, index, "is damaged", error);
    }
    return payload_bytes > LOG_PIECE_BYTES ? join_pieces(reading, ret_entry, payload_bytes, error)
                                           : STATUS_OK;
}

static enum status read_range(struct reading *reading,
                              raft_index first,
                              raft_index last,
                              enum status (*visit)(void *context, const struct log_entry *entry),
                              void *context,
                              struct error *error)
{
    enum status status = STATUS_OK;

    for (raft_index index = first; status == STATUS_OK && index <= last; index++) {
        struct log_entry entry;

        status = read_entry(reading, index, &entry, error);
        if (status == STATUS_OK) {
            status = visit(context, &entry);
        }
    }
    return status;
}

enum status log_store_read(struct log_store *store,
                           raft_index first,
                           raft_index last,
                           enum status (*visit)(void *context, const struct log_entry *entry),
                           void *context,
                           struct error *error)
{
    struct reading reading = {.store = store, .operation = MDB_SET_RANGE, .joined = BUFFER_INIT};
    struct log_state state = {.base = 0};
    MDB_txn *txn;
    enum status status;
    int result;

    if (last < first) {
        return STATUS_OK;
    }
    status = environment_begin_read(&store->environment, &txn, error);
    if (status != STATUS_OK) {
        return status;
    }
    /* The snapshot's own end and base: what is missing between them is damage. */
    status = log_store_load_state(store, txn, &state, error);
    if (status == STATUS_OK && (first <= state.base || last > state.last)) {
        MARK(log_read_of_what_is_not_there);
        status = error_set(error, STATUS_NOT_FOUND,
                           "%s holds the entries %" PRIu64 " to %" PRIu64 ", not %" PRIu64
                           " to %" PRIu64,
                           store->environment.path, state.base + 1, state.last, first, last);
    }
    if (status == STATUS_OK) {
        result = mdb_cursor_open(txn, store->environment.database, &reading.cursor);
        if (result == MDB_SUCCESS) {
            status = read_range(&reading, first, last, visit, context, error);
            mdb_cursor_close(reading.cursor);
        } else {
            status = environment_error(&store->environment, result, "reading the log", error);
        }
    }
    mdb_txn_abort(txn);
    buffer_release(&reading.joined);
    environment_count_touched(&store->environment, reading.bytes);
    return status;
}

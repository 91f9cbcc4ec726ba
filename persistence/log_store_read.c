#include "persistence/log_store.h"

#include "base/mark.h"
#include "persistence/log_format.h"
#include "persistence/log_journal.h"
#include "persistence/log_store_internal.h"

#include <inttypes.h>
#include <string.h>

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

/* The key at the cursor's place, 0 if there is none, and its value. */
static enum status get_key(const struct log_store *store,
                           MDB_cursor *cursor,
                           MDB_cursor_op operation,
                           uint64_t *key,
                           struct bytes *ret_value,
                           struct error *error)
{
    MDB_val key_value = environment_value(key, sizeof *key);
    MDB_val value;
    int result = mdb_cursor_get(cursor, &key_value, &value, operation);

    if (result == MDB_NOTFOUND) {
        *key = 0;
        return STATUS_OK;
    }
    if (result == MDB_SUCCESS && key_value.mv_size != sizeof *key) {
        result = MDB_CORRUPTED;
    }
    if (result != MDB_SUCCESS) {
        return environment_error(&store->environment, result, "looking for entries", error);
    }
    memcpy(key, key_value.mv_data, sizeof *key);
    *ret_value = bytes_of(value.mv_data, value.mv_size);
    return STATUS_OK;
}

/* Whether the entries begin where they should: with one value that the first of them lies in. */
static enum status check_first(const struct log_store *store,
                               MDB_cursor *cursor,
                               raft_index first,
                               struct error *error)
{
    uint64_t key = log_key(1, 0);
    struct bytes value = BYTES_EMPTY;
    struct log_run run;
    raft_index last;
    bool is_there;
    enum status status = get_key(store, cursor, MDB_SET_RANGE, &key, &value, error);

    if (status != STATUS_OK || key == 0) {
        return status;
    }
    last = key >> LOG_KEY_PIECE_BITS;
    is_there = last >= first;
    if (last > first) {
        /* What is damaged is for who reads it. */
        is_there = key == log_key(last, 0) &&
                   (!log_format_get_run(last, value, &run) || run.first <= first);
    }
    return is_there ? STATUS_OK : log_store_entry_damaged(store, first, "is missing", error);
}

enum status log_store_load_state(const struct log_store *store,
                                 MDB_txn *txn,
                                 struct log_state *state,
                                 struct error *error)
{
    enum status status = load_record(store, txn, LOG_KEY_HARD_STATE, "hard state",
                                     log_format_get_hard_state, state, error);
    MDB_cursor *cursor;
    struct bytes value;
    uint64_t last = 0;
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
    status = check_first(store, cursor, state->base + 1, error);
    if (status == STATUS_OK) {
        status = get_key(store, cursor, MDB_LAST, &last, &value, error);
    }
    mdb_cursor_close(cursor);
    last >>= LOG_KEY_PIECE_BITS;
    state->last = last == 0 ? state->base : last;
    return status;
}

/* --- Entries --- */

struct reading {
    const struct log_store *store;
    MDB_cursor *cursor;
    MDB_cursor_op operation; /* to the next key */
    struct log_run run;      /* what is left of the one that was reached */
    struct buffer joined;    /* an entry of several pieces */
    raft_index stored_last;  /* in LMDB */
    struct bytes journaled;  /* records of the journal that were not read yet */
    struct buffer copied;    /* all of them */
    raft_index copied_last;
    uint64_t bytes; /* that were read */
};

/* The next record of the journal at or behind `index`, which LMDB does not have. */
static void next_journaled(struct reading *reading,
                           raft_index index,
                           uint64_t *ret_key,
                           struct bytes *ret_stored)
{
    bool is_there = true;

    *ret_key = 0;
    while (is_there && *ret_key < log_key(index, 0)) {
        is_there = log_journal_next_record(&reading->journaled, ret_key, ret_stored);
    }
}

static enum status
next_value(struct reading *reading, uint64_t *key, struct bytes *ret_stored, struct error *error)
{
    enum status status =
        get_key(reading->store, reading->cursor, reading->operation, key, ret_stored, error);

    reading->operation = MDB_NEXT;
    reading->bytes += ret_stored->size;
    return status;
}

/* Put the pieces behind the first together. */
static enum status
join_pieces(struct reading *reading, struct log_entry *entry, struct error *error)
{
    size_t payload_bytes = reading->run.payload_bytes;
    uint32_t pieces = log_format_pieces(payload_bytes);

    buffer_clear(&reading->joined);
    buffer_put(&reading->joined, entry->payload);
    for (uint32_t piece = 1; piece < pieces; piece++) {
        uint64_t wanted = log_key(entry->index, piece);
        uint64_t key = wanted;
        struct bytes stored = BYTES_EMPTY;
        struct bytes part;
        size_t rest = payload_bytes - reading->joined.size;
        enum status status = next_value(reading, &key, &stored, error);

        if (status != STATUS_OK) {
            return status;
        }
        if (key != wanted) {
            return log_store_entry_damaged(reading->store, entry->index, "lacks a piece", error);
        }
        if (!log_format_check(key, stored, &part) ||
            part.size != (rest < LOG_PIECE_BYTES ? rest : LOG_PIECE_BYTES)) {
            return log_store_entry_damaged(reading->store, entry->index, "is damaged", error);
        }
        buffer_put(&reading->joined, part);
    }
    entry->payload = buffer_lend(&reading->joined);
    return STATUS_OK;
}

/* The run that `index` lies in must be the next, or the first key at or behind that of `index`. */
static enum status next_run(struct reading *reading, raft_index index, struct error *error)
{
    uint64_t key = log_key(index, 0);
    struct bytes stored = BYTES_EMPTY;
    enum status status = STATUS_OK;
    raft_index last;

    if (index > reading->stored_last) {
        next_journaled(reading, index, &key, &stored);
    } else {
        status = next_value(reading, &key, &stored, error);
    }
    last = key >> LOG_KEY_PIECE_BITS;
    if (status != STATUS_OK) {
        return status;
    }
    if (last < index || key != log_key(last, 0)) {
        return log_store_entry_damaged(reading->store, index, "is missing", error);
    }
    if (!log_format_get_run(last, stored, &reading->run)) {
        return log_store_entry_damaged(reading->store, index, "is damaged", error);
    }
    return reading->run.first <= index
               ? STATUS_OK
               : log_store_entry_damaged(reading->store, index, "is missing", error);
}

static enum status read_entry(struct reading *reading,
                              raft_index index,
                              struct log_entry *ret_entry,
                              struct error *error)
{
    enum status status = STATUS_OK;

    *ret_entry = (struct log_entry){.index = 0};
    while (status == STATUS_OK && ret_entry->index < index) {
        if (!log_format_next_entry(&reading->run, ret_entry)) {
            status = next_run(reading, index, error);
        }
    }
    return status == STATUS_OK && reading->run.payload_bytes > LOG_PIECE_BYTES
               ? join_pieces(reading, ret_entry, error)
               : status;
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

/* A snapshot of LMDB, and of the journal what is wanted that LMDB did not have by then: between the
 * two, entries could move from one to the other, and be replaced there. Only who wants such waits
 * for the writer's disk. */
static enum status begin_reading(struct log_store *store,
                                 raft_index last,
                                 struct reading *reading,
                                 MDB_txn **ret_txn,
                                 struct error *error)
{
    enum status status;

    if (last <= store->merged_last) {
        return environment_begin_read(&store->environment, ret_txn, error);
    }
    (void)pthread_mutex_lock(&store->write_lock);
    status = environment_begin_read(&store->environment, ret_txn, error);
    if (status == STATUS_OK && last > store->merged_last && store->journaled.count > 0) {
        MARK(log_read_from_the_journal);
        buffer_put(&reading->copied, buffer_lend(&store->journaled.records));
        reading->copied_last = store->journaled.last;
    }
    (void)pthread_mutex_unlock(&store->write_lock);
    reading->journaled = buffer_lend(&reading->copied);
    return status;
}

enum status log_store_read(struct log_store *store,
                           raft_index first,
                           raft_index last,
                           enum status (*visit)(void *context, const struct log_entry *entry),
                           void *context,
                           struct error *error)
{
    struct reading reading = {
        .store = store, .operation = MDB_SET_RANGE, .joined = BUFFER_INIT, .copied = BUFFER_INIT};
    struct log_state state = {.base = 0};
    MDB_txn *txn;
    enum status status;
    int result;

    if (last < first) {
        return STATUS_OK;
    }
    status = begin_reading(store, last, &reading, &txn, error);
    if (status != STATUS_OK) {
        return status;
    }
    /* The snapshot's own end and base: what is missing between them is damage. */
    status = log_store_load_state(store, txn, &state, error);
    reading.stored_last = state.last;
    state.last = reading.copied_last > state.last ? reading.copied_last : state.last;
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
    buffer_release(&reading.copied);
    environment_count_touched(&store->environment, reading.bytes);
    return status;
}

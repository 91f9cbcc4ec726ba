#include "persistence/log_store.h"

#include "base/check.h"
#include "base/mark.h"
#include "persistence/log_format.h"
#include "persistence/log_journal.h"
#include "persistence/log_store_internal.h"
#include "persistence/log_tail.h"

#include <inttypes.h>
#include <string.h>

enum { TRIM_PER_APPENDED = 3 };

static enum status put_record(
    struct log_work *work, uint64_t key, const uint8_t *record, size_t size, struct error *error)
{
    MDB_val key_value = environment_value(&key, sizeof key);
    MDB_val value = environment_value(record, size);
    int result = mdb_put(work->txn, work->store->environment.database, &key_value, &value, 0);

    return result == MDB_SUCCESS ? STATUS_OK
                                 : environment_error(&work->store->environment, result,
                                                     "writing a record of the log", error);
}

/* Whether it does more than append what the next open would find by itself. What is appended from
 * then on has no stamp: it must not come back without the rest. */
static bool waits_for_meta(const struct log_work *work)
{
    /* Should the meta page be lost, what follows would follow nothing: what the journal takes from
     * then on, or what stays of what it had. */
    bool begins_later = work->base_changed && (work->is_merging || work->store->journal.file >= 0);

    return work->needs_meta || begins_later || work->identity_changed || work->hard_state_changed ||
           work->witnesses_changed;
}

/* What has a higher stamp is not there yet, and counts when it is found. */
static uint64_t synced_stamp(const struct log_work *work)
{
    const struct log_journaled *journaled = &work->store->journaled;

    return work->is_merging || journaled->count == 0 ? work->store->stamp
                                                     : journaled->first_stamp - 1;
}

enum status log_work_put_records(struct log_work *work, struct error *error)
{
    uint8_t record[LOG_RECORD_BYTES_MAX];
    enum status status = STATUS_OK;

    if (waits_for_meta(work)) {
        status = put_record(work, LOG_KEY_STAMP, record,
                            log_format_put_stamp(synced_stamp(work), record), error);
    }

    if (status == STATUS_OK && work->identity_changed) {
        status = put_record(work, LOG_KEY_IDENTITY, record,
                            log_format_put_identity(&work->identity, record), error);
    }
    if (status == STATUS_OK && work->hard_state_changed) {
        status = put_record(work, LOG_KEY_HARD_STATE, record,
                            log_format_put_hard_state(&work->state, record), error);
    }
    if (status == STATUS_OK && work->base_changed) {
        status = put_record(work, LOG_KEY_BASE, record, log_format_put_base(&work->state, record),
                            error);
    }
    if (status == STATUS_OK && work->witnesses_changed) {
        bool is_new = work->witnesses != NULL;
        size_t size = log_format_put_witnesses(
            is_new ? work->witnesses : work->store->witnesses,
            is_new ? work->witness_count : work->store->witness_count, record);

        status = put_record(work, LOG_KEY_WITNESSES, record, size, error);
    }
    return status;
}

/* Make room for a value behind all others. */
static enum status reserve(struct log_work *work,
                           raft_index index,
                           uint32_t piece,
                           size_t bytes,
                           uint8_t **ret_value,
                           struct error *error)
{
    uint64_t key = log_key(index, piece);
    MDB_val key_value = environment_value(&key, sizeof key);
    MDB_val value = environment_value(NULL, bytes);
    int result = mdb_cursor_put(work->cursor, &key_value, &value, MDB_APPEND | MDB_RESERVE);

    if (result == MDB_KEYEXIST) {
        return log_store_entry_damaged(work->store, index, "has keys behind the log's end", error);
    }
    *ret_value = value.mv_data;
    return result == MDB_SUCCESS ? STATUS_OK
                                 : environment_error(&work->store->environment, result,
                                                     "appending to the log", error);
}

static enum status append_pieces(struct log_work *work,
                                 const struct log_entry *entry,
                                 uint32_t pieces,
                                 struct error *error)
{
    enum status status = STATUS_OK;

    MARK_IF(pieces > 1, log_entry_in_pieces);
    for (uint32_t piece = 1; status == STATUS_OK && piece < pieces; piece++) {
        uint8_t *value = NULL;

        status =
            reserve(work, entry->index, piece, log_format_piece_bytes(entry, piece), &value, error);
        if (status == STATUS_OK) {
            log_format_put_piece(entry, piece, value);
        }
    }
    return status;
}

/* The first of the entries that share a value. */
static enum status append_run(struct log_work *work,
                              const struct log_entry *entries,
                              size_t length,
                              struct error *error)
{
    uint32_t pieces = log_format_pieces(entries[0].payload.size);
    const uint64_t *stamp;
    uint8_t *value = NULL;
    enum status status;

    MARK_IF(length > 1, log_entries_share_a_value);
    work->needs_meta = work->needs_meta || pieces > 1;
    stamp = waits_for_meta(work) ? NULL : &work->store->stamp;
    status = reserve(work, entries[length - 1].index, 0,
                     log_format_run_bytes(entries, length, stamp), &value, error);
    if (status != STATUS_OK) {
        return status;
    }
    log_format_put_run(entries, length, stamp, value);
    return append_pieces(work, &entries[0], pieces, error);
}

static enum status append_entries(struct log_work *work,
                                  const struct log_entry *entries,
                                  size_t count,
                                  struct error *error)
{
    enum status status = STATUS_OK;

    for (size_t i = 0; status == STATUS_OK && i < count;) {
        size_t length = log_format_run_length(&entries[i], count - i);

        status = append_run(work, &entries[i], length, error);
        i += length;
    }
    return status;
}

/* Delete the keys from `first` on that are below `end`, the last one first: LMDB closes the gap
 * that a record leaves by moving whatever was appended to its page later. That is nothing behind
 * the last one; from the first one on it was two kilobytes each, and a twelfth of the time of
 * appending and trimming (confer-bench-parts log on a file system in memory). */
static enum status
delete_keys(struct log_work *work, uint64_t first, uint64_t end, struct error *error)
{
    MDB_val key = environment_value(&end, sizeof end);
    MDB_val value;
    int result = mdb_cursor_get(work->cursor, &key, &value, MDB_SET_RANGE);

    if (result == MDB_SUCCESS || result == MDB_NOTFOUND) {
        result =
            mdb_cursor_get(work->cursor, &key, &value, result == MDB_SUCCESS ? MDB_PREV : MDB_LAST);
    }
    while (result == MDB_SUCCESS) {
        uint64_t found = 0;

        memcpy(&found, key.mv_data, sizeof found);
        if (found < first) {
            return STATUS_OK;
        }
        work->deleted_bytes += value.mv_size;
        result = mdb_cursor_del(work->cursor, 0);
        if (result == MDB_SUCCESS) {
            result = mdb_cursor_get(work->cursor, &key, &value, MDB_PREV);
        }
    }
    return result == MDB_NOTFOUND ? STATUS_OK
                                  : environment_error(&work->store->environment, result,
                                                      "deleting from the log", error);
}

/* The run that `index` lies in, and its value. */
static enum status find_run(struct log_work *work,
                            raft_index index,
                            struct log_run *ret_run,
                            struct bytes *ret_value,
                            struct error *error)
{
    uint64_t key = log_key(index, 0);
    MDB_val key_value = environment_value(&key, sizeof key);
    MDB_val value;
    int result = mdb_cursor_get(work->cursor, &key_value, &value, MDB_SET_RANGE);

    if (result == MDB_NOTFOUND) {
        return log_store_entry_damaged(work->store, index, "is missing", error);
    }
    if (result != MDB_SUCCESS) {
        return environment_error(&work->store->environment, result, "reading the log", error);
    }
    memcpy(&key, key_value.mv_data, sizeof key);
    *ret_value = bytes_of(value.mv_data, value.mv_size);
    if (!log_format_get_run(key >> LOG_KEY_PIECE_BITS, *ret_value, ret_run)) {
        return log_store_entry_damaged(work->store, index, "is damaged", error);
    }
    return ret_run->first <= index
               ? STATUS_OK
               : log_store_entry_damaged(work->store, index, "is missing", error);
}

static enum status
find_term(struct log_work *work, raft_index index, raft_term *ret, struct error *error)
{
    struct log_run run;
    struct bytes value;
    struct log_entry entry;
    enum status status = find_run(work, index, &run, &value, error);

    while (status == STATUS_OK && log_format_next_entry(&run, &entry) && entry.index <= index) {
        *ret = entry.term;
    }
    return status;
}

/* The entries up to `target` go, which has `term`. Those of them that share a value with what stays
 * go when that goes. */
static enum status
trim_to(struct log_work *work, raft_index target, raft_term term, struct error *error)
{
    enum status status =
        delete_keys(work, log_key(work->state.base + 1, 0), log_key(target + 1, 0), error);

    work->state.base = target;
    work->state.base_term = term;
    work->base_changed = true;
    return status;
}

/* Delete at most `count_max` entries from the front, none above `trim`. */
static enum status
trim_front(struct log_work *work, raft_index trim, size_t count_max, struct error *error)
{
    raft_index target = trim < work->state.last ? trim : work->state.last;
    raft_term term = 0;
    enum status status;

    if (target <= work->state.base || count_max == 0) {
        return STATUS_OK;
    }
    if (target - work->state.base > count_max) {
        MARK(log_trimmed_in_several_steps);
        target = work->state.base + count_max;
    }
    status = find_term(work, target, &term, error);
    return status == STATUS_OK ? trim_to(work, target, term, error) : status;
}

static enum status
switch_tree(struct log_work *work, const struct log_write *write, struct error *error)
{
    work->identity.tree_generation = write->tree_generation;
    work->identity_changed = true;
    return write->trim > work->state.base ? trim_to(work, write->trim, write->trim_term, error)
                                          : STATUS_OK;
}

static enum status reset(struct log_work *work, const struct log_write *write, struct error *error)
{
    int result = mdb_drop(work->txn, work->store->environment.database, 0);
    MARK_IF(work->state.last > write->reset_index, log_reset_below_its_end);

    if (result != MDB_SUCCESS) {
        return environment_error(&work->store->environment, result, "dropping the log", error);
    }
    work->state.base = write->reset_index;
    work->state.base_term = write->reset_term;
    work->state.last = write->reset_index;
    work->identity.tree_generation = write->tree_generation;
    work->identity_changed = true;
    work->hard_state_changed = true;
    work->base_changed = true;
    work->witnesses_changed = true;
    return STATUS_OK;
}

/* The last entry before the run that `first` lies in, by the keys alone: that run may be damaged.
 * After a reset in the same transaction not even a record need be before it. */
static enum status
find_before(struct log_work *work, raft_index first, raft_index *ret_index, struct error *error)
{
    uint64_t found = log_key(first, 0);
    MDB_val key = environment_value(&found, sizeof found);
    MDB_val value;
    int result = mdb_cursor_get(work->cursor, &key, &value, MDB_SET_RANGE);

    if (result == MDB_NOTFOUND) {
        return log_store_entry_damaged(work->store, first, "is missing", error);
    }
    if (result == MDB_SUCCESS) {
        result = mdb_cursor_get(work->cursor, &key, &value, MDB_PREV);
    }
    if (result != MDB_SUCCESS && result != MDB_NOTFOUND) {
        return environment_error(&work->store->environment, result, "reading the log", error);
    }
    *ret_index = work->state.base;
    if (result == MDB_SUCCESS) {
        memcpy(&found, key.mv_data, sizeof found);
        found >>= LOG_KEY_PIECE_BITS;
        *ret_index = found > *ret_index ? found : *ret_index;
    }
    return STATUS_OK;
}

/* The entries from `first` on go. Those before it that share a value with it are appended again. */
static enum status cut(struct log_work *work, raft_index first, struct error *error)
{
    uint8_t copy[LOG_RUN_BYTES_MAX];
    struct log_entry stays[LOG_RUN_ENTRIES_MAX];
    size_t count = 0;
    struct log_run run;
    struct bytes value;
    raft_index before = 0;
    enum status status = find_before(work, first, &before, error);

    if (status == STATUS_OK && before + 1 < first) {
        status = find_run(work, first, &run, &value, error);
        if (status == STATUS_OK && run.first < first) {
            MARK(log_cut_within_a_run);
            memcpy(copy, value.data, value.size);
            CHECK(log_format_get_run(run.last, bytes_of(copy, value.size), &run));
            while (run.next < first && log_format_next_entry(&run, &stays[count])) {
                count++;
            }
        }
    }
    work->needs_meta = true;
    if (status == STATUS_OK) {
        status = delete_keys(work, log_key(first, 0), UINT64_MAX, error);
    }
    return status == STATUS_OK ? append_entries(work, stays, count, error) : status;
}

static enum status append(struct log_work *work, const struct log_write *write, struct error *error)
{
    raft_index first = write->entries[0].index;
    enum status status = STATUS_OK;

    if (first <= work->state.last) {
        MARK(log_entries_overwritten_on_disk);
        status = cut(work, first, error);
    }
    if (status == STATUS_OK) {
        status = append_entries(work, write->entries, write->entry_count, error);
    }
    work->state.last = first + write->entry_count - 1;
    return status;
}

enum status
log_work_check(const struct log_work *work, const struct log_write *write, struct error *error)
{
    raft_index base = write->reset ? write->reset_index : work->state.base;
    raft_index last = write->reset ? write->reset_index : work->state.last;
    const char *path = work->store->environment.path;

    if (write->hard_state && write->term < work->state.term) {
        return error_set(error, STATUS_INVALID,
                         "refused to write term %" PRIu64 " to %s, which holds %" PRIu64,
                         write->term, path, work->state.term);
    }
    if (write->reset && write->reset_index > LOG_INDEX_MAX) {
        return error_set(error, STATUS_LIMIT, "%s cannot hold a log at index %" PRIu64, path,
                         write->reset_index);
    }
    if (write->switch_tree && write->trim > last) {
        return error_set(error, STATUS_INVALID,
                         "refused to switch %s to a checkpoint at %" PRIu64
                         ": its entries end at %" PRIu64,
                         path, write->trim, last);
    }
    for (size_t i = 0; i < write->entry_count; i++) {
        const struct log_entry *entry = &write->entries[i];

        if (i == 0 ? entry->index <= base || entry->index > last + 1
                   : entry->index != write->entries[i - 1].index + 1) {
            return error_set(error, STATUS_INVALID,
                             "refused to write entry %" PRIu64 " to %s, whose entries are %" PRIu64
                             " to %" PRIu64 ": it does not continue them",
                             entry->index, path, base + 1, last);
        }
        if (entry->payload.size > LOG_STORE_ENTRY_BYTES_MAX || entry->index > LOG_INDEX_MAX) {
            return error_set(error, STATUS_LIMIT,
                             "log entry %" PRIu64 " of %zu bytes is too large for %s", entry->index,
                             entry->payload.size, path);
        }
    }
    return STATUS_OK;
}

enum status
log_work_apply(struct log_work *work, const struct log_write *write, struct error *error)
{
    enum status status = log_work_check(work, write, error);

    if (status == STATUS_OK && write->hard_state) {
        work->state.term = write->term;
        work->state.vote = write->vote;
        work->hard_state_changed = true;
    }
    if (status == STATUS_OK && write->reset) {
        status = reset(work, write, error);
    }
    if (status == STATUS_OK && write->switch_tree) {
        return switch_tree(work, write, error);
    }
    if (status == STATUS_OK && write->entry_count > 0) {
        status = append(work, write, error);
    }
    work->appended += write->entry_count;
    if (status == STATUS_OK && write->trim > 0) {
        status = trim_front(work, write->trim, work->appended * TRIM_PER_APPENDED, error);
        work->appended = 0;
    }
    if (write->witnesses != NULL) {
        work->witnesses = write->witnesses;
        work->witness_count = write->witness_count;
        work->witnesses_changed = true;
    }
    return status;
}

/* --- Transactions --- */

enum status
log_work_begin_alone(struct log_store *store, struct log_work *work, struct error *error)
{
    enum status status;
    int result;

    (void)pthread_mutex_lock(&store->write_lock);
    store->stamp++; /* also if nothing comes of it: what it leaves behind is told from the next */
    *work = (struct log_work){
        .store = store,
        .state = store->state,
        .identity = store->identity,
        .needs_meta = store->stamp - store->synced_stamp >= LOG_TAIL_COMMITS_MAX,
    };
    work->state.last = store->merged_last;
    status = environment_begin_write(&store->environment, &work->txn, error);
    if (status == STATUS_OK) {
        result = mdb_cursor_open(work->txn, store->environment.database, &work->cursor);
        if (result != MDB_SUCCESS) {
            mdb_txn_abort(work->txn);
            status = environment_error(&store->environment, result, "starting a write", error);
        }
    }
    if (status != STATUS_OK) {
        (void)pthread_mutex_unlock(&store->write_lock);
    }
    return status;
}

/* The entries that only the journal has, with the stamps that they got there. */
static enum status put_journaled(struct log_work *work, struct error *error)
{
    const struct log_journaled *journaled = &work->store->journaled;
    struct bytes records = buffer_lend(&journaled->records);
    struct bytes from = BYTES_EMPTY;
    uint64_t key = 0;
    enum status status = STATUS_OK;

    while (status == STATUS_OK && log_journal_next_record(&records, &key, &from)) {
        uint8_t *to = NULL;

        status = reserve(work, key >> LOG_KEY_PIECE_BITS, 0, from.size, &to, error);
        if (status == STATUS_OK) {
            memcpy(to, from.data, from.size);
        }
    }
    work->state.last = journaled->last;
    work->appended = journaled->count;
    return status;
}

enum status log_work_begin(struct log_store *store, struct log_work *work, struct error *error)
{
    enum status status = log_work_begin_alone(store, work, error);

    if (status == STATUS_OK && store->journaled.count > 0) {
        MARK(log_journal_goes_into_the_log);
        work->is_merging = true;
        status = put_journaled(work, error);
        if (status != STATUS_OK) {
            status = log_work_finish(work, status, error);
        }
    }
    return status;
}

/* LMDB has, durably, what it has not had before. */
static void forget_journaled(struct log_store *store)
{
    struct log_journaled *journaled = &store->journaled;

    buffer_clear(&journaled->records);
    journaled->count = 0;
    log_journal_restart(&store->journal);
}

enum status log_work_finish(struct log_work *work, enum status status, struct error *error)
{
    struct log_store *store = work->store;
    bool is_late = !waits_for_meta(work);

    if (status == STATUS_OK) {
        status = log_work_put_records(work, error);
    }
    mdb_cursor_close(work->cursor);
    MARK_IF(work->state.last > store->state.last, entries_before_their_commit);
    MARK_IF(work->state.vote != store->state.vote, vote_before_its_commit);
    MARK_IF(work->identity_changed, generation_before_its_commit);
    MARK_IF(work->base_changed, trim_before_its_commit);
    if (status == STATUS_OK) {
        status = environment_commit(&store->environment, work->txn,
                                    is_late ? ENVIRONMENT_SYNC_PAGES : ENVIRONMENT_SYNC_ALL, error);
    } else {
        mdb_txn_abort(work->txn);
    }
    if (status == STATUS_NO_SPACE) {
        enum status settled = environment_settle(&store->environment, error);

        status = settled == STATUS_OK ? status : settled;
    }
    if (status == STATUS_OK) {
        MARK_IF(work->state.last > store->state.last, entries_committed_and_nobody_knows);
        MARK_IF(work->state.vote != store->state.vote, vote_committed_and_nobody_knows);
        MARK_IF(work->identity_changed, generation_committed_and_nobody_knows);
        MARK_IF(work->base_changed, trim_committed_and_nobody_knows);
        environment_count_touched(&store->environment, work->deleted_bytes);
        store->identity = work->identity;
        store->synced_stamp = is_late ? store->synced_stamp : synced_stamp(work);
        store->merged_last = work->state.last;
        if (work->is_merging) {
            forget_journaled(store);
        }
        if (work->witnesses != NULL) {
            memcpy(store->witnesses, work->witnesses,
                   work->witness_count * sizeof store->witnesses[0]);
            store->witness_count = work->witness_count;
        }
        (void)pthread_mutex_lock(&store->state_lock);
        store->state = work->state;
        if (store->journaled.count > 0) {
            store->state.last = store->journaled.last;
        }
        (void)pthread_mutex_unlock(&store->state_lock);
    }
    (void)pthread_mutex_unlock(&store->write_lock);
    return status;
}

enum status log_store_merge(struct log_store *store, struct error *error)
{
    struct log_work work;
    enum status status = log_work_begin(store, &work, error);

    return status == STATUS_OK ? log_work_finish(&work, STATUS_OK, error) : status;
}

/* --- Writes --- */

static enum status write_once(struct log_store *store,
                              const struct log_write *const *writes,
                              size_t count,
                              struct error *error)
{
    struct log_work work;
    enum status status = log_work_begin(store, &work, error);

    if (status != STATUS_OK) {
        return status;
    }
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        status = log_work_apply(&work, writes[i], error);
    }
    return log_work_finish(&work, status, error);
}

enum status log_store_write_batch(struct log_store *store,
                                  const struct log_write *const *writes,
                                  size_t count,
                                  struct error *error)
{
    bool is_done = false;
    enum status status;

    (void)pthread_mutex_lock(&store->write_lock);
    status = log_store_journal_write(store, writes, count, &is_done, error);
    (void)pthread_mutex_unlock(&store->write_lock);
    if (status != STATUS_OK || is_done) {
        return status;
    }
    status = write_once(store, writes, count, error);
    /* The first time may only have given back what was kept in case a meta page is lost. */
    return status == STATUS_NO_SPACE ? write_once(store, writes, count, error) : status;
}

enum status
log_store_write(struct log_store *store, const struct log_write *write, struct error *error)
{
    return log_store_write_batch(store, &write, 1, error);
}

enum status log_store_trim(
    struct log_store *store, raft_index trim, size_t count_max, bool *ret_more, struct error *error)
{
    struct log_work work;
    raft_index target;
    enum status status;

    *ret_more = false;
    if (!log_store_can_trim(store, trim)) {
        return STATUS_OK;
    }
    status = log_work_begin_alone(store, &work, error);
    if (status != STATUS_OK) {
        return status;
    }
    target = trim < work.state.last ? trim : work.state.last;
    status = log_work_finish(&work, trim_front(&work, trim, count_max, error), error);
    if (status == STATUS_OK) {
        *ret_more = work.state.base < target;
    }
    return status;
}

bool log_store_can_trim(struct log_store *store, raft_index trim)
{
    bool can;

    (void)pthread_mutex_lock(&store->write_lock);
    can = store->state.base < trim && store->state.base < store->merged_last;
    (void)pthread_mutex_unlock(&store->write_lock);
    return can;
}

enum status log_store_turn_over(struct log_store *store, struct error *error)
{
    struct log_work work;
    enum status status = log_work_begin_alone(store, &work, error);

    if (status != STATUS_OK) {
        return status;
    }
    work.hard_state_changed = true;
    return log_work_finish(&work, STATUS_OK, error);
}

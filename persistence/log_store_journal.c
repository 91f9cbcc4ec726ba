#include "persistence/log_store.h"

#include "base/check.h"
#include "base/mark.h"
#include "persistence/log_format.h"
#include "persistence/log_journal.h"
#include "persistence/log_store_internal.h"
#include "persistence/log_tail.h"

#include <errno.h>

enum {
    ROOM_PER_JOURNAL = 3,
    TRIMMED_PART = 4 /* more than this part of the log waits to be trimmed: the journal rests */
};

/* So none of its entries is in pieces. */
_Static_assert((int)LOG_JOURNAL_WRITE_BYTES_MAX <= (int)LOG_PIECE_BYTES, "an entry in pieces fits");

/* Whether they only append, and their records' size if so. */
static bool only_appends(const struct log_store *store,
                         const struct log_write *const *writes,
                         size_t count,
                         size_t *ret_size)
{
    raft_index next = store->state.last + 1;
    size_t size = 0;

    for (size_t i = 0; i < count; i++) {
        const struct log_write *write = writes[i];

        if (write->hard_state || write->reset || write->switch_tree || write->witnesses != NULL ||
            write->entry_count == 0 || write->entries[0].index != next) {
            return false;
        }
        for (size_t at = 0; at < write->entry_count; size += LOG_JOURNAL_RECORD_HEAD_BYTES) {
            size_t length = log_format_run_length(&write->entries[at], write->entry_count - at);

            size += log_format_run_bytes(&write->entries[at], length, &store->stamp);
            at += length;
            if (size > LOG_JOURNAL_WRITE_BYTES_MAX) {
                return false;
            }
        }
        next += write->entry_count;
    }
    *ret_size = size;
    return true;
}

/* Much of the log may go, and goes with the transactions alone. */
static bool
is_trimming(const struct log_store *store, const struct log_write *const *writes, size_t count)
{
    const struct log_state *state = &store->state;
    raft_index trim = 0;

    for (size_t i = 0; i < count; i++) {
        trim = writes[i]->trim > trim ? writes[i]->trim : trim;
    }
    return trim > state->base && trim - state->base > (state->last - state->base) / TRIMMED_PART;
}

/* Whether LMDB will take what the journal may hold, with the pages that it needs for that, also at
 * the next start, which cannot trim. */
static bool has_room_for_journal(const struct log_store *store)
{
    const struct environment *environment = &store->environment;

    return environment->used_bytes + (uint64_t)ROOM_PER_JOURNAL * store->journal.bytes <
           environment->map_bytes;
}

static uint8_t *put_write(const struct log_store *store, const struct log_write *write, uint8_t *to)
{
    for (size_t i = 0; i < write->entry_count;) {
        const struct log_entry *entries = &write->entries[i];
        size_t length = log_format_run_length(entries, write->entry_count - i);
        size_t bytes = log_format_run_bytes(entries, length, &store->stamp);

        MARK_IF(length > 1, journaled_entries_share_a_value);
        to = log_journal_put_record(to, log_key(entries[length - 1].index, 0), bytes);
        log_format_put_run(entries, length, &store->stamp, to);
        to += bytes;
        i += length;
    }
    return to;
}

static void
note_journaled(struct log_store *store, const struct log_write *const *writes, size_t count)
{
    struct log_journaled *journaled = &store->journaled;

    if (journaled->count == 0) {
        journaled->first_stamp = store->stamp;
    }
    for (size_t i = 0; i < count; i++) {
        journaled->count += writes[i]->entry_count;
        journaled->last = writes[i]->entries[writes[i]->entry_count - 1].index;
    }
    (void)pthread_mutex_lock(&store->state_lock);
    store->state.last = journaled->last;
    (void)pthread_mutex_unlock(&store->state_lock);
}

enum status log_store_journal_write(struct log_store *store,
                                    const struct log_write *const *writes,
                                    size_t count,
                                    bool *ret_done,
                                    struct error *error)
{
    struct log_work work = {.store = store, .state = store->state};
    uint8_t *records;
    uint8_t *to;
    size_t size = 0;
    int result;

    *ret_done = false;
    if (store->environment.failed || !has_room_for_journal(store) ||
        store->stamp + 1 - store->synced_stamp >= LOG_TAIL_COMMITS_MAX ||
        is_trimming(store, writes, count) || !only_appends(store, writes, count, &size)) {
        return STATUS_OK;
    }
    for (size_t i = 0; i < count; i++) {
        enum status status = log_work_check(&work, writes[i], error);

        if (status != STATUS_OK) {
            return status;
        }
        work.state.last += writes[i]->entry_count;
    }
    records = log_journal_reserve(&store->journal, size);
    if (records == NULL) {
        return STATUS_OK;
    }
    store->stamp++;
    to = records;
    for (size_t i = 0; i < count; i++) {
        to = put_write(store, writes[i], to);
    }
    CHECK(to == records + size);
    MARK(entries_before_their_journal);
    result = log_journal_write(&store->journal, size, store->stamp, writes[0]->entries[0].index);
    if (result == ENOSPC || result == EDQUOT || result == EINVAL) {
        /* A file system that gives a write new blocks, and LMDB waits for space; or a device whose
         * blocks are larger. */
        MARK(journal_refused_by_its_file_system);
        log_journal_close(&store->journal);
        return STATUS_OK;
    }
    if (result != 0) {
        return environment_fail(&store->environment, result, "writing to the journal", error);
    }
    MARK(entries_journaled_and_nobody_knows);
    buffer_put(&store->journaled.records, bytes_of(records, size));
    note_journaled(store, writes, count);
    *ret_done = true;
    return STATUS_OK;
}

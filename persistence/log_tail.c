#include "persistence/log_tail.h"

#include "base/alloc.h"
#include "base/mark.h"
#include "persistence/damage.h"
#include "persistence/environment.h"
#include "persistence/log_format.h"
#include "persistence/log_journal.h"
#include "persistence/page_walk.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An entry that was found; the payload lies in the tail's buffer. */
struct found {
    struct log_entry entry;
    size_t payload_offset;
    uint64_t age;  /* commits since the stamp record */
    bool is_loose; /* on a page that may be used again; else the journal has it */
};

struct search {
    const struct log_state *state;
    uint64_t stamp;
    struct log_tail *tail;
    struct found *found;
    size_t count;
    size_t capacity;
    /* The newest write of the journal. */
    uint64_t journal_age;
    raft_index journal_first;
};

/* --- Search --- */

static void keep(struct search *search, const struct log_entry *entry, uint64_t age, bool is_loose)
{
    struct found *found;

    if (search->count == search->capacity) {
        search->capacity = search->capacity == 0 ? 64 : search->capacity * 2;
        search->found = xrealloc(search->found, search->capacity * sizeof *search->found);
    }
    found = &search->found[search->count++];
    *found = (struct found){.entry = *entry,
                            .payload_offset = search->tail->payloads.size,
                            .age = age,
                            .is_loose = is_loose};
    buffer_put(&search->tail->payloads, entry->payload);
}

/* The index of what a key names, if that is an entry, or its first piece. */
static bool get_index(struct bytes key, raft_index *ret_index)
{
    uint64_t number;

    memcpy(&number, key.data, sizeof number);
    *ret_index = number >> LOG_KEY_PIECE_BITS;
    return number == log_key(*ret_index, 0) && *ret_index > 0;
}

/* Whether a stamp is of a commit behind the stamp record. */
static bool is_believed(const struct search *search, uint64_t stamp)
{
    return stamp != search->stamp && stamp - search->stamp <= LOG_TAIL_COMMITS_MAX;
}

static bool wants(void *context, struct bytes key, struct bytes beginning, uint64_t bytes)
{
    const struct search *search = context;
    raft_index index;
    uint64_t stamp;

    return get_index(key, &index) && index > search->state->last &&
           bytes <= LOG_ENTRY_HEAD_BYTES + LOG_STAMP_BYTES + LOG_PIECE_BYTES + SEAL_BYTES &&
           log_format_get_stamp(beginning, &stamp) && is_believed(search, stamp);
}

/* False: damaged, or the first piece of several. */
static bool
keep_run(struct search *search, raft_index last, struct bytes value, uint64_t age, bool is_loose)
{
    struct log_run run;
    struct log_entry entry;

    if (!log_format_get_run(last, value, &run) || run.payload_bytes > LOG_PIECE_BYTES) {
        return false;
    }
    while (log_format_next_entry(&run, &entry)) {
        keep(search, &entry, age, is_loose);
    }
    return true;
}

static void see_loose(void *context, struct bytes key, struct bytes value)
{
    struct search *search = context;
    uint64_t stamp;
    raft_index last;

    if (get_index(key, &last) && log_format_get_stamp(value, &stamp)) {
        (void)keep_run(search, last, value, stamp - search->stamp, true);
    }
}

static void see_journaled(struct search *search, const struct log_journal_write *write)
{
    struct bytes records = write->records;
    struct bytes value = BYTES_EMPTY;
    uint64_t age = write->stamp - search->stamp;
    uint64_t key = 0;

    if (age > search->journal_age) {
        search->journal_age = age;
        search->journal_first = write->first;
    }
    while (log_journal_next_record(&records, &key, &value)) {
        raft_index last = key >> LOG_KEY_PIECE_BITS;

        if (last > search->state->last && key == log_key(last, 0)) {
            (void)keep_run(search, last, value, age, false);
        }
    }
}

static int compare(const void *left, const void *right)
{
    const struct found *a = left;
    const struct found *b = right;

    if (a->entry.index != b->entry.index) {
        return a->entry.index < b->entry.index ? -1 : 1;
    }
    if (a->age != b->age) {
        return a->age > b->age ? -1 : 1;
    }
    return a->is_loose - b->is_loose;
}

/* Of each index the newest, as far as they follow each other: neither an older commit behind a
 * newer one, nor a term that falls or that the hard state does not know. What a commit left that
 * failed for lack of space is among them; it was asked for, and nobody was told of it. */
static void select_run(struct search *search)
{
    struct log_tail *tail = search->tail;
    raft_index next = search->state->last + 1;
    raft_term term = 0;
    uint64_t age = 0;

    if (search->count > 0) {
        qsort(search->found, search->count, sizeof *search->found, compare);
        tail->entries = xcalloc(search->count, sizeof *tail->entries);
    }
    for (size_t i = 0; i < search->count; i++) {
        const struct found *found = &search->found[i];

        if (found->entry.index < next) {
            continue;
        }
        if (found->entry.index != next || found->age < age || found->entry.term < term ||
            found->entry.term > search->state->term) {
            break;
        }
        tail->entries[tail->count] = found->entry;
        tail->entries[tail->count].payload =
            bytes_of(tail->payloads.data + found->payload_offset, found->entry.payload.size);
        tail->needs_saving = tail->needs_saving || found->is_loose;
        tail->count++;
        next++;
        term = found->entry.term;
        age = found->age;
    }
}

static bool pass_over(void *context, const char *text)
{
    (void)context;
    (void)text;
    return true;
}

static enum status search_log(const char *log_path, struct search *search, struct error *error)
{
    char data[FILES_PATH_BYTES_MAX];
    struct page_walk walk = {.path = data,
                             .integer_keys = true,
                             .depth = PAGE_WALK_BRANCHES,
                             .wants_loose = wants,
                             .on_loose = see_loose,
                             /* Whoever opened the log has looked at its pages. */
                             .on_damage = pass_over,
                             .context = search};
    enum status status = files_join(log_path, "/data.mdb", data, error);

    return status == STATUS_OK ? page_walk(&walk, error) : status;
}

/* The entries before a write of the journal were durable when it was written: it was not begun
 * before the last one had returned. */
static enum status
check_journal(const char *log_path, const struct search *search, struct error *error)
{
    raft_index next = search->state->last + 1 + search->tail->count;

    return search->journal_age == 0 || search->journal_first <= next
               ? STATUS_OK
               : error_set(error, STATUS_CORRUPT,
                           "the journal in %s lacks the entries %" PRIu64 " to %" PRIu64
                           ": " DAMAGE_WAY_OUT,
                           log_path, next, search->journal_first - 1);
}

static enum status search_journal(const char *log_path, struct search *search, struct error *error)
{
    struct buffer file = BUFFER_INIT;
    struct log_journal_write write;
    struct bytes rest;
    enum status status = log_journal_load(log_path, &file, error);

    rest = buffer_lend(&file);
    while (status == STATUS_OK && log_journal_next(&rest, &write)) {
        if (is_believed(search, write.stamp)) {
            see_journaled(search, &write);
        }
    }
    buffer_release(&file);
    return status;
}

/* --- What is saved --- */

struct saving {
    const struct log_tail *tail;
    uint64_t stamp;
};

static enum status put(struct environment *environment,
                       MDB_txn *txn,
                       uint64_t key,
                       const uint8_t *bytes,
                       size_t size,
                       struct error *error)
{
    MDB_val key_value = environment_value(&key, sizeof key);
    MDB_val value = environment_value(bytes, size);
    int result = mdb_put(txn, environment->database, &key_value, &value, MDB_APPEND);

    return result == MDB_SUCCESS
               ? STATUS_OK
               : environment_error(environment, result, "saving the log's end", error);
}

static enum status fill(struct environment *environment, void *context, struct error *error)
{
    const struct saving *saving = context;
    uint8_t record[LOG_RECORD_BYTES_MAX];
    MDB_txn *txn;
    enum status status = environment_begin_write(environment, &txn, error);

    if (status != STATUS_OK) {
        return status;
    }
    status = put(environment, txn, LOG_KEY_STAMP, record,
                 log_format_put_stamp(saving->stamp, record), error);
    for (size_t i = 0; status == STATUS_OK && i < saving->tail->count; i++) {
        const struct log_entry *entry = &saving->tail->entries[i];
        size_t size = log_format_run_bytes(entry, 1, NULL);
        uint8_t *value = xmalloc(size);

        log_format_put_run(entry, 1, NULL, value);
        status = put(environment, txn, log_key(entry->index, 0), value, size, error);
        free(value);
    }
    if (status != STATUS_OK) {
        mdb_txn_abort(txn);
        return status;
    }
    return environment_commit(environment, txn, ENVIRONMENT_SYNC_ALL, error);
}

static struct environment_options saved_options(const struct log_tail *tail)
{
    /* Each value on pages of its own, at worst, and the branches above. */
    uint64_t bytes = tail->payloads.size * 2 + tail->count * 8192 + 1024 * 1024;

    return (struct environment_options){.map_bytes = bytes, .database_flags = MDB_INTEGERKEY};
}

struct saved {
    struct search *search;
    uint64_t stamp;
    bool has_stamp;
    bool is_damaged;
};

static void see_saved(void *context, struct bytes key, struct bytes value)
{
    struct saved *saved = context;
    raft_index last;
    uint64_t number;

    memcpy(&number, key.data, sizeof number);
    if (number == LOG_KEY_STAMP && log_format_get_stamp_record(value, &saved->stamp)) {
        saved->has_stamp = true;
    } else if (!get_index(key, &last) || !keep_run(saved->search, last, value, 0, false)) {
        saved->is_damaged = true;
    }
}

static bool note_damage(void *context, const char *text)
{
    struct saved *saved = context;

    (void)text;
    saved->is_damaged = true;
    return false;
}

/* Without LMDB, so that nothing is changed. NOT_FOUND: nothing was saved, or for another time. */
static enum status read_saved(const char *log_path, struct search *search, struct error *error)
{
    char data[FILES_PATH_BYTES_MAX];
    struct saved saved = {.search = search};
    struct page_walk walk = {.path = data,
                             .integer_keys = true,
                             .depth = PAGE_WALK_VALUES,
                             .on_entry = see_saved,
                             .on_damage = note_damage,
                             .context = &saved};
    enum status status = files_join(log_path, "-tail/data.mdb", data, error);

    if (status == STATUS_OK) {
        status = page_walk(&walk, error);
    }
    if (status == STATUS_CORRUPT ||
        (status == STATUS_OK && (saved.is_damaged || !saved.has_stamp))) {
        return error_set(error, STATUS_CORRUPT, "%s is damaged: " DAMAGE_WAY_OUT, data);
    }
    return status == STATUS_OK && saved.stamp != search->stamp ? STATUS_NOT_FOUND : status;
}

enum status log_tail_find(const char *log_path,
                          const struct log_state *state,
                          uint64_t stamp,
                          struct log_tail *ret_tail,
                          struct error *error)
{
    struct search search = {.state = state, .stamp = stamp, .tail = ret_tail};
    enum status status;

    *ret_tail = (struct log_tail){.payloads = BUFFER_INIT};
    status = read_saved(log_path, &search, error);
    ret_tail->is_saved = status == STATUS_OK;
    MARK_IF(ret_tail->is_saved, log_end_taken_from_what_was_saved);
    if (status == STATUS_NOT_FOUND) {
        search.count = 0;
        buffer_clear(&ret_tail->payloads);
        status = search_log(log_path, &search, error);
        if (status == STATUS_OK) {
            status = search_journal(log_path, &search, error);
        }
    }
    if (status == STATUS_OK) {
        select_run(&search);
        status = check_journal(log_path, &search, error);
    }
    free(search.found);
    return status;
}

enum status log_tail_save(const char *log_path,
                          uint64_t stamp,
                          const struct log_tail *tail,
                          struct error *error)
{
    struct environment_options options = saved_options(tail);
    struct saving saving = {.tail = tail, .stamp = stamp};
    char path[FILES_PATH_BYTES_MAX];
    enum status status = files_join(log_path, "-tail", path, error);

    if (status == STATUS_OK && tail->is_saved) {
        return STATUS_OK;
    }
    if (status == STATUS_OK) {
        status = log_tail_forget(log_path, error); /* what was saved for another time */
    }
    if (status != STATUS_OK || !tail->needs_saving) {
        return status;
    }
    MARK(log_end_found_behind_the_newest_transaction);
    return environment_create(path, &options, fill, &saving, error);
}

/* It loses its name first: what is left of it must not be taken for damage. */
enum status log_tail_forget(const char *log_path, struct error *error)
{
    char path[FILES_PATH_BYTES_MAX];
    char part[FILES_PATH_BYTES_MAX];
    enum status status = files_join(log_path, "-tail", path, error);

    if (status == STATUS_OK) {
        status = files_join(path, FILES_PART_SUFFIX, part, error);
    }
    if (status == STATUS_OK) {
        status = files_empty_folder(part, true, error);
    }
    if (status != STATUS_OK || access(path, F_OK) != 0) {
        return status;
    }
    status = files_rename(path, part, error);
    return status == STATUS_OK ? files_empty_folder(part, true, error) : status;
}

void log_tail_release(struct log_tail *tail)
{
    free(tail->entries);
    buffer_release(&tail->payloads);
}

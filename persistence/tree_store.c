#include "persistence/tree_store.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/mark.h"
#include "persistence/key_text.h"
#include "persistence/tree_format.h"
#include "persistence/tree_store_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static MDB_val value_of(struct bytes bytes)
{
    return environment_value(bytes.data, bytes.size);
}

static struct bytes bytes_of_value(MDB_val value)
{
    return bytes_of(value.mv_data, value.mv_size);
}

/* --- Meta record --- */

enum status tree_store_get_meta(const struct environment *environment,
                                MDB_txn *txn,
                                struct tree_meta *ret_meta,
                                struct error *error)
{
    MDB_val key = value_of(tree_format_meta_key());
    MDB_val value;
    uint32_t format = 0;
    int result = mdb_get(txn, environment->database, &key, &value);
    enum status status;

    if (result != MDB_SUCCESS && result != MDB_NOTFOUND) {
        return environment_error(environment, result, "reading its meta record", error);
    }
    status = result == MDB_NOTFOUND
                 ? STATUS_CORRUPT
                 : tree_format_get_meta(bytes_of_value(value), ret_meta, &format);
    if (status == STATUS_FORMAT) {
        return error_set(error, STATUS_FORMAT,
                         "%s has format %" PRIu32 ", this program knows format %d: run the version "
                         "that wrote it, or a newer one",
                         environment->path, format, (int)TREE_STORE_FORMAT);
    }
    return status == STATUS_OK
               ? STATUS_OK
               : error_set(error, STATUS_CORRUPT, "the meta record in %s is %s: " DAMAGE_WAY_OUT,
                           environment->path, result == MDB_NOTFOUND ? "missing" : "damaged");
}

enum status tree_store_put_meta(const struct environment *environment,
                                MDB_txn *txn,
                                const struct tree_meta *meta,
                                struct error *error)
{
    struct buffer buffer = BUFFER_INIT;
    MDB_val key = value_of(tree_format_meta_key());
    MDB_val value;
    int result;

    tree_format_put_meta(meta, &buffer);
    value = value_of(buffer_lend(&buffer));
    result = mdb_put(txn, environment->database, &key, &value, 0);
    buffer_release(&buffer);
    return result == MDB_SUCCESS
               ? STATUS_OK
               : environment_error(environment, result, "writing its meta record", error);
}

/* --- Opening --- */

struct environment_options tree_store_environment_options(const struct tree_store_options *options)
{
    /* No read-ahead: lookups are random, and the tree may be larger than memory. */
    return (struct environment_options){.map_bytes = options->map_bytes,
                                        .env_flags = MDB_NORDAHEAD};
}

static enum status fill_empty(struct environment *environment, void *context, struct error *error)
{
    const struct tree_meta empty = {.config = BYTES_EMPTY};
    MDB_txn *txn;
    enum status status = environment_begin_write(environment, &txn, error);

    (void)context;
    if (status != STATUS_OK) {
        return status;
    }
    status = tree_store_put_meta(environment, txn, &empty, error);
    if (status != STATUS_OK) {
        mdb_txn_abort(txn);
        return status;
    }
    return environment_commit(environment, txn, ENVIRONMENT_SYNC_ALL, error);
}

static enum status begin_reader(struct tree_store *store, struct error *error)
{
    enum status status = environment_begin_read(&store->environment, &store->reader, error);
    int result;

    if (status != STATUS_OK) {
        return status;
    }
    result = mdb_cursor_open(store->reader, store->environment.database, &store->cursor);
    store->reader_is_active = result == MDB_SUCCESS;
    return store->reader_is_active
               ? STATUS_OK
               : environment_error(&store->environment, result, "opening a cursor", error);
}

enum status tree_store_open(const char *path,
                            const struct tree_store_options *options,
                            struct tree_store **ret_store,
                            struct error *error)
{
    struct environment_options environment_options = tree_store_environment_options(options);
    struct tree_store *store = xcalloc(1, sizeof *store);
    enum status status = environment_open(&store->environment, path, &environment_options, error);

    if (status == STATUS_NOT_FOUND) {
        status = environment_create(path, &environment_options, fill_empty, NULL, error);
        if (status == STATUS_OK) {
            status = environment_open(&store->environment, path, &environment_options, error);
        }
    }
    if (status == STATUS_OK) {
        status = begin_reader(store, error);
    }
    if (status == STATUS_OK) {
        status = tree_store_get_meta(&store->environment, store->reader, &store->meta, error);
    }
    if (status != STATUS_OK) {
        tree_store_close(store);
        return status;
    }
    *ret_store = store;
    return STATUS_OK;
}

void tree_store_close(struct tree_store *store)
{
    if (store == NULL) {
        return;
    }
    if (store->cursor != NULL) {
        mdb_cursor_close(store->cursor);
    }
    if (store->reader != NULL) {
        mdb_txn_abort(store->reader);
    }
    environment_close(&store->environment);
    free(store);
}

/* --- The main thread's reader --- */

struct tree_meta tree_store_meta(const struct tree_store *store)
{
    return store->meta;
}

const struct error *tree_store_error(const struct tree_store *store)
{
    return &store->error;
}

enum status tree_store_renew(struct tree_store *store, struct error *error)
{
    int result;

    if (store->reader_is_active) {
        mdb_txn_reset(store->reader);
        store->reader_is_active = false;
    }
    store->gap.is_known = false;
    result = mdb_txn_renew(store->reader);
    if (result == MDB_SUCCESS) {
        result = mdb_cursor_renew(store->reader, store->cursor);
    }
    if (result != MDB_SUCCESS) {
        return environment_error(&store->environment, result, "renewing the reader", error);
    }
    store->reader_is_active = true;
    return tree_store_get_meta(&store->environment, store->reader, &store->meta, error);
}

enum status
tree_store_damaged(const struct environment *environment, struct bytes key, struct error *error)
{
    char text[KEY_TEXT_BYTES_MAX];

    key_text(key, text);
    return error_set(error, STATUS_CORRUPT, "the record '%s' in %s is damaged: " DAMAGE_WAY_OUT,
                     text, environment->path);
}

enum status tree_store_check_sum(const struct environment *environment,
                                 const struct tree_meta *meta,
                                 uint64_t count,
                                 uint64_t sum,
                                 struct error *error)
{
    if (count == meta->record_count && sum == meta->record_sum) {
        return STATUS_OK;
    }
    return error_set(error, STATUS_CORRUPT,
                     "the %" PRIu64 " records in %s, each sound by itself, are not the %" PRIu64
                     " that were written: " DAMAGE_WAY_OUT,
                     count, environment->path, meta->record_count);
}

static enum status not_readable(struct tree_store *store)
{
    return error_set(&store->error, STATUS_IO, "%s has no reader: its renewal failed",
                     store->environment.path);
}

static bool gap_has(const struct tree_gap *gap, struct bytes key)
{
    return gap->is_known && (gap->before.data == NULL || bytes_compare(gap->before, key) < 0) &&
           (gap->behind.data == NULL || bytes_compare(key, gap->behind) < 0);
}

/* The cursor stands behind where a key would be, `result` tells whether at one. */
static int note_gap(struct tree_store *store, int result, MDB_val behind)
{
    MDB_val before;
    MDB_val value;

    store->gap =
        (struct tree_gap){.behind = result == MDB_SUCCESS ? bytes_of_value(behind) : BYTES_EMPTY};
    result =
        mdb_cursor_get(store->cursor, &before, &value, result == MDB_SUCCESS ? MDB_PREV : MDB_LAST);
    store->gap.before = result == MDB_SUCCESS ? bytes_of_value(before) : BYTES_EMPTY;
    store->gap.is_known = result == MDB_SUCCESS || result == MDB_NOTFOUND;
    return store->gap.is_known ? MDB_NOTFOUND : result;
}

/* Each creation asks whether its name is there, and names are often created one beside the other.
 * So what lies between the neighbours of the last that was not there is known, and a search begins
 * at the page of the one before. */
static int find(struct tree_store *store, struct bytes key, MDB_val *ret_value)
{
    MDB_val found = value_of(key);
    int result;

    if (gap_has(&store->gap, key)) {
        MARK(absent_beside_the_last_absent);
        return MDB_NOTFOUND;
    }
    result = mdb_cursor_get(store->cursor, &found, ret_value, MDB_SET_RANGE);
    if (result == MDB_SUCCESS && bytes_equal(bytes_of_value(found), key)) {
        return MDB_SUCCESS;
    }
    return result == MDB_SUCCESS || result == MDB_NOTFOUND ? note_gap(store, result, found)
                                                           : result;
}

enum status tree_store_lookup(struct tree_store *store,
                              struct bytes key,
                              size_t bytes_wanted,
                              struct bytes *ret_value)
{
    struct tree_key stored_key;
    MDB_val value;
    int result;

    if (key.size > TREE_STORE_KEY_BYTES_MAX) {
        return STATUS_NOT_FOUND;
    }
    if (!store->reader_is_active) {
        return not_readable(store);
    }
    tree_format_key(key, &stored_key);
    result = find(store, bytes_of(stored_key.data, stored_key.size), &value);
    if (result == MDB_NOTFOUND) {
        return STATUS_NOT_FOUND; /* each creation asks: a text that nobody reads would cost more */
    }
    if (result != MDB_SUCCESS) {
        return environment_error(&store->environment, result, "looking up a record", &store->error);
    }
    if (!tree_format_get_record(bytes_of(stored_key.data, stored_key.size), bytes_of_value(value),
                                bytes_wanted, ret_value)) {
        return tree_store_damaged(&store->environment, key, &store->error);
    }
    return STATUS_OK;
}

static bool has_prefix(struct bytes key, struct bytes prefix)
{
    return key.size >= prefix.size &&
           (prefix.size == 0 || memcmp(key.data, prefix.data, prefix.size) == 0);
}

static enum status visit_range(struct tree_store *store,
                               MDB_cursor *cursor,
                               struct bytes from,
                               struct bytes prefix,
                               size_t bytes_wanted,
                               bool (*visit)(void *visitor, struct bytes key, struct bytes value),
                               void *visitor)
{
    struct tree_key start;
    MDB_val key_value;
    MDB_val value;
    int result;

    /* No key is longer, so what follows a longer `from` follows its beginning too. */
    tree_format_key(bytes_of(from.data, from.size > TREE_STORE_KEY_BYTES_MAX
                                            ? TREE_STORE_KEY_BYTES_MAX
                                            : from.size),
                    &start);
    key_value = value_of(bytes_of(start.data, start.size));
    for (result = mdb_cursor_get(cursor, &key_value, &value, MDB_SET_RANGE); result == MDB_SUCCESS;
         result = mdb_cursor_get(cursor, &key_value, &value, MDB_NEXT)) {
        struct bytes stored_key = bytes_of_value(key_value);
        struct bytes key;
        struct bytes record;

        if (!tree_format_record_key(stored_key, &key) || !has_prefix(key, prefix)) {
            return STATUS_OK;
        }
        if (bytes_compare(key, from) < 0) {
            continue;
        }
        if (!tree_format_get_record(stored_key, bytes_of_value(value), bytes_wanted, &record)) {
            return tree_store_damaged(&store->environment, key, &store->error);
        }
        if (!visit(visitor, key, record)) {
            return STATUS_OK;
        }
    }
    return result == MDB_NOTFOUND
               ? STATUS_OK
               : environment_error(&store->environment, result, "listing records", &store->error);
}

enum status tree_store_range(struct tree_store *store,
                             struct bytes from,
                             struct bytes prefix,
                             size_t bytes_wanted,
                             bool (*visit)(void *visitor, struct bytes key, struct bytes value),
                             void *visitor)
{
    MDB_cursor *cursor;
    enum status status;
    int result;

    if (!store->reader_is_active) {
        return not_readable(store);
    }
    result = mdb_cursor_open(store->reader, store->environment.database, &cursor);
    if (result != MDB_SUCCESS) {
        return environment_error(&store->environment, result, "listing records", &store->error);
    }
    status = visit_range(store, cursor, bytes_compare(from, prefix) < 0 ? prefix : from, prefix,
                         bytes_wanted, visit, visitor);
    mdb_cursor_close(cursor);
    return status;
}

/* --- Pages --- */

/* Seldom enough that reads do not notice: each touches what it needs once more. */
enum { FORGET_INTERVAL_US = 5 * 1000 * 1000 };

void tree_store_forget_pages(struct tree_store *store)
{
    uint64_t now_us = clock_monotonic_us();

    if (now_us - store->forgotten_us >= FORGET_INTERVAL_US) {
        store->forgotten_us = now_us;
        environment_forget_pages(&store->environment);
    }
}

/* --- Committing --- */

int tree_store_put_record(MDB_cursor *cursor, struct bytes key, struct bytes value, unsigned flags)
{
    struct tree_key stored_key;
    MDB_val key_value;
    MDB_val stored = {.mv_size = tree_format_record_bytes(value.size), .mv_data = NULL};
    int result;

    tree_format_key(key, &stored_key);
    key_value = value_of(bytes_of(stored_key.data, stored_key.size));
    result = mdb_cursor_put(cursor, &key_value, &stored, flags | MDB_RESERVE);
    if (result == MDB_SUCCESS) {
        tree_format_put_record(bytes_of(stored_key.data, stored_key.size), value, stored.mv_data);
    }
    return result;
}

static int remove_record(MDB_cursor *cursor, struct bytes key)
{
    struct tree_key stored_key;
    MDB_val key_value;
    MDB_val value;
    int result;

    tree_format_key(key, &stored_key);
    key_value = value_of(bytes_of(stored_key.data, stored_key.size));
    result = mdb_cursor_get(cursor, &key_value, &value, MDB_SET);
    if (result == MDB_NOTFOUND) {
        return MDB_SUCCESS;
    }
    return result == MDB_SUCCESS ? mdb_cursor_del(cursor, 0) : result;
}

/* The first record that lies behind everything in the store: from there on LMDB can append, which
 * fills its pages and searches nothing. */
static int find_appendable(MDB_cursor *cursor,
                           const struct tree_record *records,
                           size_t count,
                           size_t *ret_first)
{
    MDB_val key_value;
    MDB_val value;
    struct bytes last = BYTES_EMPTY;
    size_t low = 0;
    size_t high = count;
    int result = mdb_cursor_get(cursor, &key_value, &value, MDB_LAST);

    if (result != MDB_SUCCESS && result != MDB_NOTFOUND) {
        return result;
    }
    if (result == MDB_SUCCESS && tree_format_record_key(bytes_of_value(key_value), &last)) {
        while (low < high) {
            size_t middle = low + (high - low) / 2;

            if (bytes_compare(records[middle].key, last) <= 0) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
    }
    *ret_first = low;
    return MDB_SUCCESS;
}

/* Keys and values lie all over the memory, and another processor wrote them: they come near while
 * those before them are put. */
static void expect_record(const struct tree_record *record)
{
    enum { LINE_BYTES = 64, VALUE_BYTES_MAX = 256 /* the rest comes by itself */ };

    __builtin_prefetch(record->key.data);
    for (size_t at = 0; at < record->value.size && at < VALUE_BYTES_MAX; at += LINE_BYTES) {
        __builtin_prefetch(record->value.data + at);
    }
}

static int put_records(MDB_cursor *cursor, const struct tree_record *records, size_t count)
{
    enum { RECORDS_AHEAD = 4 };
    size_t appendable;
    int result = find_appendable(cursor, records, count, &appendable);

    for (size_t i = 0; result == MDB_SUCCESS && i < count; i++) {
        if (i + RECORDS_AHEAD < count) {
            expect_record(&records[i + RECORDS_AHEAD]);
        }
        CHECK(i == 0 || bytes_compare(records[i - 1].key, records[i].key) < 0);
        if (records[i].removed) {
            MARK_IF(i >= appendable, tombstone_of_what_was_never_stored);
            result = i < appendable ? remove_record(cursor, records[i].key) : MDB_SUCCESS;
        } else {
            result = tree_store_put_record(cursor, records[i].key, records[i].value,
                                           i < appendable ? 0 : MDB_APPEND);
        }
    }
    return result;
}

static enum status commit_records(struct tree_store *store,
                                  MDB_txn *txn,
                                  const struct tree_record *records,
                                  size_t count,
                                  const struct tree_meta *meta,
                                  struct error *error)
{
    MDB_cursor *cursor;
    enum status status = STATUS_OK;
    int result = mdb_cursor_open(txn, store->environment.database, &cursor);

    if (result == MDB_SUCCESS) {
        result = put_records(cursor, records, count);
        mdb_cursor_close(cursor);
    }
    if (result != MDB_SUCCESS) {
        status = environment_error(&store->environment, result, "writing a checkpoint", error);
    }
    return status == STATUS_OK ? tree_store_put_meta(&store->environment, txn, meta, error)
                               : status;
}

enum status tree_store_commit(struct tree_store *store,
                              const struct tree_record *records,
                              size_t count,
                              const struct tree_meta *meta,
                              struct error *error)
{
    struct tree_scrub scrub;
    MDB_txn *txn;
    int dead;
    enum status status;

    /* A reader of a process that was killed would keep its pages for ever. */
    (void)mdb_reader_check(store->environment.env, &dead);
    status = environment_begin_write(&store->environment, &txn, error);
    if (status != STATUS_OK) {
        return status;
    }
    scrub = tree_scrub_follow(store, txn, records, count);
    status = commit_records(store, txn, records, count, meta, error);
    if (status != STATUS_OK) {
        mdb_txn_abort(txn);
        return status;
    }
    MARK(checkpoint_before_its_commit);
    status = environment_commit(&store->environment, txn, ENVIRONMENT_SYNC_ALL, error);
    if (status == STATUS_OK) {
        store->scrub = scrub;
        tree_store_forget_pages(store);
    }
    MARK(checkpoint_committed_and_nobody_knows);
    return status;
}

uint64_t tree_store_used_bytes(const struct tree_store *store)
{
    return store->environment.used_bytes;
}

uint64_t tree_store_map_bytes(const struct tree_store *store)
{
    return store->environment.map_bytes;
}

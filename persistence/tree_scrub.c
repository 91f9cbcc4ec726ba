#include "base/mark.h"
#include "persistence/tree_store_internal.h"

static MDB_val value_of(const struct tree_key *key)
{
    return environment_value(key->data, key->size);
}

static struct bytes bytes_of_value(MDB_val value)
{
    return bytes_of(value.mv_data, value.mv_size);
}

static void subtract(struct tree_scrub *scrub, struct bytes key, struct bytes value)
{
    uint64_t count = 0;
    uint64_t sum = 0;

    scrub->weigh(key, value, &count, &sum);
    scrub->count -= count;
    scrub->sum -= sum;
}

/* --- Beside commits --- */

/* False: what was passed is not there as it was. The pass is worth nothing then. */
static bool replace(struct tree_scrub *scrub,
                    const struct environment *environment,
                    MDB_txn *txn,
                    const struct tree_record *record)
{
    struct tree_key key;
    MDB_val key_value;
    MDB_val stored;
    struct bytes old;
    int result;

    tree_format_key(record->key, &key);
    if (bytes_compare(bytes_of(key.data, key.size),
                      bytes_of(scrub->passed.data, scrub->passed.size)) > 0) {
        return true; /* not weighed yet */
    }
    MARK(record_changed_behind_the_scrub);
    key_value = value_of(&key);
    result = mdb_get(txn, environment->database, &key_value, &stored);
    if (result == MDB_SUCCESS) {
        if (!tree_format_get_record(bytes_of(key.data, key.size), bytes_of_value(stored), SIZE_MAX,
                                    &old)) {
            return false;
        }
        subtract(scrub, record->key, old);
    }
    if (!record->removed) {
        scrub->weigh(record->key, record->value, &scrub->count, &scrub->sum);
    }
    return result == MDB_SUCCESS || result == MDB_NOTFOUND;
}

struct tree_scrub tree_scrub_follow(const struct tree_store *store,
                                    MDB_txn *txn,
                                    const struct tree_record *records,
                                    size_t count)
{
    struct tree_scrub scrub = store->scrub;

    for (size_t i = 0; i < count && scrub.active; i++) {
        scrub.active = replace(&scrub, &store->environment, txn, &records[i]);
    }
    return scrub;
}

/* --- Slices --- */

static enum status finish(struct tree_store *store, MDB_txn *txn, struct error *error)
{
    struct tree_meta meta;
    enum status status = tree_store_get_meta(&store->environment, txn, &meta, error);

    return status != STATUS_OK ? status
                               : tree_store_check_sum(&store->environment, &meta,
                                                      store->scrub.count, store->scrub.sum, error);
}

/* The first record behind what was passed, and those after it. */
static enum status scrub_records(struct tree_store *store,
                                 MDB_txn *txn,
                                 MDB_cursor *cursor,
                                 uint64_t bytes_max,
                                 struct tree_scrub_slice *slice,
                                 struct error *error)
{
    struct tree_scrub *scrub = &store->scrub;
    MDB_val key_value;
    MDB_val stored;
    int result;

    if (scrub->passed.size == 0) {
        tree_format_key(BYTES_EMPTY, &scrub->passed);
    }
    key_value = value_of(&scrub->passed);
    result = mdb_cursor_get(cursor, &key_value, &stored, MDB_SET_RANGE);
    if (result == MDB_SUCCESS &&
        bytes_equal(bytes_of_value(key_value), bytes_of(scrub->passed.data, scrub->passed.size))) {
        result = mdb_cursor_get(cursor, &key_value, &stored, MDB_NEXT);
    }
    for (; result == MDB_SUCCESS && slice->bytes < bytes_max;
         result = mdb_cursor_get(cursor, &key_value, &stored, MDB_NEXT)) {
        struct bytes key;
        struct bytes value;

        if (!tree_format_get_record(bytes_of_value(key_value), bytes_of_value(stored), SIZE_MAX,
                                    &value) ||
            !tree_format_record_key(bytes_of_value(key_value), &key)) {
            return tree_store_damaged(&store->environment, bytes_of_value(key_value), error);
        }
        scrub->weigh(key, value, &scrub->count, &scrub->sum);
        tree_format_key(key, &scrub->passed);
        slice->records++;
        slice->bytes += key_value.mv_size + stored.mv_size;
    }
    slice->finished = result == MDB_NOTFOUND;
    if (slice->finished) {
        return finish(store, txn, error);
    }
    return result == MDB_SUCCESS
               ? STATUS_OK
               : environment_error(&store->environment, result, "verifying records", error);
}

enum status tree_store_scrub(struct tree_store *store,
                             tree_store_weigh *weigh,
                             uint64_t bytes_max,
                             struct tree_scrub_slice *ret_slice,
                             struct error *error)
{
    MDB_cursor *cursor;
    MDB_txn *txn;
    enum status status;
    int result;

    *ret_slice = (struct tree_scrub_slice){.finished = false};
    if (!store->scrub.active) {
        store->scrub = (struct tree_scrub){.active = true, .weigh = weigh};
    }
    status = environment_begin_read(&store->environment, &txn, error);
    if (status != STATUS_OK) {
        return status;
    }
    result = mdb_cursor_open(txn, store->environment.database, &cursor);
    if (result == MDB_SUCCESS) {
        status = scrub_records(store, txn, cursor, bytes_max, ret_slice, error);
        mdb_cursor_close(cursor);
    } else {
        status = environment_error(&store->environment, result, "verifying records", error);
    }
    mdb_txn_abort(txn);
    store->scrub.active = status == STATUS_OK && !ret_slice->finished;
    tree_store_forget_pages(store);
    return status;
}

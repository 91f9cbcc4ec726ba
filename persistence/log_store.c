#include "persistence/log_store.h"

#include "base/alloc.h"
#include "base/check.h"
#include "persistence/log_format.h"
#include "persistence/log_store_internal.h"
#include "persistence/log_tail.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct creation {
    struct log_store *store;
    raft_id node_id;
};

static enum status draw(void *bytes, size_t size, struct error *error)
{
    return getrandom(bytes, size, 0) == (ssize_t)size
               ? STATUS_OK
               : error_set(error, STATUS_IO, "the system gives no random numbers (getrandom)");
}

static enum status fill_new(struct environment *environment, void *context, struct error *error)
{
    const struct creation *creation = context;
    struct log_work work = {.store = creation->store,
                            .identity_changed = true,
                            .hard_state_changed = true,
                            .base_changed = true,
                            .witnesses_changed = true};
    enum status status;

    work.identity.node_id = creation->node_id;
    status = draw(work.identity.incarnation, RAFT_INCARNATION_BYTES, error);
    if (status != STATUS_OK) {
        return status;
    }
    /* put_record writes where the store points; it is opened anew afterwards. */
    creation->store->environment.database = environment->database;
    status = environment_begin_write(environment, &work.txn, error);
    if (status != STATUS_OK) {
        return status;
    }
    status = log_work_put_records(&work, error);
    if (status != STATUS_OK) {
        mdb_txn_abort(work.txn);
        return status;
    }
    return environment_commit(environment, work.txn, ENVIRONMENT_SYNC_ALL, error);
}

static enum status load_identity(struct log_store *store,
                                 MDB_txn *txn,
                                 raft_id node_id,
                                 uint32_t *ret_format,
                                 struct error *error)
{
    const char *path = store->environment.path;
    struct bytes record;
    uint32_t format = 0;
    enum status status = log_store_get_record(store, txn, LOG_KEY_IDENTITY, &record, error);

    if (status == STATUS_OK) {
        status = log_format_get_identity(record, &store->identity, &format);
    } else if (status != STATUS_NOT_FOUND) {
        return status;
    }
    if (status == STATUS_NOT_FOUND || status == STATUS_CORRUPT) {
        return log_store_record_damaged(store, "identity", status == STATUS_NOT_FOUND, error);
    }
    if (status == STATUS_FORMAT) {
        return error_set(error, STATUS_FORMAT,
                         "%s has format %" PRIu32 ", this program knows format %d: run the version "
                         "that wrote it, or a newer one",
                         path, format, (int)LOG_STORE_FORMAT);
    }
    if (store->identity.node_id != node_id) {
        return error_set(error, STATUS_MISMATCH,
                         "data folder %s belongs to node %" PRIu64 ", this is node %" PRIu64
                         ": give --id %" PRIu64 " or another --data",
                         path, store->identity.node_id, node_id, store->identity.node_id);
    }
    if (store->identity.is_superseded && !store->is_inspected) {
        return error_set(error, STATUS_MISMATCH,
                         "%s is an old copy of the data of server %" PRIu64
                         ", as another member found: it lacks votes and acknowledged writes; way "
                         "out: confer-cli remove-member %" PRIu64
                         ", delete the folder, start the server, confer-cli add-learner --node "
                         "%" PRIu64 "=HOST:PORT --promote",
                         path, node_id, node_id, node_id);
    }
    *ret_format = format;
    return STATUS_OK;
}

static enum status
load_witnesses(struct log_store *store, MDB_txn *txn, uint32_t format, struct error *error)
{
    struct bytes record;
    enum status status = log_store_get_record(store, txn, LOG_KEY_WITNESSES, &record, error);

    if (status == STATUS_NOT_FOUND && format < LOG_STORE_FORMAT_OF_WITNESSES) {
        return STATUS_OK;
    }
    if (status == STATUS_OK) {
        status = log_format_get_witnesses(record, store->witnesses, &store->witness_count);
    } else if (status != STATUS_NOT_FOUND) {
        return status;
    }
    return status == STATUS_OK ? STATUS_OK
                               : log_store_record_damaged(store, "memory of other servers",
                                                          status == STATUS_NOT_FOUND, error);
}

static enum status
load_stamp(struct log_store *store, MDB_txn *txn, uint32_t format, struct error *error)
{
    struct bytes record;
    enum status status = log_store_get_record(store, txn, LOG_KEY_STAMP, &record, error);

    if (status == STATUS_NOT_FOUND && format < LOG_STORE_FORMAT_OF_STAMPS) {
        return STATUS_OK;
    }
    if (status == STATUS_OK && log_format_get_stamp_record(record, &store->synced_stamp)) {
        return STATUS_OK;
    }
    return status == STATUS_OK || status == STATUS_NOT_FOUND
               ? log_store_record_damaged(store, "stamp", status == STATUS_NOT_FOUND, error)
               : status;
}

static enum status
load(struct log_store *store, raft_id node_id, uint32_t *ret_format, struct error *error)
{
    MDB_txn *txn;
    enum status status = environment_begin_read(&store->environment, &txn, error);

    if (status != STATUS_OK) {
        return status;
    }
    status = load_identity(store, txn, node_id, ret_format, error);
    if (status == STATUS_OK) {
        status = load_witnesses(store, txn, *ret_format, error);
    }
    if (status == STATUS_OK) {
        status = load_stamp(store, txn, *ret_format, error);
    }
    if (status == STATUS_OK) {
        status = log_store_load_state(store, txn, &store->state, error);
    }
    mdb_txn_abort(txn);
    return status;
}

/* Draw the numbers of this start, and put the log's end in its place; durably. */
static enum status
begin_start(struct log_store *store, const struct log_tail *tail, struct error *error)
{
    const struct log_write write = {.entries = tail->entries, .entry_count = tail->count};
    struct log_work work;
    uint64_t start;
    enum status status = draw(&start, sizeof start, error);

    if (status == STATUS_OK) {
        status = log_work_begin(store, &work, error);
    }
    if (status != STATUS_OK) {
        return status;
    }
    memmove(work.identity.starts + 1, work.identity.starts,
            (LOG_STORE_STARTS_MAX - 1) * sizeof work.identity.starts[0]);
    work.identity.starts[0] = start;
    work.identity.start_count++;
    if (work.identity.start_known < LOG_STORE_STARTS_MAX) {
        work.identity.start_known++;
    }
    work.identity_changed = true;
    work.witnesses_changed = true; /* an older format has none */
    status = log_work_finish(&work, log_work_apply(&work, &write, error), error);
    store->shown = store->identity;
    return status;
}

/* The same without a start. What it writes is of the present format, and the identity says so. */
static enum status
put_back(struct log_store *store, const struct log_tail *tail, struct error *error)
{
    const struct log_write write = {.entries = tail->entries, .entry_count = tail->count};
    struct log_work work;
    enum status status = log_work_begin(store, &work, error);

    if (status != STATUS_OK) {
        return status;
    }
    work.identity_changed = true;
    return log_work_finish(&work, log_work_apply(&work, &write, error), error);
}

static enum status start(struct log_store *store, uint32_t format, struct error *error)
{
    const char *path = store->environment.path;
    struct log_tail tail = {.payloads = BUFFER_INIT};
    enum status status = STATUS_OK;

    if (format >= LOG_STORE_FORMAT_OF_STAMPS) {
        status = log_tail_find(path, &store->state, store->synced_stamp, &tail, error);
    }
    if (status == STATUS_OK) {
        status = log_tail_save(path, store->synced_stamp, &tail, error);
    }
    if (status == STATUS_OK && !store->is_inspected) {
        status = begin_start(store, &tail, error);
    } else if (status == STATUS_OK && tail.count > 0) {
        status = put_back(store, &tail, error);
    }
    if (status == STATUS_OK) {
        status = log_tail_forget(path, error);
    }
    log_tail_release(&tail);
    return status;
}

static enum status open_or_create(struct log_store *store,
                                  const char *path,
                                  raft_id node_id,
                                  uint64_t map_bytes,
                                  struct error *error)
{
    struct environment_options options = {
        .map_bytes = map_bytes, .database_flags = MDB_INTEGERKEY, .late_metas = true};
    enum status status = environment_open(&store->environment, path, &options, error);

    if (status == STATUS_NOT_FOUND) {
        struct creation creation = {.store = store, .node_id = node_id};

        status = environment_create(path, &options, fill_new, &creation, error);
        if (status == STATUS_OK) {
            status = environment_open(&store->environment, path, &options, error);
        }
    }
    return status;
}

enum status log_store_open(const char *path,
                           raft_id node_id,
                           const struct log_store_options *options,
                           struct log_store **ret_store,
                           struct error *error)
{
    struct log_store *store = xcalloc(1, sizeof *store);
    uint32_t format = 0;
    enum status status;

    _Static_assert(sizeof(size_t) == sizeof(uint64_t), "MDB_INTEGERKEY takes 64-bit keys");
    CHECK(pthread_mutex_init(&store->write_lock, NULL) == 0);
    CHECK(pthread_mutex_init(&store->state_lock, NULL) == 0);
    store->journal.file = -1;
    store->prezero = options->prezero;
    store->is_inspected = options->is_inspected;
    status = draw(&store->stamp, sizeof store->stamp, error);
    if (status == STATUS_OK) {
        status = open_or_create(store, path, node_id, options->map_bytes, error);
    }
    if (status == STATUS_OK) {
        status = load(store, node_id, &format, error);
    }
    store->shown = store->identity;
    store->merged_last = store->state.last;
    if (status == STATUS_OK) {
        status = start(store, format, error);
    }
    if (status == STATUS_OK && options->journal_bytes > 0 && !options->is_inspected) {
        status = log_journal_open(path, options->journal_bytes, &store->journal, error);
    }
    if (status != STATUS_OK) {
        log_store_close(store);
        return status;
    }
    *ret_store = store;
    return STATUS_OK;
}

void log_store_close(struct log_store *store)
{
    struct error error;

    if (store == NULL) {
        return;
    }
    if (store->journaled.count > 0) {
        /* It would be found there too. */
        (void)!log_store_merge(store, &error);
    }
    log_journal_close(&store->journal);
    buffer_release(&store->journaled.records);
    environment_close(&store->environment);
    (void)pthread_mutex_destroy(&store->write_lock);
    (void)pthread_mutex_destroy(&store->state_lock);
    free(store);
}

enum status log_store_set_cluster(struct log_store *store,
                                  const uint8_t cluster_id[LOG_STORE_CLUSTER_ID_BYTES],
                                  struct error *error)
{
    const struct log_identity *shown = &store->shown;
    struct log_work work;
    enum status status;

    if (shown->has_cluster) {
        return memcmp(shown->cluster_id, cluster_id, LOG_STORE_CLUSTER_ID_BYTES) == 0
                   ? STATUS_OK
                   : error_set(error, STATUS_MISMATCH,
                               "data folder %s belongs to another cluster: give another --data",
                               store->environment.path);
    }
    status = log_work_begin_alone(store, &work, error);
    if (status != STATUS_OK) {
        return status;
    }
    work.identity.has_cluster = true;
    memcpy(work.identity.cluster_id, cluster_id, LOG_STORE_CLUSTER_ID_BYTES);
    work.identity_changed = true;
    status = log_work_finish(&work, STATUS_OK, error);
    if (status == STATUS_OK) {
        store->shown.has_cluster = true;
        memcpy(store->shown.cluster_id, cluster_id, LOG_STORE_CLUSTER_ID_BYTES);
    }
    return status;
}

enum status log_store_set_superseded(struct log_store *store, struct error *error)
{
    struct log_work work;
    enum status status = log_work_begin_alone(store, &work, error);

    if (status != STATUS_OK) {
        return status;
    }
    work.identity.is_superseded = true;
    work.identity_changed = true;
    return log_work_finish(&work, STATUS_OK, error);
}

size_t log_store_witnesses(const struct log_store *store,
                           struct log_witness witnesses[LOG_STORE_WITNESSES_MAX])
{
    memcpy(witnesses, store->witnesses, store->witness_count * sizeof witnesses[0]);
    return store->witness_count;
}

enum status
log_store_recover(struct log_store *store, const struct log_recovery *recovery, struct error *error)
{
    static const struct log_witness nobody;
    const struct log_write write = {.hard_state = true,
                                    .term = recovery->term,
                                    .entries = recovery->entries,
                                    .entry_count = recovery->entry_count,
                                    .witnesses = &nobody};
    struct log_work work;
    enum status status = log_work_begin(store, &work, error);

    if (status != STATUS_OK) {
        return status;
    }
    memcpy(work.identity.incarnation, recovery->incarnation, RAFT_INCARNATION_BYTES);
    memcpy(work.identity.cluster_id, recovery->cluster_id, LOG_STORE_CLUSTER_ID_BYTES);
    work.identity.has_cluster = true;
    work.identity.is_superseded = false;
    work.identity_changed = true;
    return log_work_finish(&work, log_work_apply(&work, &write, error), error);
}

const struct log_identity *log_store_identity(const struct log_store *store)
{
    return &store->shown;
}

struct log_state log_store_state(const struct log_store *store)
{
    /* A lock is no part of what the store says. */
    pthread_mutex_t *lock = &((struct log_store *)(uintptr_t)store)->state_lock;
    struct log_state state;

    (void)pthread_mutex_lock(lock);
    state = store->state;
    (void)pthread_mutex_unlock(lock);
    return state;
}

uint64_t log_store_used_bytes(const struct log_store *store)
{
    return store->environment.used_bytes;
}

uint64_t log_store_map_bytes(const struct log_store *store)
{
    return store->environment.map_bytes;
}

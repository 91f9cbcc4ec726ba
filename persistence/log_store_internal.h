/* The inside of a log store: log_store.c opens it, log_store_journal.c takes small writes,
 * log_store_write.c all others, and log_store_read.c reads. The log thread may use
 * log_store_write_batch, log_store_can_trim, log_store_turn_over and log_prezero.h. */
#ifndef PERSISTENCE_LOG_STORE_INTERNAL_H
#define PERSISTENCE_LOG_STORE_INTERNAL_H

#include "persistence/environment.h"
#include "persistence/log_journal.h"
#include "persistence/log_store.h"

#include <pthread.h>

/* What is durable in the journal and not yet in LMDB: entries behind all others. */
struct log_journaled {
    struct buffer records; /* as in the journal, one behind the other */
    size_t count;          /* of entries; 0: there are none */
    raft_index last;
    uint64_t first_stamp;
};

struct log_store {
    struct environment environment;
    struct log_journal journal;     /* under write_lock */
    struct log_journaled journaled; /* the same */
    _Atomic raft_index merged_last; /* the last entry in LMDB; written under write_lock */
    /* Held by whoever writes, from the beginning of the transaction to its end, and while zeros are
     * written: LMDB must not use the file's end meanwhile. */
    pthread_mutex_t write_lock;
    struct log_identity identity; /* as on disk; under write_lock */
    struct log_identity shown;    /* for log_store_identity: changed by open and set_cluster only */
    pthread_mutex_t state_lock;
    struct log_state state; /* as on disk; written under both locks */
    struct log_witness witnesses[LOG_STORE_WITNESSES_MAX]; /* as on disk; under write_lock */
    size_t witness_count;
    /* Under write_lock: the number of the last write that was begun, and of the last commit whose
     * meta page was waited for, as on disk. They run up from a number that each open draws. */
    uint64_t stamp;
    uint64_t synced_stamp;
    bool prezero;
    bool is_inspected;
    uint64_t file_bytes;   /* 0 = not known; under write_lock */
    uint64_t prezero_rest; /* batches to let pass after a full disk */
};

/* As log_store_write, for several writes in one transaction, in order: the last hard state counts,
 * later entries replace earlier ones, a reset drops what came before it. All or nothing. */
MUST_CHECK enum status log_store_write_batch(struct log_store *store,
                                             const struct log_write *const *writes,
                                             size_t count,
                                             struct error *error);

/* Whether entries up to `trim` can be deleted now: some of them are in LMDB. */
bool log_store_can_trim(struct log_store *store, raft_index trim);
/* A transaction that changes nothing: what one frees, LMDB gives to the second one after it. */
MUST_CHECK enum status log_store_turn_over(struct log_store *store, struct error *error);
/* Write them to the journal if they may go there. *ret_done: they are durable; else LMDB has to
 * take them. Under write_lock. The statuses of log_store_write, without NO_SPACE. */
MUST_CHECK enum status log_store_journal_write(struct log_store *store,
                                               const struct log_write *const *writes,
                                               size_t count,
                                               bool *ret_done,
                                               struct error *error);
/* Put what only the journal has into LMDB. */
MUST_CHECK enum status log_store_merge(struct log_store *store, struct error *error);

/* A write under way. `state` and `identity` become the store's when it is durable. */
struct log_work {
    struct log_store *store;
    MDB_txn *txn;
    MDB_cursor *cursor;
    struct log_state state;
    struct log_identity identity;
    uint64_t deleted_bytes;
    size_t appended; /* entries, since it trimmed */
    bool is_merging; /* it has what only the journal had */
    bool identity_changed;
    bool hard_state_changed;
    bool base_changed;
    bool witnesses_changed;
    bool needs_meta;                     /* also if none of these changed */
    const struct log_witness *witnesses; /* NULL: those of the store */
    size_t witness_count;
};

/* Take the write lock and begin a transaction with what only the journal has. After OK
 * log_work_finish must follow. */
MUST_CHECK enum status
log_work_begin(struct log_store *store, struct log_work *work, struct error *error);
/* The same without that: what makes room must not need any. */
MUST_CHECK enum status
log_work_begin_alone(struct log_store *store, struct log_work *work, struct error *error);
/* Whether the write continues what the log holds: checked before anything is touched. INVALID,
 * LIMIT.
 */
MUST_CHECK enum status
log_work_check(const struct log_work *work, const struct log_write *write, struct error *error);
/* One write in the transaction. */
MUST_CHECK enum status
log_work_apply(struct log_work *work, const struct log_write *write, struct error *error);
/* With `status` OK put the changed records and commit, else take everything back. Gives the lock
 * back. Returns what became of it. */
MUST_CHECK enum status
log_work_finish(struct log_work *work, enum status status, struct error *error);
MUST_CHECK enum status log_work_put_records(struct log_work *work, struct error *error);

/* NOT_FOUND, IO, CORRUPT. */
MUST_CHECK enum status log_store_get_record(const struct log_store *store,
                                            MDB_txn *txn,
                                            uint64_t key,
                                            struct bytes *ret_record,
                                            struct error *error);
/* Base and hard state from their records, the last entry from the last key. */
MUST_CHECK enum status log_store_load_state(const struct log_store *store,
                                            MDB_txn *txn,
                                            struct log_state *state,
                                            struct error *error);
/* CORRUPT with the words. */
enum status log_store_record_damaged(const struct log_store *store,
                                     const char *what,
                                     bool missing,
                                     struct error *error);
enum status log_store_entry_damaged(const struct log_store *store,
                                    raft_index index,
                                    const char *how,
                                    struct error *error);

#endif

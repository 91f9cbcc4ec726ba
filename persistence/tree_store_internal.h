/* What dumps may do with a tree store beyond tree_store.h. */
#ifndef PERSISTENCE_TREE_STORE_INTERNAL_H
#define PERSISTENCE_TREE_STORE_INTERNAL_H

#include "persistence/environment.h"
#include "persistence/tree_format.h"
#include "persistence/tree_store.h"

/* A pass over all records, in order of keys; what it has passed is kept up to date by commits. */
struct tree_scrub {
    bool active;
    tree_store_weigh *weigh;
    struct tree_key passed; /* the last key that was weighed; empty = none */
    uint64_t count;
    uint64_t sum;
};

/* Two stored keys with nothing between them, as of the reader; lent by its map. No data = no key on
 * that side. */
struct tree_gap {
    bool is_known;
    struct bytes before;
    struct bytes behind;
};

struct tree_store {
    struct environment environment;
    struct tree_scrub scrub; /* the checkpoint thread's */
    uint64_t forgotten_us;   /* when pages were, the checkpoint thread's */
    MDB_txn *reader;         /* the main thread's, as all that follows */
    MDB_cursor *cursor;      /* the reader's, where the last lookup left it */
    struct tree_gap gap;     /* where the last one found nothing */
    bool reader_is_active;   /* false after a failed renewal */
    struct tree_meta meta;   /* as of the reader */
    struct error error;
};

struct environment_options tree_store_environment_options(const struct tree_store_options *options);

/* Set the words for a record whose seal is broken; CORRUPT. */
enum status
tree_store_damaged(const struct environment *environment, struct bytes key, struct error *error);
/* CORRUPT unless what was weighed is what the meta record says. */
MUST_CHECK enum status tree_store_check_sum(const struct environment *environment,
                                            const struct tree_meta *meta,
                                            uint64_t count,
                                            uint64_t sum,
                                            struct error *error);
/* What the pass under way comes to when these records have been written in `txn`, asked before. */
struct tree_scrub tree_scrub_follow(const struct tree_store *store,
                                    MDB_txn *txn,
                                    const struct tree_record *records,
                                    size_t count);

/* The meta record of `txn`; `config` lent until it ends. CORRUPT, FORMAT, IO. */
MUST_CHECK enum status tree_store_get_meta(const struct environment *environment,
                                           MDB_txn *txn,
                                           struct tree_meta *ret_meta,
                                           struct error *error);
/* After what has touched many pages: every few seconds, forget those of the file. Checkpoint
 * thread.
 */
void tree_store_forget_pages(struct tree_store *store);
/* Put the meta record into a write transaction. */
MUST_CHECK enum status tree_store_put_meta(const struct environment *environment,
                                           MDB_txn *txn,
                                           const struct tree_meta *meta,
                                           struct error *error);
/* Put a record at the cursor; `flags` may be MDB_APPEND. Returns LMDB's result. */
MUST_CHECK int
tree_store_put_record(MDB_cursor *cursor, struct bytes key, struct bytes value, unsigned flags);

#endif

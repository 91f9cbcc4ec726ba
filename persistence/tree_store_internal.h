/* What dumps may do with a tree store beyond tree_store.h. */
#ifndef PERSISTENCE_TREE_STORE_INTERNAL_H
#define PERSISTENCE_TREE_STORE_INTERNAL_H

#include "persistence/environment.h"
#include "persistence/tree_store.h"

struct tree_store {
    struct environment environment;
    MDB_txn *reader;       /* the main thread's */
    bool reader_is_active; /* false after a failed renewal */
    struct tree_meta meta; /* as of the reader */
    struct error error;
};

struct environment_options tree_store_environment_options(const struct tree_store_options *options);

/* The meta record of `txn`; `config` lent until it ends. CORRUPT, FORMAT, IO. */
MUST_CHECK enum status tree_store_get_meta(const struct environment *environment,
                                           MDB_txn *txn,
                                           struct tree_meta *ret_meta,
                                           struct error *error);
/* Put the meta record into a write transaction. */
MUST_CHECK enum status tree_store_put_meta(const struct environment *environment,
                                           MDB_txn *txn,
                                           const struct tree_meta *meta,
                                           struct error *error);
/* Put a record at the cursor; `flags` may be MDB_APPEND. Returns LMDB's result. */
MUST_CHECK int
tree_store_put_record(MDB_cursor *cursor, struct bytes key, struct bytes value, unsigned flags);

#endif

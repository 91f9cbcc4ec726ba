/* One LMDB environment with one unnamed database: made whole or not at all, opened with a check
 * that the file is all there, committed with errors that stick.
 *
 * Each commit's pages are synced before its meta page is written, and as a rule that one too before
 * the commit returns (enum environment_sync); MDB_NOSYNC and MDB_WRITEMAP are never set. MDB_NOTLS:
 * read transactions belong to their handle, not to a thread. The map's size is fixed: address space
 * only, and never changed while open.
 *
 * The caller sees to it that write transactions come from one thread at a time. */
#ifndef PERSISTENCE_ENVIRONMENT_H
#define PERSISTENCE_ENVIRONMENT_H

#include "base/error.h"
#include "persistence/damage.h"
#include "persistence/files.h"

#include <lmdb.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Of larger files only the upper levels are examined when they are opened: that is what a start may
 * cost. */
#define ENVIRONMENT_EXAMINED_BYTES_MAX (UINT64_C(512) << 20)

struct environment_options {
    uint64_t map_bytes;      /* rounded up to whole pages; raised to what the file holds already */
    unsigned env_flags;      /* besides MDB_NOTLS */
    unsigned database_flags; /* MDB_INTEGERKEY or 0 */
    bool late_metas;         /* there will be commits with ENVIRONMENT_SYNC_PAGES */
};

/* What of a commit is durable when it returns. */
enum environment_sync {
    ENVIRONMENT_SYNC_ALL,
    /* Its pages, but not yet the meta page that makes them the newest; the next commit's sync takes
     * that along. One flush of the disk instead of two; but after a power cut the store may be at
     * the transaction before this one, with the pages of this one unused in the file, for whoever
     * can make sense of them (page_walk's on_loose). */
    ENVIRONMENT_SYNC_PAGES
};

struct environment {
    MDB_env *env;
    MDB_dbi database;
    char path[FILES_PATH_BYTES_MAX];
    size_t page_bytes;
    uint64_t map_bytes;
    void *map; /* where LMDB has mapped the file, NULL = not known */
    size_t map_length;
    _Atomic uint64_t touched_bytes; /* since the last environment_forget_pages by count */
    /* With late metas: the snapshots of the two newest transactions, or NULL. */
    MDB_txn *pins[2];
    unsigned oldest_pin;
    _Atomic uint64_t used_bytes; /* in pages that hold something; freed ones do not count */
    bool failed; /* a commit's outcome is unknown; `failure` is returned from then on */
    struct error failure;
};

/* Open what environment_create made. NOT_FOUND: nothing is there (an empty folder is removed).
 * CORRUPT: the file is damaged or cut off. FORMAT: of another LMDB. IO, NO_MEMORY. */
MUST_CHECK enum status environment_open(struct environment *environment,
                                        const char *path,
                                        const struct environment_options *options,
                                        struct error *error);
/* Build a new environment at `path`, which must not exist: `fill` writes and commits what belongs
 * in it, under PATH.part; then it gets its name. After a failure or a crash nothing is at `path`.
 * It is closed again when this returns. */
MUST_CHECK enum status environment_create(const char *path,
                                          const struct environment_options *options,
                                          enum status (*fill)(struct environment *environment,
                                                              void *context,
                                                              struct error *error),
                                          void *context,
                                          struct error *error);
void environment_close(struct environment *environment);

/* LMDB's type has no const; it does not write through the keys and values that it is given. */
MDB_val environment_value(const void *data, size_t size);

/* The error's words for result `result` of LMDB while doing `what` ("reading entry 5"). */
enum status environment_error(const struct environment *environment,
                              int result,
                              const char *what,
                              struct error *error);

/* The same, and make it stick: every later write fails with these words. */
enum status environment_fail(struct environment *environment,
                             int result,
                             const char *what,
                             struct error *error);

/* A write transaction; fails with the old words once a commit has failed. */
MUST_CHECK enum status
environment_begin_write(struct environment *environment, MDB_txn **ret_txn, struct error *error);
MUST_CHECK enum status environment_begin_read(const struct environment *environment,
                                              MDB_txn **ret_txn,
                                              struct error *error);
/* Commit, durably as `sync` says; the transaction is gone afterwards.
 * NO_SPACE  map or disk are full: nothing counts of it, and the environment goes on.
 * others    the outcome is unknown, and every later write fails with the same words. */
MUST_CHECK enum status environment_commit(struct environment *environment,
                                          MDB_txn *txn,
                                          enum environment_sync sync,
                                          struct error *error);
/* With late metas: make the newest one durable, so that the pages that were kept in case it is lost
 * can be used again. Where there is no space they may be all there is. As environment_commit,
 * without NO_SPACE. */
MUST_CHECK enum status environment_settle(struct environment *environment, struct error *error);

/* Take the file's pages out of the process's resident memory. They stay in the system's cache, from
 * where the next touch has them back, sixteen at a time; so what has not been touched lately does
 * not count as the server's. Any thread, at any time. */
void environment_forget_pages(struct environment *environment);
/* So many bytes of the file were touched that will hardly be touched again soon: forgets pages when
 * they have come to a few MiB. Any thread. */
void environment_count_touched(struct environment *environment, uint64_t bytes);

#endif

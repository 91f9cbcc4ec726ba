/* The checkpoint on disk: one generation, an ordered map from keys to values in one LMDB
 * environment with default (synchronous) flags. It knows nothing of nodes; server/state owns keys
 * and values. Every value carries a checksum over its key and itself.
 *
 * Threads: tree_store_commit on the checkpoint thread; tree_store_dump on that or another, also
 * while there are commits; lookup and range on the main thread, through one reader that shows the
 * commit it was last renewed at. */
#ifndef PERSISTENCE_TREE_STORE_H
#define PERSISTENCE_TREE_STORE_H

#include "base/bytes.h"
#include "base/error.h"
#include "raft/raft.h"

enum { TREE_STORE_FORMAT = 2, TREE_STORE_KEY_BYTES_MAX = 510 };

struct tree_store;

struct tree_store_options {
    uint64_t map_bytes; /* fixed size of the map; 64 GiB of address space */
};

/* What the checkpoint stands for, stored in the transaction that holds its records. */
struct tree_meta {
    raft_index applied_index; /* 0 in a new one */
    raft_term applied_term;
    raft_index config_index;
    struct bytes config;   /* encoded configuration at applied_index; empty in a new one */
    uint64_t record_count; /* digest of the state at applied_index */
    uint64_t record_sum;
};

/* Open, or make an empty one. CORRUPT, FORMAT, IO, NO_SPACE, NO_MEMORY; the text names the folder
 * and the way out. */
MUST_CHECK enum status tree_store_open(const char *path,
                                       const struct tree_store_options *options,
                                       struct tree_store **ret_store,
                                       struct error *error);
void tree_store_close(struct tree_store *store); /* NULL is fine */

/* As of the reader (see tree_store_renew); `config` lent until the next renewal. */
struct tree_meta tree_store_meta(const struct tree_store *store);

/* NOT_FOUND; CORRUPT (the value is damaged), IO. *ret_value lent until the next renewal; of a value
 * longer than `bytes_wanted` it may be only a beginning that is at least as long, and only that is
 * then read and compared with its checksum. After a failure other than NOT_FOUND, tree_store_error
 * has the words. Main thread. */
MUST_CHECK enum status tree_store_lookup(struct tree_store *store,
                                         struct bytes key,
                                         size_t bytes_wanted,
                                         struct bytes *ret_value);
/* Visit records with key >= `from` that start with `prefix`, in order, until `visit` returns false.
 * `bytes_wanted` of each value, as above. Main thread. */
MUST_CHECK enum status
tree_store_range(struct tree_store *store,
                 struct bytes from,
                 struct bytes prefix,
                 size_t bytes_wanted,
                 bool (*visit)(void *visitor, struct bytes key, struct bytes value),
                 void *visitor);
/* Show the last finished commit. Cheap. Main thread. */
MUST_CHECK enum status tree_store_renew(struct tree_store *store, struct error *error);
const struct error *tree_store_error(const struct tree_store *store);

/* Adds the share of a record to the digest that is in the meta record; its owner knows it. */
typedef void tree_store_weigh(struct bytes key, struct bytes value, uint64_t *count, uint64_t *sum);

struct tree_record {
    struct bytes key;
    struct bytes value;
    bool removed;
};

/* Put the records (ordered by key, unique) and `meta` in one durable transaction.
 *
 * Meant for up to 8k records or 16 MiB: LMDB keeps in memory each page that it changes, and that
 * memory for the next commits. There is no hard limit: past 131,072 changed pages LMDB
 * writes pages out before the commit, which is slower (and 0.9.24 loses 1 MiB of memory each time,
 * ITS#9155).
 * NO_SPACE  map or disk are full: nothing changed, try again when there is space.
 * others    the outcome is unknown: end the process. */
MUST_CHECK enum status tree_store_commit(struct tree_store *store,
                                         const struct tree_record *records,
                                         size_t count,
                                         const struct tree_meta *meta,
                                         struct error *error);

struct tree_scrub_slice {
    uint64_t records;
    uint64_t bytes;
    bool finished; /* with this slice everything has been verified once */
};

/* Verify a slice of about `bytes_max` of the last commit: the seal of each record, and after the
 * last one that their shares add up to the digest of the meta record. Slices go on where the one
 * before ended, over commits that come between, and begin anew after the last one; each is one
 * short read transaction. CORRUPT: the text names what does not fit; the next slice begins anew.
 * IO. Checkpoint thread. */
MUST_CHECK enum status tree_store_scrub(struct tree_store *store,
                                        tree_store_weigh *weigh,
                                        uint64_t bytes_max,
                                        struct tree_scrub_slice *ret_slice,
                                        struct error *error);

uint64_t tree_store_used_bytes(const struct tree_store *store); /* any thread */
uint64_t tree_store_map_bytes(const struct tree_store *store);

/* --- Dumps: the whole checkpoint as one file of sorted records with checksums --- */

/* Write the last commit to a new file at `path`, in one read transaction; synced, complete or
 * absent (written under a temporary name). `cluster_id` is stored in it. `config` of the meta is
 * written to `config_buffer`. NO_SPACE, IO; CORRUPT: a record is damaged, or they do not add up to
 * the digest of the meta record by `weigh` (NULL: not asked), so there is no dump. Meanwhile LMDB
 * uses no page anew that later commits free. Any thread. */
MUST_CHECK enum status tree_store_dump(struct tree_store *store,
                                       const char *path,
                                       const uint8_t cluster_id[16],
                                       tree_store_weigh *weigh,
                                       struct buffer *config_buffer,
                                       struct tree_meta *ret_meta,
                                       uint64_t *ret_bytes,
                                       struct error *error);

/* Read a dump's header and trailer without reading its records: is it complete, whose is it, what
 * does it stand for. `config` of the meta is written to `config_buffer`. MISMATCH: another
 * cluster's. CORRUPT, FORMAT, IO, NOT_FOUND. */
MUST_CHECK enum status dump_inspect(const char *path,
                                    const uint8_t cluster_id[16],
                                    struct buffer *config_buffer,
                                    struct tree_meta *ret_meta,
                                    struct error *error);

/* Build a new generation at `tree_path` (which must not exist) from the dump: each record is
 * checked (checksum, order, limits, by `check_record`, which may be NULL), the count must agree;
 * synced, files and folder. On failure nothing is left. CORRUPT names the record's number. Any
 * thread; blocks. */
MUST_CHECK enum status dump_install(const char *path,
                                    const char *tree_path,
                                    const struct tree_store_options *options,
                                    const uint8_t cluster_id[16],
                                    bool (*check_record)(struct bytes key, struct bytes value),
                                    struct error *error);

#endif

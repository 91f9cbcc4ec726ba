/* The Raft log on disk: identity, hard state, base and entries, in one LMDB environment. Every
 * value carries a checksum over its key and itself. An entry larger than 512 KiB is stored in
 * pieces; small ones that are appended together share a value.
 *
 * What a write that returned has stored survives a power cut. Entries that are appended cost one
 * flush of the disk: a few go into a journal first (log_journal.h), of many LMDB's meta page is not
 * waited for. The next open finds what LMDB has not (log_tail.h). Whatever else changes costs two.
 *
 * Threads: open, boot and close on one thread while nothing else runs. Writing functions take turns
 * (they block each other), log_store_read and log_store_state may run on any thread at any time.
 *
 * What the statuses of a write mean:
 *   NO_SPACE        map or disk are full: nothing was written, the store goes on, a later write may
 *                   pass.
 *   INVALID, LIMIT  the write itself is impossible: nothing was written.
 *   others          the outcome is unknown: every later write is refused with the same words; end
 *                   the process, restart finds out. */
#ifndef PERSISTENCE_LOG_STORE_H
#define PERSISTENCE_LOG_STORE_H

#include "base/bytes.h"
#include "base/error.h"
#include "raft/raft.h"

enum {
    LOG_STORE_CLUSTER_ID_BYTES = 16,
    /* Written. Older formats are read as well, and become 9 with the identity that each start
     * writes: who knows only them would take for damage, or apply in another way, what was added
     * (docs/DISK_FORMAT.md). */
    LOG_STORE_FORMAT = 9,
    LOG_STORE_FORMAT_OLDEST = 1,
    LOG_STORE_FORMAT_OF_WITNESSES = 4, /* the first that has them, and the numbers of starts */
    LOG_STORE_FORMAT_OF_STAMPS = 5,    /* the first that has the stamp record */
    LOG_STORE_JOURNAL_BYTES = 2 * 1024 * 1024, /* of a server */
    LOG_STORE_STARTS_MAX = 64,
    LOG_STORE_WITNESSES_MAX = RAFT_MEMBERS_MAX,
    LOG_STORE_ENTRY_BYTES_MAX = 128 * 1024 * 1024
};

struct log_store;

struct log_identity {
    raft_id node_id;
    uint8_t incarnation[RAFT_INCARNATION_BYTES]; /* drawn when the folder is made */
    bool has_cluster;
    uint8_t cluster_id[LOG_STORE_CLUSTER_ID_BYTES];
    uint64_t start_count; /* raised durably by every open, which also draws a number: */
    uint64_t starts[LOG_STORE_STARTS_MAX]; /* [i] is that of the open `start_count` - i */
    uint32_t start_known;                  /* of them; the last ones */
    bool is_superseded; /* log_store_set_superseded was called: the folder is of no use any more */
    uint64_t tree_generation;
};

/* What this server saw last of another one's data folder. Kept here so that an old copy of that
 * folder is known when it comes back. */
struct log_witness {
    raft_id id;
    uint8_t incarnation[RAFT_INCARNATION_BYTES];
    uint64_t start_count;
    uint64_t start; /* the number drawn by that start */
    /* Durable there for sure: */
    raft_term term;
    raft_index index; /* and committed, so it is there for ever */
};

struct log_store_options {
    uint64_t map_bytes; /* fixed size of the map; 8 GiB */
    /* Of the journal, whole blocks; 0: none, everything goes to LMDB at once. */
    size_t journal_bytes;
    bool prezero; /* write zeros ahead of use: a sync that lengthens the file costs more */
    /* Count no start, open a superseded folder too, and write nothing but the log's own end to its
     * place, if a power cut took it from there (log_tail.h). */
    bool is_inspected;
};

/* Open, or make for `node_id` when the folder is new.
 * MISMATCH  the folder belongs to another node id, or is superseded; the text says which.
 * FORMAT    written by a newer version.
 * CORRUPT   identity or hard state are damaged or missing while entries exist.
 * IO, NO_SPACE, NO_MEMORY. The text names the folder and the way out. */
MUST_CHECK enum status log_store_open(const char *path,
                                      raft_id node_id,
                                      const struct log_store_options *options,
                                      struct log_store **ret_store,
                                      struct error *error);
void log_store_close(struct log_store *store); /* NULL is fine */

/* Every later open is refused. Waits as log_store_set_cluster does. */
MUST_CHECK enum status log_store_set_superseded(struct log_store *store, struct error *error);

/* Make it the folder of another server, of a cluster of its own; its entries stay, those given
 * follow them. All in one durable transaction. `term` is above every term of the folder. */
struct log_recovery {
    uint8_t incarnation[RAFT_INCARNATION_BYTES];
    uint8_t cluster_id[LOG_STORE_CLUSTER_ID_BYTES];
    raft_term term;
    const struct log_entry *entries;
    size_t entry_count;
};
MUST_CHECK enum status log_store_recover(struct log_store *store,
                                         const struct log_recovery *recovery,
                                         struct error *error);

/* As of log_store_open. Returns their number. */
size_t log_store_witnesses(const struct log_store *store,
                           struct log_witness witnesses[LOG_STORE_WITNESSES_MAX]);

/* As of log_store_open and log_store_set_cluster: a reset in between shows its tree_generation
 * after the next open. The thread that calls these two. */
const struct log_identity *log_store_identity(const struct log_store *store);

/* Make the cluster's id durable, before anything else of the cluster is stored. OK if it is that id
 * already. MISMATCH: the folder belongs to another cluster. May run beside the writing thread, and
 * waits for its write. */
MUST_CHECK enum status log_store_set_cluster(struct log_store *store,
                                             const uint8_t cluster_id[LOG_STORE_CLUSTER_ID_BYTES],
                                             struct error *error);

/* What the log holds durably, for raft_boot and for what trimming did. Any thread. */
struct log_state {
    raft_term term;
    raft_id vote;
    raft_index base; /* the entries start after it */
    raft_term base_term;
    raft_index last;
};
struct log_state log_store_state(const struct log_store *store);

/* One entry with its payload, as in raft_entry; `payload` lent until `visit` returns. */
struct log_entry {
    raft_index index;
    raft_term term;
    enum raft_entry_type type;
    struct bytes payload;
};

/* Visit the entries first..last in order until `visit` returns other than OK, which is then
 * returned. An empty range (last < first) is OK. NOT_FOUND: the range is not all there (trimmed
 * meanwhile, or not written yet). CORRUPT: an entry, or a piece of one, is damaged or missing; the
 * text names index and folder. Payloads point into the map and pin its pages: be quick. */
MUST_CHECK enum status log_store_read(struct log_store *store,
                                      raft_index first,
                                      raft_index last,
                                      enum status (*visit)(void *context,
                                                           const struct log_entry *entry),
                                      void *context,
                                      struct error *error);

/* All of it in one durable transaction, in this order. The term never falls. */
struct log_write {
    bool hard_state;
    raft_term term;
    raft_id vote;
    /* Drop all entries, make reset_index the base and tree_generation the current one. */
    bool reset;
    raft_index reset_index;
    raft_term reset_term;
    uint64_t tree_generation;
    /* Make tree_generation the current one and let all entries up to `trim` go at once, keeping the
     * rest: another checkpoint holds what they did, and they may be why. `trim_term` is the term of
     * the last one that goes, which itself may be damaged. */
    bool switch_tree;
    raft_term trim_term;
    /* Entries to append, in order, consecutive, the first between base + 1 and last + 1. Existing
     * entries at and after the first vanish. */
    const struct log_entry *entries;
    size_t entry_count;
    /* Entries up to this index may go (a checkpoint holds them): some of them are deleted with each
     * write, at most about three times as many as are appended, so trimming never costs a pause. 0
     * = none. The base follows what was deleted; see log_store_state. */
    raft_index trim;
    /* NULL, or what takes the place of all witnesses kept so far. */
    const struct log_witness *witnesses;
    size_t witness_count;
};

/* Blocks for one commit (one flush of the disk, or two). The statuses are explained at the top. */
MUST_CHECK enum status
log_store_write(struct log_store *store, const struct log_write *write, struct error *error);

/* Delete up to `count_max` entries up to `trim` in a transaction of their own, for idle moments.
 * *ret_more: some are left. Nothing to delete: no transaction. */
MUST_CHECK enum status log_store_trim(struct log_store *store,
                                      raft_index trim,
                                      size_t count_max,
                                      bool *ret_more,
                                      struct error *error);

/* Used part of the map, in bytes, without freed pages; for the space rules. Any thread. */
uint64_t log_store_used_bytes(const struct log_store *store);
uint64_t log_store_map_bytes(const struct log_store *store);

#endif

/* The disks of one modelled server: what the log and the checkpoint hold durably, dump files, and
 * the jobs of the two disk threads, which end after a drawn delay. A crash loses what was not
 * reported: of the writes under way a prefix, drawn at random, is on the disk afterwards. */
#ifndef TESTS_SIMULATION_DISK_H
#define TESTS_SIMULATION_DISK_H

#include "persistence/checkpoint_thread.h"
#include "server/state/state.h"
#include "tests/simulation/journal.h"
#include "tests/simulation/timeline.h"

struct disk;

/* Told at once, from inside the model. */
struct disk_observer {
    void *context;
    void (*on_log_done)(void *context, struct log_job *job);
    void (*on_checkpoint_done)(void *context, struct checkpoint_job *job);
    struct journal_observer journal;
    /* The process must end now: a write failed, or a crash was ordered for this point. */
    void (*on_death)(void *context);
};

/* `stores`: the shipped ones do and hold everything as well, and are read from; NULL: the model is
 * alone. Taken over. */
struct disk *disk_new(struct timeline *timeline,
                      uint64_t seed,
                      uint64_t write_us,
                      struct stores *stores,
                      const struct disk_observer *observer);
/* Another one that holds what is durable on this now, as a copy of the data folder does; nothing of
 * what goes on, nor faults. */
struct disk *disk_copy(const struct disk *disk, uint64_t seed);
void disk_free(struct disk *disk);

/* --- What is durable: see journal.h --- */

const struct journal_identity *disk_identity(const struct disk *disk);
void disk_condemn(struct disk *disk, uint64_t generation);
void disk_doubt(struct disk *disk, uint64_t generation, const struct tree_doubt *doubt);
struct tree_doubt disk_tree_doubt(const struct disk *disk);
/* It is an old copy, as another server found: no process begins on it any more. */
void disk_supersede(struct disk *disk);
/* Down: the shipped stores, if there are any, must refuse it. */
void disk_must_refuse(const struct disk *disk);
/* The generation in use. */
bool disk_is_condemned(const struct disk *disk);
void disk_set_cluster(struct disk *disk, const uint8_t cluster_id[LOG_STORE_CLUSTER_ID_BYTES]);
struct log_state disk_log(const struct disk *disk);
const struct journal_entry *disk_entry(const struct disk *disk, raft_index index);
raft_term disk_term(const struct disk *disk, raft_index index);

/* --- A process on it --- */

/* What a start does first: open it, drop dump files and every generation but the current one. */
void disk_open(struct disk *disk);
/* Every entry of the log, in order. */
void disk_visit(const struct disk *disk,
                enum status (*visit)(void *context, const struct log_entry *entry),
                void *context);
/* The process is gone; after disk_crash. */
void disk_close(struct disk *disk);

/* --- Jobs --- */

void disk_submit_log(struct disk *disk, struct log_job *job);
void disk_submit_checkpoint(struct disk *disk, struct checkpoint_job *job);

/* --- Faults --- */

/* Multiply the delays of jobs submitted from now on. */
void disk_set_slowness(struct disk *disk, uint64_t factor);
/* Nothing is finished before this time. */
void disk_stall_until(struct disk *disk, uint64_t until_us);
/* No commit of a checkpoint and no dump passes while it is full; with `log` no write of the log
 * either, which ends the process. */
void disk_set_full(struct disk *disk, bool full, bool log);
bool disk_is_full(const struct disk *disk);
/* No commit of a checkpoint passes until a dump takes the place of this generation. */
void disk_fill_map(struct disk *disk);
bool disk_map_is_full(const struct disk *disk);
/* The `count`-th operation from now on is the last one of the process; it is done, or is not. */
void disk_crash_at(struct disk *disk, uint64_t count, bool done);
/* The next commit of the log, or of the checkpoint, fails; what was written may be there. */
void disk_fail_write(struct disk *disk, bool of_log, bool done);
void disk_fail_reads(struct disk *disk, bool fail);
/* Flip a bit in the hard state, an entry, or a record, as `seed` draws; false: it holds nothing. */
bool disk_flip(struct disk *disk, uint64_t seed);
/* All of these end; what is damaged stays so. */
void disk_heal(struct disk *disk);
/* Bits flipped on it, whether or not that was found out. */
bool disk_is_damaged(const struct disk *disk);
/* Whether errors of this disk are no fault of the node's. */
bool disk_is_unsound(const struct disk *disk);
/* By how much the digest of the checkpoint in use exceeds what it should be. */
struct state_digest disk_surplus(struct disk *disk);
/* A start would be refused now, and why: NO_SPACE, IO, CORRUPT, MISMATCH (superseded); OK. */
enum status disk_boot_status(const struct disk *disk);

/* The process died. Its jobs are its own again: log jobs as failed reads or as writes of unknown
 * outcome, checkpoint jobs with NO_SPACE (a commit) or IO. */
void disk_crash(struct disk *disk, struct list *log_jobs, struct list *checkpoint_jobs);

/* --- Checkpoints and files, as node_port wants them --- */

/* NULL: it cannot be read. */
struct tree_store *disk_tree_open(struct disk *disk, uint64_t generation);
void disk_tree_close(struct disk *disk, struct tree_store *tree, bool remove_files);
struct state_source *disk_tree_source(struct tree_store *tree);
/* False: it cannot be read. */
bool disk_tree_renew(struct disk *disk, struct tree_store *tree);
struct tree_meta disk_tree_meta(struct tree_store *tree);
void disk_tree_path(const struct disk *disk, uint64_t generation, char *path);
void disk_dump_path(const struct disk *disk, const char *name, char *path);

enum status disk_file_read(struct disk *disk,
                           const char *path,
                           uint64_t offset,
                           void *buffer,
                           size_t size,
                           struct error *error);
enum status disk_file_write(
    struct disk *disk, const char *path, uint64_t offset, struct bytes bytes, struct error *error);
void disk_file_remove(struct disk *disk, const char *path);

#endif

/* The disks of one modelled server: what the log and the checkpoint hold durably, dump files, and
 * the jobs of the two disk threads, which end after a drawn delay. A crash loses what was not
 * reported: of the writes under way a prefix, drawn at random, is on the disk afterwards. */
#ifndef TESTS_SIMULATION_DISK_H
#define TESTS_SIMULATION_DISK_H

#include "persistence/checkpoint_thread.h"
#include "persistence/log_thread.h"
#include "server/state/state.h"
#include "tests/simulation/timeline.h"

struct disk;

/* Told at once, from inside the model. */
struct disk_observer {
    void *context;
    void (*on_log_done)(void *context, struct log_job *job);
    void (*on_checkpoint_done)(void *context, struct checkpoint_job *job);
    void (*on_hard_state)(void *context, raft_term term, raft_id vote);
    /* Before the entries from `first` on are cut off. */
    void (*on_truncate)(void *context, raft_index first);
    void (*on_append)(void *context, raft_index index);
    void (*on_reset)(void *context, raft_index index, raft_term term);
    /* The process must end now: a write failed, or a crash was ordered for this point. */
    void (*on_death)(void *context);
};

struct disk_entry {
    raft_term term;
    enum raft_entry_type type;
    uint64_t sum; /* of type and payload */
    bool damaged;
    uint32_t size;
    uint8_t *data;
};

struct disk *disk_new(struct timeline *timeline,
                      uint64_t seed,
                      uint64_t write_us,
                      const struct disk_observer *observer);
void disk_free(struct disk *disk);

/* --- What is durable --- */

struct disk_identity {
    bool has_cluster;
    uint8_t cluster_id[16];
    uint64_t tree_generation;
};
const struct disk_identity *disk_identity(const struct disk *disk);
void disk_set_cluster(struct disk *disk, const uint8_t cluster_id[16]);
struct log_state disk_log(const struct disk *disk);
/* NULL unless base < index <= last. */
const struct disk_entry *disk_entry(const struct disk *disk, raft_index index);
/* The term at base <= index <= last; 0 elsewhere. */
raft_term disk_term(const struct disk *disk, raft_index index);

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
/* A start would be refused now, and why: NO_SPACE, IO, CORRUPT; OK. */
enum status disk_boot_status(const struct disk *disk);

/* The process died. Its jobs are its own again: log jobs as failed reads or as writes of unknown
 * outcome, checkpoint jobs with NO_SPACE (a commit) or IO. */
void disk_crash(struct disk *disk, struct list *log_jobs, struct list *checkpoint_jobs);
/* What a start does first: drop dump files and every generation but the current one. */
void disk_sweep(struct disk *disk);

/* --- Checkpoints and files, as node_port wants them --- */

/* NULL: it cannot be read. */
struct tree_store *disk_tree_open(struct disk *disk, uint64_t generation);
void disk_tree_close(struct disk *disk, struct tree_store *tree, bool remove_files);
struct state_source *disk_tree_source(struct tree_store *tree);
/* False: it cannot be read. */
bool disk_tree_renew(struct disk *disk, struct tree_store *tree);
struct tree_meta disk_tree_meta(const struct tree_store *tree);

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

/* The disk side of struct node_port: the data folder with its log, its generations of the
 * checkpoint, dump files, and the two threads that write. Main thread. */
#ifndef SERVER_DISKS_H
#define SERVER_DISKS_H

#include "persistence/data_folder.h"
#include "persistence/log_store.h"
#include "persistence/tree_doubt.h"
#include "server/node/node.h"

struct disks;

struct disks_options {
    const char *path;
    raft_id node_id;
    uint64_t log_map_bytes;
    uint64_t tree_map_bytes;
    uint64_t reserve_bytes;
};

/* Lock the folder, open the log, remove what an interrupted installation left. The text of an error
 * names the folder and the way out. */
MUST_CHECK enum status
disks_open(const struct disks_options *options, struct disks **ret_disks, struct error *error);
struct log_store *disks_log(struct disks *disks);

/* Start the threads, after what the log holds was read. `notify(context)` comes from them: wake the
 * main thread, which then calls disks_deliver. */
MUST_CHECK enum status
disks_start(struct disks *disks, void (*notify)(void *context), void *context, struct error *error);
/* Give finished jobs to the node. After a failed write: end the process with the words in `error`.
 */
MUST_CHECK enum status disks_deliver(struct disks *disks, struct node *node, struct error *error);
/* End the threads. Deliver until node_jobs is 0 before: jobs that are still with them are not
 * given back. */
void disks_stop(struct disks *disks);
/* After node_free. NULL is fine. */
void disks_close(struct disks *disks);

/* Let no later start have the folder. */
MUST_CHECK enum status disks_set_superseded(struct disks *disks, struct error *error);

/* What the functions of these names in struct node_port do. */
void disks_log_submit(struct disks *disks, struct log_job *job);
void disks_checkpoint_submit(struct disks *disks, struct checkpoint_job *job);
MUST_CHECK enum status
disks_set_cluster(struct disks *disks, const uint8_t *cluster_id, struct error *error);
MUST_CHECK enum status disks_tree_open(struct disks *disks,
                                       uint64_t generation,
                                       struct tree_store **ret_tree,
                                       struct error *error);
void disks_tree_close(struct disks *disks, struct tree_store *store, bool remove_files);
struct state_source disks_tree_source(struct tree_store *tree);
MUST_CHECK enum status
disks_tree_condemn(struct disks *disks, uint64_t generation, struct error *error);
/* Whether an earlier run condemned the generation in use. */
bool disks_tree_is_condemned(const struct disks *disks);
/* See tree_doubt.h; what is read is of the generation in use. */
MUST_CHECK enum status disks_tree_doubt(struct disks *disks,
                                        uint64_t generation,
                                        const struct tree_doubt *doubt,
                                        struct error *error);
MUST_CHECK enum status
disks_tree_read_doubt(const struct disks *disks, struct tree_doubt *ret_doubt, struct error *error);
void disks_tree_path(struct disks *disks, uint64_t generation, char *path);
MUST_CHECK enum status
disks_dump_path(struct disks *disks, const char *name, char *path, struct error *error);
MUST_CHECK enum status
disks_dump_read(const char *path, uint64_t offset, void *buffer, size_t size, struct error *error);
MUST_CHECK enum status
disks_dump_write(const char *path, uint64_t offset, struct bytes bytes, struct error *error);
void disks_dump_remove(const char *path);
/* See struct node_port. */
struct node_space
disks_space(struct disks *disks, uint64_t unwritten_records, uint64_t unwritten_bytes);

#endif

/* Looking at what nobody reads, before it is needed: the records of the checkpoint, the entries of
 * the log, the records in memory. Each is a pass in slices, sized so that a pass takes at most
 * SCRUB_PASS_US as long as there is not more than the slices' bounds allow:
 *
 *   checkpoint   32 MiB each half second: 2.5 GiB, a larger one takes longer (64 MiB a second)
 *   log          8 MiB each half second: 640 MiB, ten times the tail that is kept
 *   memory       1 MiB each 10 ms: 3.9 GiB
 *
 * Slices of the disks are jobs of the checkpoint thread and of the log's reading thread. */
#ifndef NODE_NODE_SCRUB_H
#define NODE_NODE_SCRUB_H

#include "server/node/node_internal.h"

/* What a tree_store wants to know of a record's share in its digest. */
tree_store_weigh node_scrub_weigh;
/* Once a turn. Returns when to call again at the latest. */
uint64_t node_scrub_tick(struct node *node);
/* The job that this unit submitted came back; it is freed. */
void node_scrub_on_checkpoint_done(struct node *node, struct checkpoint_job *job);
void node_scrub_on_log_done(struct node *node, struct log_job *job);
/* Another tree or log is in use: begin anew. */
void node_scrub_restart(struct node *node);

#endif

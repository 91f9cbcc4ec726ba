/* When the dirty records go to disk, and what follows from it. */
#ifndef NODE_NODE_CHECKPOINT_H
#define NODE_NODE_CHECKPOINT_H

#include "server/node/node_internal.h"

/* Start a checkpoint if one is due. Returns when to call again at the latest. */
uint64_t node_checkpoint_tick(struct node *node);
/* The commit that this unit submitted came back. */
void node_checkpoint_on_done(struct node *node, struct checkpoint_job *job);
/* As much is dirty as starts a checkpoint, and one begins in this turn or is being written:
 * applying waits, in the second case until that is done, and clients feel it as slower answers. So
 * no checkpoint is larger by more than one command, nor what LMDB takes for it. */
bool node_checkpoint_is_behind(struct node *node);
/* At the end: what was sealed is forgotten; restart replays the log. No job may be under way. */
void node_checkpoint_release(struct node *node);

#endif

/* When the dirty records go to disk, and what follows from it. */
#ifndef NODE_NODE_CHECKPOINT_H
#define NODE_NODE_CHECKPOINT_H

#include "server/node/node_internal.h"

/* Start a checkpoint if one is due. Returns when to call again at the latest. */
uint64_t node_checkpoint_tick(struct node *node);
/* The commit that this unit submitted came back. */
void node_checkpoint_on_done(struct node *node, struct checkpoint_job *job);
enum checkpoint_pace {
    CHECKPOINT_KEEPS_UP,
    CHECKPOINT_BEGINS,    /* as much is dirty as starts one, which will be in this turn */
    CHECKPOINT_IS_AWAITED /* so much is dirty while one is being written */
};

/* Whether applying may go on, or waits: clients feel that as slower answers. So no checkpoint is
 * larger by more than one command, nor what LMDB takes for it, but for those that were held (up to
 * a few times) or put off for a dump that comes in. */
enum checkpoint_pace node_checkpoint_pace(struct node *node);
/* The checkpoint thread has a commit. False for one that waits for space. */
bool node_checkpoint_is_under_way(const struct node *node);
/* It waits for room in its map, and has for some seconds. */
bool node_checkpoint_has_no_room(const struct node *node);
/* Another state takes the place of this one: a commit that waits is for nothing. */
void node_checkpoint_drop(struct node *node);
/* At the end: what was sealed is forgotten; restart replays the log. No job may be under way. */
void node_checkpoint_release(struct node *node);

#endif

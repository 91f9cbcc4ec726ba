/* A state that is right and has outgrown its map here, which is smaller than those of others.
 *
 * What was removed elsewhere is in the log behind the checkpoint that has no room, so it does not
 * help by itself. A dump takes less than the tree that it is made of, and knows of it. So a
 * follower asks for one as if its state were damaged (node_repair.h), and serves and votes
 * meanwhile. A leader gives its place away first (succession.h). Who had no room for a dump asks
 * for a later one.
 *
 * This is about the map alone. With a full disk a dump needs more of what there is too little of,
 * and the checkpoint is written when there is space. */
#ifndef NODE_NODE_OUTGROWTH_H
#define NODE_NODE_OUTGROWTH_H

#include "server/node/node_internal.h"

/* Once a turn. */
void node_outgrowth_observe(struct node *node);

#endif

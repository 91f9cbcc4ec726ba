/* The leader's broom: from time to time it looks whether containers or TTL nodes are due and
 * proposes to remove them, and at once for the ephemerals that the end of a session left. What is
 * removed is decided when the command is applied, by its stamp, so a child that is made meanwhile
 * keeps its container. */
#ifndef NODE_NODE_SWEEP_H
#define NODE_NODE_SWEEP_H

#include "server/node/node_internal.h"

/* Something is due now: look in the next turn, if this server leads. */
void node_sweep_soon(struct node *node);

/* Once a turn, after apply. Returns when to call again at the latest. */
uint64_t node_sweep_tick(struct node *node);

#endif

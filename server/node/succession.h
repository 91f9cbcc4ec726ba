/* When a leader gives its place to another, and to whom: at a graceful stop, when its own disk
 * is what all wait for, and when its state is damaged or has no room. The core moves leadership
 * (raft_transfer); that it moves is decided here.
 */
#ifndef NODE_SUCCESSION_H
#define NODE_SUCCESSION_H

#include "server/node/node_internal.h"

/* Once a turn. Returns when to call again at the latest. */
uint64_t succession_tick(struct node *node);

#endif

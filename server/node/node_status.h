/* What this server tells of itself and of the cluster. */
#ifndef NODE_NODE_STATUS_H
#define NODE_NODE_STATUS_H

#include "server/node/node_internal.h"

/* leader, candidate, follower, learner, joining or removed (it is no member by what it knows, and
 * hears a leader or not), or none without a cluster. */
const char *node_status_role(const struct node *node);
/* What is wrong with this server itself, for a person; empty = nothing. */
void node_status_trouble(struct node *node, char text[NODE_TROUBLE_BYTES]);
/* In the arena. */
const Client__StatusReply *node_status_make(struct node *node, struct arena *arena);

#endif

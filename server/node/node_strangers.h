/* Strangers: being one, until a cluster takes this server in, and being asked who it is or whether
 * it lets a peer connect. node_admit and node_on_probe (node.h) are here. */
#ifndef NODE_NODE_STRANGERS_H
#define NODE_NODE_STRANGERS_H

#include "server/node/node_internal.h"

void node_strangers_init(struct node *node);
void node_strangers_release(struct node *node);
/* Found the cluster, or join in founding it, with this configuration as the first entry; `context`
 * is the node. STATUS_CONFLICT: there is a log here already; STATUS_INVALID: an illegal
 * configuration; else what writing the cluster's id gave. */
MUST_CHECK enum status node_strangers_bootstrap(void *context,
                                                const struct raft_config *config,
                                                const uint8_t cluster_id[NODE_CLUSTER_ID_BYTES],
                                                struct error *error);
/* Answer those who asked this server to found a cluster, when it is durable. */
void node_strangers_tick(struct node *node);

#endif

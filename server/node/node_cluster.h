/* The other members: links, what they say of themselves, and cluster requests carried to whom they
 * concern. */
#ifndef NODE_NODE_CLUSTER_H
#define NODE_NODE_CLUSTER_H

#include "server/node/node_internal.h"

/* Is this server, with this data folder, a member of it? */
bool node_cluster_names_self(const struct node *node, const struct raft_config *config);
void node_cluster_init(struct node *node);
void node_cluster_release(struct node *node);

/* The answer to a request that was submitted here. */
typedef void node_cluster_answer(struct request *request, const struct reply *reply);

/* MEMBERSHIP: runs here, or on the leader; `answer` is called once, from node_cluster_tick. */
void node_cluster_submit(struct node *node, struct request *request, node_cluster_answer *answer);
/* The asker is gone. */
void node_cluster_abandon(struct node *node, struct request *request);
/* As leader: bring node->board up to date. */
void node_cluster_gather(struct node *node);
/* STATUS: fill the reply, in the request's arena. */
void node_cluster_read_status(struct node *node, struct request *request, struct reply *reply);

/* After the inputs, before the core is flushed. Returns when to call again at the latest. Sets
 * node->is_outside. */
uint64_t node_cluster_tick(struct node *node);

bool node_cluster_is_linked(const struct node *node, raft_id member);
void node_cluster_on_peer_unreachable(struct node *node, raft_id peer, const char *reason);
void node_cluster_on_peer_up(struct node *node, raft_id peer);
void node_cluster_on_peer_down(struct node *node, raft_id peer);
void node_cluster_on_report(struct node *node, raft_id peer, const Peer__NodeReport *report);
void node_cluster_on_not_member(struct node *node, raft_id peer, const Peer__NotMember *message);
void node_cluster_on_relay(struct node *node, raft_id peer, const Peer__Relay *relay);
void node_cluster_on_relayed(struct node *node, raft_id peer, const Peer__Relayed *relayed);

#endif

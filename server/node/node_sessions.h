/* Sessions from this server's side: who was heard from, who tells the leader, what the leader
 * decides. */
#ifndef NODE_NODE_SESSIONS_H
#define NODE_NODE_SESSIONS_H

#include "server/node/node_internal.h"

void node_sessions_init(struct node *node);
void node_sessions_release(struct node *node);
/* The state was replaced: read its sessions anew. Also at the start. */
void node_sessions_reload(struct node *node);
/* A session_ change was applied. */
void node_sessions_on_change(struct node *node, const struct state_change *change);
/* The known leader, or the role of this server, changed. */
void node_sessions_on_leader_change(struct node *node);
/* Returns when to call again at the latest. */
uint64_t node_sessions_tick(struct node *node);

MUST_CHECK enum status
node_sessions_on_report(struct node *node, raft_id peer, const Peer__SessionReport *report);
MUST_CHECK enum status
node_sessions_on_query(struct node *node, raft_id peer, const Peer__SessionQuery *query);
/* A read index that was asked for with a token of node_sessions_is_token was answered. */
bool node_sessions_is_token(uint64_t token);
void node_sessions_on_read_index(struct node *node, uint64_t token, bool ok);

#endif

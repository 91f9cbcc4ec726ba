/* Connections of clients: their requests in order, and their sessions. The public part is in node.h
 * (client_open and so on). */
#ifndef NODE_NODE_CLIENTS_H
#define NODE_NODE_CLIENTS_H

#include "server/node/node_internal.h"

void node_clients_init(struct node *node);
void node_clients_release(struct node *node); /* all are closed */

/* Start and answer what can be, each client in its turn and all for a few milliseconds at most: at
 * the beginning of a turn and after applying. True: something is left, come back at once. */
bool node_clients_run(struct node *node);
/* Give up what waited too long. Returns the next time this must be looked at. */
uint64_t node_clients_expire(struct node *node);

/* A session was attached elsewhere, closed or expired: its connection here is told. */
void node_clients_on_session_change(struct node *node, const struct state_change *change);
/* A dump replaced the state: what became of sessions meanwhile is in no change. */
void node_clients_on_new_state(struct node *node);
/* This server has lost its leader, or found one. Of a leader the clients are told once all that was
 * committed before it was found is applied here: only then is it known which of their sessions
 * ended meanwhile. */
void node_clients_on_leader(struct node *node, bool is_known);
void node_clients_notify(struct node *node, Client__NoticeKind kind, Client__Code code);

/* True while no client waits for a write or a read. */
bool node_clients_are_idle(const struct node *node);

#endif

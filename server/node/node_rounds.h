/* Whose requests run next, and for how long: rounds over the clients that have some (see
 * base/round_robin.h), and over those whose writes wait for room (admission.h). What a request is,
 * those know who make the port. */
#ifndef NODE_NODE_ROUNDS_H
#define NODE_NODE_ROUNDS_H

#include "server/node/node_internal.h"

/* What a client may have of the round that is under way. */
struct client_share {
    bool is_little; /* before all that want more */
    uint64_t us;
};

enum start {
    START_DONE, /* it is under way, or answered */
    START_WAIT, /* it must wait for something */
    START_MUCH  /* it takes more than the share: it goes on, or begins, with another */
};

struct rounds_port {
    /* Start the client's first request that is not: a write, or whatever stands before all. */
    enum start (*start)(struct request *request, const struct client_share *share);
    /* Nothing but START_WAIT would come of it, as is known at once. Many are, round after round:
     * reads behind a write, or ahead of this server's state. */
    bool (*is_held)(const struct request *request);
    /* Is there room for the write that this client waits with? Whatever else it has come to
     * meanwhile goes on at once. */
    bool (*is_admitted)(const struct client *client);
};

/* `port` is borrowed. */
void node_rounds_init(struct node *node, const struct rounds_port *port);

/* There may be something to start: the client is run in the next round. */
void node_rounds_enter(struct client *client);
/* A turn of the node begins: it has ROUNDS_US_MAX, in however many calls. */
void node_rounds_begin(struct node *node);
/* Start what can be, each client in its turn and all for what is left of the node's turn. True:
 * something is left, come back at once. */
bool node_rounds_run(struct node *node);
/* Call `visit` for all clients that wait to be run; it may answer their requests. Returns the least
 * of what it returned. */
uint64_t node_rounds_visit(struct node *node, uint64_t (*visit)(struct client *client));

#endif

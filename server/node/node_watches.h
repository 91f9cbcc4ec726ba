/* Watch streams of clients, joined to the history of changes. */
#ifndef NODE_NODE_WATCHES_H
#define NODE_NODE_WATCHES_H

#include "server/node/node_internal.h"

void node_watches_init(struct node *node);
void node_watches_release(struct node *node);

/* WATCH and UNWATCH. */
void node_watches_execute(struct node *node, struct request *request, struct reply *reply);
/* Give this turn's changes to the streams. Returns when to call again at the latest. */
uint64_t node_watches_tick(struct node *node);

#endif

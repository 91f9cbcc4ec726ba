/* Reads of any length: how many nodes lie below one, which ephemerals a session has. Each turn does
 * a bounded part of them, whoever asked, so that nothing else waits long. */
#ifndef NODE_NODE_WALKS_H
#define NODE_NODE_WALKS_H

#include "server/node/node_internal.h"

/* A turn begins: so much may be walked in it. */
void node_walks_begin(struct node *node);
/* COUNT, EPHEMERALS: go on. True: `reply` is filled; its memory is the request's arena. False: call
 * again in the next turn, or the server ended (node->failed). */
bool node_walks_execute(struct node *node, struct request *request, struct reply *reply);
/* A request waits for the next turn to go on. */
bool node_walks_wait(const struct node *node);

#endif

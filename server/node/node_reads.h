/* Reads of this server's state: a node, a page of children, a page of a subtree. */
#ifndef NODE_NODE_READS_H
#define NODE_NODE_READS_H

#include "server/node/node_internal.h"

/* GET, LIST, READ_TREE: fill `reply` from the state as it is. Memory of the reply is the request's
 * arena. A damaged record ends the server (node->failed). False: it shall be little and is not; the
 * reply is empty again. */
bool node_reads_execute(struct node *node,
                        struct request *request,
                        bool is_little,
                        struct reply *reply);
/* A read of the state ended with this status: unless it is OK, the server ends. */
bool node_reads_failed(struct node *node, enum status status, const char *what);
/* Drop the references that the reply to this request holds. Fine for any request. */
void node_reads_release(const struct request *request, struct reply *reply);

#endif

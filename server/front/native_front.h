/* The native front: connections of client.proto on one side, clients of the node on the other. It
 * turns bytes into requests and replies into bytes, and holds a connection back that asks faster
 * than it is answered. Main thread. */
#ifndef FRONT_NATIVE_FRONT_H
#define FRONT_NATIVE_FRONT_H

#include "server/net/connection.h"
#include "server/node/node.h"

struct native_front;

/* `node` outlives the front. */
struct native_front *native_front_new(struct node *node);
/* Closes what is left; the connections' on_closed is not called any more. NULL is fine. */
void native_front_free(struct native_front *front);

/* Take over a connection whose first bytes told a native client. */
void native_front_take(struct native_front *front, struct connection *connection);
/* Between the inputs of a turn and node_turn's end: read on where answers made room. */
void native_front_resume(struct native_front *front);

#endif

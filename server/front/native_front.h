/* The front for client.proto: connections whose first bytes were the client preface, as clients of
 * the node. Turns frames into requests and replies into frames, and holds requests back when the
 * node, or the reader on the other side, does not keep up. Main thread. */
#ifndef FRONT_NATIVE_FRONT_H
#define FRONT_NATIVE_FRONT_H

#include "server/net/connection.h"
#include "server/node/node.h"

struct native_front;

struct native_front_options {
    const char *super_digest; /* USER:HASH whose owner may do everything; NULL = nobody */
    /* Anybody may change the members. Else the superuser, and who is on the server's own machine:
     * whoever can do that can take the cluster away from all. */
    bool open_membership;
};

/* `node` and what `options` name outlive the front. */
struct native_front *native_front_new(struct node *node,
                                      const struct native_front_options *options);
/* All connections must be closed and reported (connection_loop_begin). NULL is fine. */
void native_front_free(struct native_front *front);

/* Take over a connection in state PREFACE. */
void native_front_take(struct native_front *front, struct connection *connection);
/* At the end of a turn, after connection_loop_end: let connections go on whose requests were
 * answered or whose answers were sent. */
void native_front_end(struct native_front *front);
/* Send what waits, then close all. */
void native_front_finish(struct native_front *front, const char *reason);

size_t native_front_client_count(const struct native_front *front);

#endif

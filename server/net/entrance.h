/* The entrance: accepted connections from their first byte until it is known who speaks, and how
 * many of them there may be.
 *
 * Limits: clients of one address and in all, refused when the first bytes tell a client, so that a
 * flood of clients never keeps a peer out, not even one of the same machine; and connections that
 * have not introduced themselves: the oldest of an address that has more than its share of them
 * gives way, else the oldest of all. Main thread. */
#ifndef NET_ENTRANCE_H
#define NET_ENTRANCE_H

#include "server/net/connection.h"

struct entrance;

enum {
    ENTRANCE_STRANGERS_MAX = 1024,
    ENTRANCE_STRANGER_SHARES = 4 /* one address may have one of so many shares */
};

struct entrance_options {
    size_t clients_max;
    size_t clients_per_address_max;
    size_t strangers_max; /* ENTRANCE_STRANGERS_MAX */
};

struct entrance_handler {
    /* Take the connection over: set its handler and state (connection.h). */
    void (*on_client)(void *context,
                      struct connection *connection,
                      enum frame_protocol protocol); /* any but PEER */
    void (*on_peer)(void *context, struct connection *connection);
};

/* The loop outlives the entrance; the entrance outlives its connections. */
struct entrance *entrance_new(struct connection_loop *loop,
                              const struct entrance_options *options,
                              const struct entrance_handler *handler,
                              void *context);
void entrance_free(struct entrance *entrance); /* NULL is fine */

/* Takes over a connected socket, as from listener_accept. */
void entrance_take(struct entrance *entrance, int socket, const struct socket_address *remote);
/* Close those that have not introduced themselves. */
void entrance_close_strangers(struct entrance *entrance, const char *reason);

size_t entrance_client_count(const struct entrance *entrance);
size_t entrance_connection_count(const struct entrance *entrance);
/* Turned away, since the start. */
uint64_t entrance_refused_count(const struct entrance *entrance);

#endif

/* One TCP connection to one server: connects, cuts the stream into frames, sends what is put into
 * its output. It knows nothing of what the frames say.
 *
 * All calls and callbacks are on the thread of the base. */
#ifndef CLIENT_CONNECTION_H
#define CLIENT_CONNECTION_H

#include "client/client_memory.h"
#include "client/client_resolver.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

/* From inside any of them the connection may be closed; `on_settle` may free it. */
struct client_connection_callbacks {
    void *context;
    void (*on_open)(void *context);
    /* A frame's body, lent. */
    void (*on_frame)(void *context, struct bytes frame);
    /* The connection is closed already. */
    void (*on_lost)(void *context, const char *reason);
    /* The last call of every event. */
    void (*on_settle)(void *context);
};

struct client_connection {
    struct client_connection_callbacks callbacks;
    struct event_base *base;
    struct event readable;
    struct event writable;
    int fd; /* -1 = closed */
    bool is_connecting;
    bool wants_write;
    struct client_buffer input;
    struct client_buffer output; /* put frames here, then flush */
    uint64_t received_bytes;
};

void client_connection_init(struct client_connection *connection,
                            struct event_base *base,
                            const struct client_connection_callbacks *callbacks);
void client_connection_release(struct client_connection *connection);

/* Start to connect; on_open or on_lost follows. False with the reason: it failed at once.
 * `silence_ms` is how long sent bytes may stay without acknowledgement. */
bool client_connection_open(struct client_connection *connection,
                            const struct sockaddr_storage *address,
                            socklen_t address_bytes,
                            unsigned silence_ms,
                            char reason[CLIENT_RESOLVER_TEXT_BYTES_MAX]);
/* No callback follows. */
void client_connection_close(struct client_connection *connection);
static inline bool client_connection_is_closed(const struct client_connection *connection)
{
    return connection->fd < 0;
}
/* Send what the output holds, as far as the socket takes it; the rest follows by itself. False with
 * the reason: the connection is broken and now closed. */
bool client_connection_flush(struct client_connection *connection,
                             char reason[CLIENT_RESOLVER_TEXT_BYTES_MAX]);

#endif

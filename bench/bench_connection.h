/* One connection of the native protocol with pipelined requests: queue requests, take responses.
 * Ends the program with a message when the server cannot be reached at the start. */
#ifndef BENCH_CONNECTION_H
#define BENCH_CONNECTION_H

#include "base/bytes.h"
#include "proto/client.pb-c.h"

#include <stdbool.h>

struct bench_connection {
    int socket; /* -1 = lost */
    struct buffer input;
    size_t taken; /* of the input */
    struct buffer output;
    size_t sent; /* of the output */
    uint64_t last_id;
};

/* HOST:PORT with a numeric host. False: nobody listens there. */
bool bench_connection_open(struct bench_connection *connection, const char *address);
void bench_connection_close(struct bench_connection *connection);
/* Sets the request's id. */
void bench_connection_queue(struct bench_connection *connection, Client__Request *request);
/* Send and receive what can be, without waiting; false and closed when the connection is lost. */
bool bench_connection_exchange(struct bench_connection *connection);
/* The next response, or NULL; to be freed with client__response__free_unpacked. */
Client__Response *bench_connection_take(struct bench_connection *connection);
/* Ask and wait for the answer; NULL when it does not come within `timeout_ms`. */
Client__Response *bench_connection_call(struct bench_connection *connection,
                                        Client__Request *request,
                                        int timeout_ms);

#endif

/* One connection with pipelined requests, of either protocol (both put four bytes of length in
 * front of a frame): put frames into the output, exchange, take frames. */
#ifndef BENCH_CONNECTION_H
#define BENCH_CONNECTION_H

#include "base/bytes.h"

#include <stdbool.h>

struct bench_connection {
    int socket; /* -1 = lost */
    struct buffer input;
    size_t taken; /* of the input */
    struct buffer output;
    size_t sent; /* of the output */
    uint64_t last_id;
    bool is_begun; /* the protocol's own beginning is over */
};

/* HOST:PORT with a numeric host; ends the program if it is none. False: nobody listens there. */
bool bench_connection_open(struct bench_connection *connection, const char *address);
void bench_connection_close(struct bench_connection *connection);
/* Send and receive what can be, without waiting; false and closed when the connection is lost. */
bool bench_connection_exchange(struct bench_connection *connection);
/* The next whole frame without its length; lent until the next exchange. Ends the program when its
 * length is impossible. */
bool bench_connection_take(struct bench_connection *connection, struct bytes *ret_frame);

#endif

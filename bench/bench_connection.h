/* One connection with pipelined requests, of any protocol: put bytes into the output, send,
 * receive, take from the input. */
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
    /* What a protocol remembers of the connection beyond that, if anything. */
    void *codec;
    void (*codec_free)(void *codec);
};

/* HOST:PORT with a numeric host; ends the program if it is none. False: nobody listens there. */
bool bench_connection_open(struct bench_connection *connection, const char *address);
void bench_connection_close(struct bench_connection *connection);
/* Send, or receive, what can be, without waiting; false and closed when the connection is lost. */
bool bench_connection_send(struct bench_connection *connection);
bool bench_connection_receive(struct bench_connection *connection);
/* The next whole frame behind four bytes of length, as the native protocol and ZooKeeper's have
 * them; lent until the next time that something is received. Ends the program when the length is
 * impossible. */
bool bench_connection_take(struct bench_connection *connection, struct bytes *ret_frame);

#endif

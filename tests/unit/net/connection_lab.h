/* What the tests of connections share: one under test, with a handler that notes what it is given.
 */
#ifndef TESTS_UNIT_NET_CONNECTION_LAB_H
#define TESTS_UNIT_NET_CONNECTION_LAB_H

#include "tests/unit/net/net_lab.h"

#include <stdio.h>

/* A connection under test and what its handler saw. */
struct seen {
    struct lab lab;
    int far; /* the other end */
    struct connection *connection;
    size_t prefaces;
    enum frame_protocol protocol;
    size_t frames;
    struct buffer bodies; /* of all frames, one after the other */
    size_t drained;
    size_t closed;
    char reason[CONNECTION_REASON_BYTES_MAX];
    size_t pause_after; /* frames; 0 = never */
    size_t close_after;
    size_t pieces; /* in which what is held for it goes */
    size_t let_go; /* of them */
    size_t finish_after;
};

static inline void
on_preface(void *context, struct connection *connection, enum frame_protocol protocol)
{
    struct seen *seen = context;

    seen->prefaces++;
    seen->protocol = protocol;
    connection_set_protocol(connection, protocol,
                            protocol == FRAME_PROTOCOL_CLIENT ? FRAME_CLIENT_BYTES_MAX
                                                              : FRAME_PEER_BYTES_MAX);
    connection_set_state(connection, CONNECTION_OPEN);
}

static inline void on_frame(void *context, struct connection *connection, struct bytes body)
{
    struct seen *seen = context;

    seen->frames++;
    if (seen->frames == seen->close_after) {
        connection_close(connection, "enough");
    }
    if (seen->frames == seen->finish_after) {
        connection_finish(connection, "enough");
    }
    buffer_put(&seen->bodies, body);
    if (seen->pause_after != 0 && seen->frames % seen->pause_after == 0) {
        connection_pause(connection);
    }
}

static inline void on_drained(void *context, struct connection *connection)
{
    (void)connection;
    ((struct seen *)context)->drained++;
}

static inline void on_closed(void *context, struct connection *connection, const char *reason)
{
    struct seen *seen = context;

    EXPECT(connection == seen->connection);
    seen->connection = NULL;
    seen->closed++;
    (void)snprintf(seen->reason, sizeof seen->reason, "%s", reason);
}

static inline bool let_go(void *context, struct connection *connection)
{
    struct seen *seen = context;

    (void)connection;
    seen->let_go++;
    return seen->let_go >= seen->pieces;
}

static const struct connection_handler seen_handler = {.on_preface = on_preface,
                                                       .on_frame = on_frame,
                                                       .on_drained = on_drained,
                                                       .let_go = let_go,
                                                       .on_closed = on_closed};

static inline void seen_init(struct seen *seen, const struct connection_limits *limits)
{
    const struct socket_address remote = lab_loopback(1);
    int ends[2];

    memset(seen, 0, sizeof *seen);
    lab_init(&seen->lab, limits);
    lab_socket_pair(ends);
    seen->far = ends[0];
    seen->connection =
        connection_new(&seen->lab.loop, ends[1], &remote, CONNECTION_PREFACE, &seen_handler, seen);
}

static inline void seen_release(struct seen *seen)
{
    if (seen->connection != NULL) {
        connection_close(seen->connection, "the test is over");
    }
    lab_release(&seen->lab);
    (void)close(seen->far);
    buffer_release(&seen->bodies);
}

static inline void expect_closed(struct seen *seen, const char *reason)
{
    LAB_UNTIL(&seen->lab, seen->closed > 0);
    EXPECT_EQ(seen->closed, 1);
    EXPECT_CONTAINS(seen->reason, reason);
}

static inline void put_client_frame(struct buffer *stream, size_t size, uint8_t fill)
{
    uint8_t *to = buffer_extend(stream, FRAME_CLIENT_HEAD_BYTES + size);

    frame_client_put_head(to, (uint32_t)size);
    memset(to + FRAME_CLIENT_HEAD_BYTES, fill, size);
}

static inline void open_it(struct seen *seen)
{
    lab_write(&seen->lab, seen->far, bytes_of(frame_client_preface, FRAME_PREFACE_BYTES));
    LAB_UNTIL(&seen->lab, seen->prefaces == 1);
}

static inline void send_filled(struct seen *seen, size_t size, uint8_t fill)
{
    memset(connection_reserve(seen->connection, size), fill, size);
    connection_commit(seen->connection, size);
}

#endif

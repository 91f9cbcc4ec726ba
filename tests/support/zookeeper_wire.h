/* ZooKeeper's protocol by hand, on top of wire.h: what a test needs to misbehave as a ZooKeeper
 * client. Every call has a deadline. */
#ifndef TESTS_SUPPORT_ZOOKEEPER_WIRE_H
#define TESTS_SUPPORT_ZOOKEEPER_WIRE_H

#include "proto/jute.h"
#include "tests/support/wire.h"

struct zookeeper_session {
    int64_t id;
    uint8_t password[JUTE_PASSWORD_BYTES];
    int32_t timeout_ms; /* 0 = refused */
};

/* A connect request as ZooKeeper's own clients send it, in a frame. */
void zookeeper_wire_put_connect(struct buffer *frames,
                                int64_t session,
                                struct bytes password,
                                int32_t timeout_ms);
/* Connect and open a session, or resume *session when its id is not 0. False: no answer. */
bool zookeeper_wire_connect(struct wire *wire,
                            const char *address,
                            struct zookeeper_session *session);
/* A request in a frame. */
void zookeeper_wire_put_request(struct buffer *frames,
                                int32_t xid,
                                int32_t type,
                                struct bytes body);
/* The next frame without its head; false at the deadline or the end. */
bool zookeeper_wire_receive(struct wire *wire, struct buffer *frame, unsigned deadline_ms);
/* Send a request and wait for the answer of its xid. False: closed, or late. */
bool zookeeper_wire_call(
    struct wire *wire, int32_t xid, int32_t type, struct bytes body, enum jute_error *ret_error);

#endif

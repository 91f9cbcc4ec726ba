/* ZooKeeper's protocol by hand, on top of wire.h: what a test needs to misbehave as a ZooKeeper
 * client. Every call has a deadline. */
#ifndef TESTS_SUPPORT_ZOOKEEPER_WIRE_H
#define TESTS_SUPPORT_ZOOKEEPER_WIRE_H

#include "proto/jute.h"
#include "tests/support/wire.h"

struct zookeeper_session {
    int64_t id; /* 0 = to be opened */
    uint8_t password[JUTE_PASSWORD_BYTES];
    int64_t seen;       /* the last zxid that its client knows of */
    int32_t timeout_ms; /* to ask for, 0 = some; answered: 0 = refused */
};

/* A connect request as ZooKeeper's own clients send it, in a frame. */
void zookeeper_wire_put_connect(struct buffer *frames,
                                int64_t session,
                                struct bytes password,
                                int64_t seen,
                                int32_t timeout_ms);
/* Open a session on a new connection, or resume *session when its id is not 0. False: no answer. */
bool zookeeper_wire_attach(struct wire *wire,
                           struct zookeeper_session *session,
                           unsigned deadline_ms);
/* Connect and do that. */
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
struct zookeeper_answer {
    int64_t zxid;
    enum jute_error error;
    struct bytes body; /* in the frame */
};
/* The answer of this xid, whatever comes before it. False: closed, or late. */
bool zookeeper_wire_answer(struct wire *wire,
                           int32_t xid,
                           unsigned deadline_ms,
                           struct buffer *frame,
                           struct zookeeper_answer *ret_answer);
/* Send a request and wait for the answer of its xid. False: closed, or late. */
bool zookeeper_wire_call(
    struct wire *wire, int32_t xid, int32_t type, struct bytes body, enum jute_error *ret_error);

#endif

/* ZooKeeper's requests into the node's vocabulary (server/node/request.h). Decides nothing: what is
 * illegal is handed on so that the state refuses it in its place, or is refused in its turn. */
#ifndef FRONT_ZOOKEEPER_DECODE_H
#define FRONT_ZOOKEEPER_DECODE_H

#include "proto/jute.h"
#include "server/front/identity.h"
#include "server/node/request.h"

/* What the answer needs to know, in request->details. */
struct zookeeper_details {
    int32_t xid;
    int32_t type;
    enum jute_error refusal; /* the answer; else JUTE_ERROR_OK */
    bool closes;             /* the connection, behind the answer */
    bool watch;              /* leave one */
    struct bytes path;       /* as it came; in the arena, like all below */
    int32_t mode;            /* ADD_WATCH, CHECK_WATCHES, REMOVE_WATCHES */
    struct bytes body;       /* SET_WATCHES, SET_WATCHES_2, MULTI_READ: the whole record */
    int32_t *operations;     /* MULTI: the type of each, */
    size_t operation_count;
    uint64_t begun_us; /* the front's */
};

static inline struct zookeeper_details *zookeeper_details_of(const struct request *request)
{
    return request->details;
}

/* A frame after the session was opened. The request is the caller's. An auth packet adds to
 * `identities` at once, for all that follows. INVALID: no readable header; close the connection. */
MUST_CHECK enum status
zookeeper_decode(struct bytes frame, struct identities *identities, struct request **ret_request);

#endif

/* One accepted call, from its acceptance to its completion, and beyond: a write that was sent in a
 * session stays until its fate is known, even when its caller was told of a timeout long ago. */
#ifndef CLIENT_REQUEST_H
#define CLIENT_REQUEST_H

#include "base/list.h"
#include "client/client_codec.h"
#include "client/client_result.h"

#include <event2/event.h>
#include <event2/event_struct.h>

enum client_place {
    CLIENT_PLACE_NONE,
    CLIENT_PLACE_WAITING,    /* to be sent */
    CLIENT_PLACE_PAUSED,     /* refused for now, to be sent again */
    CLIENT_PLACE_IN_FLIGHT,  /* sent on the present connection */
    CLIENT_PLACE_UNRESOLVED, /* a numbered write that was sent, is not in flight, and is not known
                                to have been applied */
};

struct client_watch;

enum client_job { CLIENT_JOB_CALL, CLIENT_JOB_WATCH, CLIENT_JOB_UNWATCH };

struct client_request {
    struct list link;          /* in the inbox, or in the list of its place */
    struct list numbered_link; /* in the list of numbered writes */
    enum client_place place;
    enum client_job job;

    struct client_body body;
    enum client_shape shape;
    bool is_write;
    bool is_slow;        /* membership: the server may be silent for long */
    bool per_connection; /* of no use on another connection: dropped when it ends */
    uint64_t id;
    uint64_t order;    /* of acceptance */
    uint64_t sequence; /* 0 = not numbered (yet) */
    bool is_uncertain; /* since the last attach, a try of this write may have been proposed */
    bool is_applied;   /* the last attach said so; only its result is still to come */
    bool is_refused;   /* the result holds a refusal that counts if the write was not applied */

    uint32_t timeout_ms; /* 0 = none */
    struct event timer;
    bool has_timer;

    struct client_result *result; /* NULL once the caller was told */
    /* Takes the result. */
    confer_callback callback;
    void *argument;
    /* Of the library's own requests, instead of `callback`; lends the result. */
    void (*on_done)(void *owner, const struct confer_result *result);
    void *owner;

    struct client_watch *watch; /* JOB_WATCH */
    uint64_t watch_id;          /* JOB_UNWATCH */
};

struct client_request *client_request_new(void); /* NULL on exhaustion */
void client_request_free(struct client_request *request);

/* Whether the caller still waits. */
static inline bool client_request_is_open(const struct client_request *request)
{
    return request->result != NULL;
}

#endif

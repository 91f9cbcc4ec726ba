/* The one vocabulary in which every front asks and this server answers. A front turns bytes into
 * struct request and struct reply into bytes, and does nothing else.
 *
 * A connection is a struct client. Its requests are answered in the order in which they were
 * submitted; writes start at once, a read runs when every earlier request of its client is
 * answered, so it sees them and none that came later. */
#ifndef NODE_REQUEST_H
#define NODE_REQUEST_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/list.h"
#include "proto/client.pb-c.h"
#include "server/node/reconfiguration.h"
#include "server/state/state.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum request_kind {
    REQUEST_PING = 1, /* answered in its turn, and nothing else but on_work */
    REQUEST_OPEN_SESSION,
    REQUEST_ATTACH_SESSION,
    REQUEST_CLOSE_SESSION,
    REQUEST_GET,
    REQUEST_LIST,
    REQUEST_READ_TREE,
    REQUEST_COUNT,      /* of the nodes below one */
    REQUEST_EPHEMERALS, /* of the client's session whose paths begin with `path` */
    REQUEST_WRITE,
    REQUEST_WATCH,
    REQUEST_UNWATCH,
    REQUEST_STATUS,
    REQUEST_MEMBERSHIP, /* init, add-learner, change-membership, remove-member, transfer-leader,
                           cancel-change */
    REQUEST_RECONFIGURE /* as many of those as it takes to have the wanted members */
};

enum {
    REQUEST_SPACE_BYTES = 512,
    /* Of one WRITE, which is applied in one step: everybody else waits for that. Fronts take no
     * more, though the state does; what a log holds is applied as ever. */
    REQUEST_OPERATIONS_MAX = 8192
};

/* How far a read has come that takes several turns. */
struct request_progress {
    struct state_count *count; /* COUNT; NULL = not begun */
    uint64_t cursor;           /* EPHEMERALS, like the rest */
    struct bytes *paths;       /* found so far, in the arena */
    size_t path_count;
    size_t path_capacity;
    size_t bytes;                             /* of all paths */
    struct reconfigure_progress *reconfigure; /* RECONFIGURE; NULL = not begun */
};

/* Filled by the front, in memory of its arena; the node keeps it until the reply and releases it
 * right after on_reply returned. */
struct request {
    enum request_kind kind;
    uint64_t id;    /* the front's: echoed in the reply */
    uint32_t notes; /* the front's own, for its reply, as `details`; the node looks at neither */
    void *details;  /* in the arena */
    zxid seen_zxid; /* wait until this is applied here, bounded; then BEHIND */
    bool linearizable;
    uint32_t permissions; /* GET: any of these lets it read the node; 0 = READ */
    struct bytes path; /* GET, LIST, READ_TREE, COUNT, EPHEMERALS, WATCH; RECONFIGURE: the node that
                          shows the members, who may write it may change them */
    struct arena arena;
    union {
        struct {
            uint32_t timeout_ms;
            session_id session;    /* ATTACH */
            struct bytes password; /* ATTACH */
        } session;                 /* OPEN, ATTACH */
        struct {
            struct bytes after;
            uint32_t count_max; /* 0 = as many as fit */
            uint32_t depth_max; /* READ_TREE; 0 = all */
            bool with_nodes;
        } page; /* LIST, READ_TREE */
        struct {
            /* A packed record.Command whose session and generation the node puts in itself (fields
             * absent here): operation or transaction, sequence, confirmed. */
            struct bytes command;
        } write;
        struct {
            uint64_t watch;
            bool recursive;
            bool with_values;
            zxid from; /* 0 = from now */
        } watch;       /* WATCH, UNWATCH */
        struct {
            /* The packed client.Request, relayed to the leader as it is; of RECONFIGURE the node's,
             * for one step. */
            struct bytes encoded;
            struct reconfiguration wanted; /* RECONFIGURE */
        } membership;
    };
    struct list link; /* the node's from here on */
    struct client *client;
    struct read_barrier *barrier; /* linearizable: the read index it waits for */
    uint64_t deadline_us;
    size_t held_bytes;         /* of memory */
    struct proposal *proposal; /* of a started write, until its fate is known */
    size_t proposed_bytes;     /* of it */
    Client__Code held;         /* a refusal that waits for the answers before it; OK = none */
    bool started;              /* proposed or handed on; its answer comes by itself */
    struct request_progress progress;
    /* What the arena gives out first: enough for most requests, so that one costs one allocation,
     * and a small one. */
    alignas(max_align_t) uint8_t space[REQUEST_SPACE_BYTES];
};

/* Heap allocated, zeroed but for its space, with an empty arena. */
struct request *request_new(enum request_kind kind);
void request_free(struct request *request); /* NULL is fine */

/* A copy in one block that is just as large, texts and all; released with free(). A connection
 * keeps it as long as it lives, and most have one identity of the sixteen that they may have. */
struct state_identity *request_copy_identities(struct state_identities identities);

struct reply_tree_node {
    struct bytes path;
    struct state_node *node;
};

/* Everything is lent until on_reply returns. */
struct reply {
    Client__Code code;
    const char *message; /* when code is not OK; may be NULL: the code's own text */
    zxid zxid;           /* applied here when the reply was made */
    union {
        struct {
            session_id session;
            uint64_t generation;
            uint32_t timeout_ms;
            const uint8_t *password; /* STATE_PASSWORD_BYTES */
            uint64_t last_sequence;
        } session;
        /* GET, RECONFIGURE; its list of permissions is whole, see client_may */
        struct state_node *node;
        struct state_children children; /* LIST; nodes that may not be read are NULL */
        struct {
            const struct reply_tree_node *nodes;
            size_t count;
            bool more;
        } tree;         /* READ_TREE; of what may not be read the path alone, and nothing
                           below */
        uint64_t count; /* COUNT */
        struct {
            const struct bytes *paths;
            size_t count;
            bool more;                     /* there are others: together they are too many */
        } ephemerals;                      /* EPHEMERALS */
        const struct state_result *result; /* WRITE; also with op errors of a transaction. NULL when
                                              the code is 100 or above */
        struct {
            zxid from;
            zxid oldest;
        } watch; /* WATCH, also when COMPACTED */
        const Client__StatusReply *status;
        struct bytes relayed; /* MEMBERSHIP: a packed client.Response whose id the front replaces */
    };
};

/* One change as a watch stream shows it. */
struct watch_event {
    zxid zxid;
    enum state_change_kind kind; /* of a node */
    struct bytes path;
    struct state_node *node; /* after the change; REMOVED: before it */
};

/* What a front hands over with a connection. Called on the main thread, never from inside
 * client_submit. The front must not free the client from inside them: it marks the connection and
 * closes it later (client_close). */
struct client_callbacks {
    void (*on_reply)(void *context, const struct request *request, const struct reply *reply);
    /* All changes up to `up_to` that concern the watch have been given. `lost`: the client fell
     * behind the history; the watch is gone. NULL in a front that asks for no streams. */
    void (*on_events)(void *context,
                      uint64_t watch,
                      bool with_values,
                      const struct watch_event *events,
                      size_t count,
                      zxid up_to,
                      bool lost);
    void (*on_notice)(void *context, Client__NoticeKind kind, Client__Code code);
    /* A PING whose answer is work of the front: do some of it, for about `share_us`, and return
     * whether it may be answered. NULL in a front without such. */
    bool (*on_work)(void *context, const struct request *request, uint64_t share_us);
    /* Bytes waiting in the connection's output: the node gives no events and answers no reads
     * beyond a limit, so a reader that never reads costs a bounded amount. */
    size_t (*output_bytes)(void *context);
    /* The requests of all clients take too much memory, and this one's most: close it. */
    void (*on_excess)(void *context);
};

#endif

/* What a client has under way, and its session, to which that belongs. */
#ifndef TESTS_SIMULATION_WORKLOAD_OPERATIONS_H
#define TESTS_SIMULATION_WORKLOAD_OPERATIONS_H

#include "base/prng.h"
#include "tests/simulation/workload_client.h"

enum { LINGERING_MAX = 2 };

enum operation_kind {
    OPERATION_SESSION, /* open or attach */
    OPERATION_CLOSE,
    OPERATION_WRITE,
    OPERATION_AGAIN, /* a numbered write, sent once more for no reason */
    OPERATION_READ,
    OPERATION_STREAM,
    OPERATION_PING
};

/* Something asked and not finally answered. */
struct operation {
    struct list link;
    enum operation_kind kind;
    uint64_t id; /* of its request on the present connection; 0 = not sent there */
    struct truth_write write;
    struct buffer body; /* the packed operation or transaction, without the numbers */
    zxid at_least;      /* READ */
    bool done;          /* WRITE: applied, whatever its outcome */
    size_t call;        /* in the record */
    uint64_t asked_us;  /* SESSION, CLOSE */
};

/* As a server sees it. */
struct connection {
    struct workload_client *client; /* NULL: given up by its client, and not closed yet */
    struct cluster_server *server;
    struct client *open;
    zxid leaderless; /* what was committed when the server was last seen without a leader */
};

struct workload_client {
    struct cluster *cluster;
    struct oracle *oracle;
    struct truth *truth;
    struct workload_counts *counts;
    uint64_t number;
    struct prng prng;
    struct connection *connection; /* NULL = not connected */
    struct connection *lingering[LINGERING_MAX];
    bool broken; /* to be closed */
    bool ready;  /* session, if any, attached on this connection */
    bool pinned;
    bool quiet;
    size_t place;         /* pinned: where */
    uint32_t probes_left; /* 2: a write, then a read; 1: the read */
    bool has_sessions;
    bool closing;
    uint32_t timeout_ms;
    session_id session;
    uint8_t password[STATE_PASSWORD_BYTES];
    uint64_t sequence;  /* of the last write */
    uint64_t confirmed; /* all writes up to this one are answered */
    uint64_t told;      /* the highest that a server was told of as confirmed */
    zxid seen;
    struct list operations; /* in order; those sent on this connection are first asked, first
                               answered */
    size_t count;
    uint64_t last_id;
    uint64_t patience_us;
    uint64_t sleep_us;     /* until then it stays away */
    uint64_t slow_us;      /* until then it does not read what it is sent */
    struct buffer made;    /* the path that a creation was answered with */
    struct operation *old; /* a numbered write that was answered: to be sent again */
    struct client_streams streams;
};

uint64_t workload_operations_now_us(const struct workload_client *self);
struct recording *workload_operations_recording(const struct workload_client *self);
struct recording_caller workload_operations_caller(const struct workload_client *self);
/* Its own, or any when it has no connection. */
const struct cluster_server *workload_operations_server(const struct workload_client *self);

struct operation *workload_operations_at(struct list *link);
struct operation *workload_operations_new(struct workload_client *self, enum operation_kind kind);
/* Not in the list any more; NULL is fine. */
void workload_operations_release(struct operation *operation);
/* Of the list. */
void workload_operations_free(struct workload_client *self, struct operation *operation);

/* All writes up to the first unanswered one are confirmed. */
void workload_operations_confirm(struct workload_client *self);
void workload_operations_forget_old(struct workload_client *self);

/* The session is gone: what its writes did stays unknown. Lost: it did not close it itself. */
void workload_operations_leave_session(struct workload_client *self);
void workload_operations_lose_session(struct workload_client *self);

#endif

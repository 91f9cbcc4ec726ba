/* The operations that are measured, in each protocol: Confer's own, ZooKeeper's, etcd's. */
#ifndef BENCH_PROTOCOL_H
#define BENCH_PROTOCOL_H

#include "bench/bench_connection.h"

enum bench_op {
    BENCH_SET,              /* the node is there */
    BENCH_GET,              /* what the server has */
    BENCH_LINEARIZABLE_GET, /* ZooKeeper: sync, then get; its answer counts */
    BENCH_CREATE,           /* the parent is there */
    BENCH_LIST /* the names of the children; native: a page of them, as long as they come */
};

struct bench_answer {
    uint64_t id; /* of the request; 0 = of none */
    bool is_ok;
    bool exists_already; /* not ok for that reason */
    bool is_busy;        /* the same: the server asks for patience */
    bool has_begun;      /* no answer to a request: the session stands */
    size_t events;       /* of watches */
};

struct bench_protocol {
    const char *name;
    /* Put what a connection begins with. */
    void (*begin)(struct bench_connection *connection);
    /* Put a request; connection->last_id is its id. */
    void (*put)(struct bench_connection *connection,
                enum bench_op op,
                const char *path,
                struct bytes value);
    /* Put what opens a session; has_begun, or the answer to it, tells when it stands. */
    void (*put_session)(struct bench_connection *connection);
    void (*put_watch)(struct bench_connection *connection, const char *path);
    void (*put_ping)(struct bench_connection *connection);
    bool watches_once; /* a watch ends with its first event */
    /* The next of what came, an answer or events; false: nothing more did. */
    bool (*take)(struct bench_connection *connection, struct bench_answer *ret_answer);
};

extern const struct bench_protocol bench_native;
extern const struct bench_protocol bench_zookeeper;
extern const struct bench_protocol bench_etcd; /* in builds with libnghttp2 */

/* NULL: there is none of this name in this build. */
const struct bench_protocol *bench_protocol_find(const char *name);

#endif

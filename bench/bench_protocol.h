/* The operations that are measured, in each protocol that Confer speaks. */
#ifndef BENCH_PROTOCOL_H
#define BENCH_PROTOCOL_H

#include "bench/bench_connection.h"

enum bench_op {
    BENCH_SET, /* the node is there */
    BENCH_GET, /* what the server has */
    BENCH_LINEARIZABLE_GET /* ZooKeeper: sync, then get; its answer counts */,
    BENCH_CREATE /* the parent is there */
};

struct bench_answer {
    uint64_t id; /* of the request; 0 = of none */
    bool is_ok;
    bool exists_already; /* not ok for that reason */
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
    struct bench_answer (*read)(struct bench_connection *connection, struct bytes frame);
};

extern const struct bench_protocol bench_native;
extern const struct bench_protocol bench_zookeeper;

/* NULL: there is none of this name. */
const struct bench_protocol *bench_protocol_find(const char *name);

#endif

/* The front for ZooKeeper's client protocol: connections that begin with a connect request, as
 * clients of the node. A ZooKeeper session is a session of the cluster; whatever ZooKeeper has no
 * word for (no leader, an unknown outcome) closes the connection, and the client goes to another
 * server. Main thread. */
#ifndef FRONT_ZOOKEEPER_FRONT_H
#define FRONT_ZOOKEEPER_FRONT_H

#include "server/net/connection.h"
#include "server/node/node.h"

struct zookeeper_front;

struct zookeeper_options {
    uint32_t session_timeout_ms_min; /* what clients ask for is brought into these limits */
    uint32_t session_timeout_ms_max;
    const char *super_digest; /* USER:HASH, or NULL; outlives the front */
    uint64_t hash_seed;
    bool forgets_missed;  /* watches that are set again are not told what happened meanwhile */
    bool allows_reconfig; /* else they are refused, as ZooKeeper does unless told otherwise */
    bool read_only_mode;  /* without a leader, clients that can do with less may read */
};

/* `node` outlives the front, whose observer the front is. */
struct zookeeper_front *zookeeper_front_new(struct node *node,
                                            const struct zookeeper_options *options);
/* All connections must be closed and reported (connection_loop_begin). NULL is fine. */
void zookeeper_front_free(struct zookeeper_front *front);

/* Take over a connection in state PREFACE. */
void zookeeper_front_take(struct zookeeper_front *front, struct connection *connection);
/* At the end of a turn, after connection_loop_end: let connections go on whose requests were
 * answered or whose answers were sent. */
void zookeeper_front_end(struct zookeeper_front *front);
/* Send what waits, then close all. */
void zookeeper_front_finish(struct zookeeper_front *front, const char *reason);

/* Whether clients that ask for no more than reading are served, and no others: in this mode, a
 * while after the leader was lost. */
bool zookeeper_front_is_read_only(const struct zookeeper_front *front);

/* --- For reports --- */

/* Since the start, or since it was reset. */
struct zookeeper_traffic {
    uint64_t received; /* frames */
    uint64_t sent;
    uint64_t answered; /* requests; their latencies: */
    uint64_t latency_us_min;
    uint64_t latency_us_max;
    uint64_t latency_us_sum;
};

struct zookeeper_counts {
    size_t connections;
    size_t watches;
    size_t watched_paths;
    size_t watching;    /* connections that have watches */
    size_t outstanding; /* requests not answered */
    struct zookeeper_traffic traffic;
};
struct zookeeper_counts zookeeper_front_counts(const struct zookeeper_front *front);
void zookeeper_front_reset_counts(struct zookeeper_front *front);

struct zookeeper_connection {
    const struct connection *connection;
    size_t pending; /* requests not answered */
    session_id session;
    uint32_t timeout_ms;
    uint64_t established_ms; /* since 1970 */
    struct zookeeper_traffic traffic;
    int32_t last_type; /* of the request answered last; 0 = none yet */
    int32_t last_xid;
    zxid last_zxid;
    uint64_t last_answer_ms; /* monotonic */
    uint64_t last_latency_us;
};
/* Every connection, until `visit` returns false, which changes nothing. */
void zookeeper_front_each(const struct zookeeper_front *front,
                          bool (*visit)(void *visitor, const struct zookeeper_connection *shown),
                          void *visitor);
void zookeeper_front_reset_connections(struct zookeeper_front *front);

/* Every path with the session that watches its data, one session or one path after the other, until
 * `visit` returns false, which changes nothing. */
void zookeeper_front_each_watch(const struct zookeeper_front *front,
                                bool by_path,
                                bool (*visit)(void *visitor, session_id session, struct bytes path),
                                void *visitor);

#endif

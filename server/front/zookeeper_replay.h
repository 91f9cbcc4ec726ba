/* The events that a client missed while it was away, out of the server's history: for persistent
 * and recursive watches that it sets again with the zxid that it has seen. ZooKeeper loses them.
 * Main thread. */
#ifndef FRONT_ZOOKEEPER_REPLAY_H
#define FRONT_ZOOKEEPER_REPLAY_H

#include "server/front/zookeeper_watches.h"
#include "server/node/node.h"

/* Beyond so many changes, or bytes of events, all of them are as good as lost. */
enum { ZOOKEEPER_REPLAY_CHANGES_MAX = 65536, ZOOKEEPER_REPLAY_BYTES_MAX = 4 * 1024 * 1024 };

struct zookeeper_replay {
    struct node *node;
    const struct client *client;
    struct buffer *output;
    struct zookeeper_watches *watches;
    struct zookeeper_watcher watcher;
    size_t begin; /* of the events in the output */
    size_t count;
};

/* The pointers outlive the replay, which zookeeper_replay_finish ends. */
void zookeeper_replay_begin(struct zookeeper_replay *replay,
                            struct node *node,
                            const struct client *client,
                            struct buffer *output,
                            uint64_t hash_seed);
/* A watch that is set again. LIMIT as zookeeper_watches_add. */
MUST_CHECK enum status
zookeeper_replay_add(struct zookeeper_replay *replay, struct bytes path, enum zookeeper_watch kind);
/* Append the events of all changes after `seen` that the watches would have told and the client may
 * know of, in their order, and return their number. None if the history does not reach back so far,
 * or if they are too many. */
size_t zookeeper_replay_finish(struct zookeeper_replay *replay, zxid seen);

#endif

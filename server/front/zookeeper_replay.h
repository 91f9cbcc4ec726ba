/* The events that a client missed while it was away, out of the server's history: for persistent
 * and recursive watches that it sets again with the zxid that it has seen. ZooKeeper loses them.
 * The watches are in the table already and silent (zookeeper_watcher_hush). Main thread. */
#ifndef FRONT_ZOOKEEPER_REPLAY_H
#define FRONT_ZOOKEEPER_REPLAY_H

#include "server/front/zookeeper_watches.h"
#include "server/node/node.h"

/* Beyond so many changes all of them are as good as lost. */
enum { ZOOKEEPER_REPLAY_CHANGES_MAX = 65536 };

/* The pointers are lent for the calls. */
struct zookeeper_replay {
    struct zookeeper_hearing hearing; /* of the watcher */
    struct node *node;
    const struct client *client;
    struct zookeeper_watches *watches;
    struct buffer *output;
    size_t *events; /* counts those put into the output */
};

struct zookeeper_replay zookeeper_replay_of(struct node *node,
                                            const struct client *client,
                                            struct zookeeper_watches *watches,
                                            struct zookeeper_watcher *watcher,
                                            struct buffer *output,
                                            size_t *events);
/* Append the events of the next change that the watches would have told and the client may know
 * of. `at` is of node_find_changes. False: there is no further change. */
bool zookeeper_replay_next(const struct zookeeper_replay *replay, uint64_t *at);

#endif

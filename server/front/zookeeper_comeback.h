/* setWatches and setWatches2: a client that was away sets its watches again, and is told what it
 * missed. A one-shot watch whose event was missed is not set; of lasting ones the events come out
 * of the history (zookeeper_replay.h). Main thread. */
#ifndef FRONT_ZOOKEEPER_COMEBACK_H
#define FRONT_ZOOKEEPER_COMEBACK_H

#include "server/front/zookeeper_decode.h"
#include "server/front/zookeeper_watches.h"
#include "server/node/node.h"

/* Everything is lent for the call. */
struct zookeeper_comeback {
    struct node *node;
    const struct client *client;
    struct zookeeper_watches *watches;
    struct zookeeper_watcher *watcher;
    struct buffer *output; /* of the events, as whole frames */
    bool forgets_missed;   /* lasting watches are told nothing */
    size_t events;         /* put into the output so far */
    const char *trouble;   /* the connection must be closed, and why; NULL = fine */
};

/* How far a request has come, which may hold sixty thousand watches. Zeroed: not begun. */
struct zookeeper_comeback_place {
    bool is_begun;
    bool is_done;
    enum jute_error error;
    struct reader reader;
    int list;
    uint32_t left; /* in it */
    int64_t seen_zxid;
    uint64_t missed_at; /* the next change that was missed: see node_next_change */
};

/* Set watches, then tell what the lasting ones missed, until all is done or the time is up
 * (clock_monotonic_us), at least one step. One-shot watches have nothing to do with each other;
 * lasting ones stay silent until all that they missed is told, so that it comes in its order. True:
 * it is done, or the request is unreadable. */
bool zookeeper_come_back_some(struct zookeeper_comeback *comeback,
                              const struct zookeeper_details *details,
                              struct zookeeper_comeback_place *place,
                              uint64_t end_us);
/* Do all the rest. MARSHALLING: the request is unreadable, and nothing was done. */
enum jute_error zookeeper_come_back(struct zookeeper_comeback *comeback,
                                    const struct zookeeper_details *details,
                                    struct zookeeper_comeback_place *place);

#endif

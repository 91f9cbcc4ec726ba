/* The watches that ZooKeeper clients left, by path: one-shot data and child watches, persistent and
 * persistent recursive ones. They belong to a connection and vanish with it. Which change fires
 * which of them is the matrix of ZooKeeper's WatchManager and DataTree (3.9): a connection gets one
 * event for each firing, however many of its watches match. Main thread. */
#ifndef FRONT_ZOOKEEPER_WATCHES_H
#define FRONT_ZOOKEEPER_WATCHES_H

#include "base/list.h"
#include "proto/jute.h"
#include "server/node/request.h"

/* Several may be left by one connection on one path. */
enum zookeeper_watch {
    ZOOKEEPER_WATCH_DATA = 1, /* by getData, and by exists on a node that is there or not */
    ZOOKEEPER_WATCH_CHILD = 2,
    ZOOKEEPER_WATCH_PERSISTENT = 4,
    ZOOKEEPER_WATCH_RECURSIVE = 8
};

/* What one connection may watch, and all of them. */
struct zookeeper_watch_limits {
    size_t one_count;   /* 1,048,576 */
    size_t one_bytes;   /* 256 MiB, with the paths */
    uint64_t all_bytes; /* 512 MiB */
};

struct zookeeper_watch_limits zookeeper_watch_limits_default(void);

struct zookeeper_watches;

/* One connection, inside its owner's struct. */
struct zookeeper_watcher {
    struct list registrations;
    size_t count;
    size_t bytes;
    uint64_t id;
    uint64_t fired; /* the last firing that it was told of */
    uint64_t hush;  /* odd while lasting watches that are added stay silent */
};

/* `may_see` judges whether a connection is told of what happened at `node`, or (NULL) to a parent
 * that is gone as well; who is not loses a one-shot watch all the same. `send` is given the whole
 * frame of an event, the same bytes for all who watch. Neither may add or remove watches. */
struct zookeeper_watches *zookeeper_watches_new(const struct zookeeper_watch_limits *limits,
                                                uint64_t hash_seed,
                                                bool (*may_see)(struct zookeeper_watcher *watcher,
                                                                const struct state_node *node),
                                                void (*send)(struct zookeeper_watcher *watcher,
                                                             struct bytes frame));
/* All watchers are released. NULL is fine. */
void zookeeper_watches_free(struct zookeeper_watches *watches);

void zookeeper_watcher_init(struct zookeeper_watches *watches, struct zookeeper_watcher *watcher);
void zookeeper_watcher_release(struct zookeeper_watches *watches,
                               struct zookeeper_watcher *watcher);
/* Take back its watches on at most `paths_max` paths. True: it has none any more. */
bool zookeeper_watcher_release_some(struct zookeeper_watches *watches,
                                    struct zookeeper_watcher *watcher,
                                    size_t paths_max);

/* Leave a watch; the same twice is the same as once. LIMIT: it has as many as may be, or
 * they or those of all connections take as much. */
MUST_CHECK enum status zookeeper_watches_add(struct zookeeper_watches *watches,
                                             struct zookeeper_watcher *watcher,
                                             struct bytes path,
                                             enum zookeeper_watch kind);
/* Which kinds (a sum) this connection has on this path. */
unsigned zookeeper_watches_find(const struct zookeeper_watches *watches,
                                const struct zookeeper_watcher *watcher,
                                struct bytes path);
/* Take back those among `kinds`; what was there of them. */
unsigned zookeeper_watches_remove(struct zookeeper_watches *watches,
                                  struct zookeeper_watcher *watcher,
                                  struct bytes path,
                                  unsigned kinds);

/* Send the events of one change to those who watch. `parent` is the node above a node that came or
 * went, or NULL if it is gone as well. */
void zookeeper_watches_fire(struct zookeeper_watches *watches,
                            const struct state_change *change,
                            const struct state_node *parent);
/* From here on lasting watches that are added tell nothing, until all of them begin to at once.
 * What they would have told meanwhile comes out of the history. */
void zookeeper_watcher_hush(struct zookeeper_watcher *watcher);
void zookeeper_watcher_speak(struct zookeeper_watcher *watcher);
/* As zookeeper_watches_fire, of this one's silent watches alone; `hearing` is told instead. */
struct zookeeper_hearing {
    struct zookeeper_watcher *watcher;
    bool (*may_see)(const struct zookeeper_hearing *hearing, const struct state_node *node);
    void (*send)(const struct zookeeper_hearing *hearing, struct bytes frame);
};
void zookeeper_watches_fire_silent(struct zookeeper_watches *watches,
                                   const struct state_change *change,
                                   const struct state_node *parent,
                                   const struct zookeeper_hearing *hearing);
/* The path above one that is not the root. */
struct bytes zookeeper_watches_parent(struct bytes path);

/* For reports: who watches the data of which path, all of a path together or all of a watcher,
 * until `visit` returns false. */
typedef bool zookeeper_watches_visitor(void *visitor,
                                       const struct zookeeper_watcher *watcher,
                                       struct bytes path);
void zookeeper_watches_each(const struct zookeeper_watches *watches,
                            zookeeper_watches_visitor *visit,
                            void *visitor);
bool zookeeper_watcher_each(const struct zookeeper_watcher *watcher,
                            zookeeper_watches_visitor *visit,
                            void *visitor);

/* For reports: watches, and the paths and connections that have some. */
struct zookeeper_watch_counts {
    size_t watches;
    size_t paths;
};
struct zookeeper_watch_counts zookeeper_watches_count(const struct zookeeper_watches *watches);

#endif

/* The watch streams of all clients, and who gets which change.
 *
 * A stream gives the changes of one path, in commit order, each once, from a place in the history
 * on. A plain stream sees every change of the node itself and the creation and removal of its
 * direct children; a recursive one every change at or below its path. The node need not exist.
 *
 * A stream that has everything is live: it costs nothing until something it watches changes. One
 * that starts in the past, or whose owner's output was full, is fed from the history, in bounded
 * slices, together with all others that stand at about the same place: so thousands that resume at
 * once read the history once. One whose place fell out of the history is lost: its owner is told,
 * and it is gone.
 *
 * Main thread. Order and amount of what is given depend on the calls made here alone. */
#ifndef NODE_WATCH_TABLE_H
#define NODE_WATCH_TABLE_H

#include "server/node/history.h"
#include "server/node/request.h"

struct watch_table;

/* A client with streams; lives in the client's struct. */
struct watch_owner {
    void *context; /* for the callbacks below */
    uint64_t serial;
    size_t count; /* of its streams */
    size_t bytes; /* that they take */
    struct list streams;
    struct list blocked;      /* streams that wait for its output to drain */
    struct list blocked_link; /* in the table's list of such owners */
};

/* The callbacks must not change the table. */
struct watch_table_port {
    /* The output is beyond its limit: give nothing now. Asked before each slice. */
    bool (*is_full)(void *owner_context);
    /* As in struct client_callbacks. A slice holds at most WATCH_SLICE_EVENTS_MAX events and,
     * unless it is a single one, WATCH_SLICE_BYTES_MAX bytes of paths and (with_values) values. It
     * may end inside a command that changed very much: `up_to` is then the zxid before it, and the
     * rest follows. The last slice of a stream is an empty one with `lost`. */
    void (*on_events)(void *owner_context,
                      uint64_t watch,
                      bool with_values,
                      const struct watch_event *events,
                      size_t count,
                      zxid up_to,
                      bool lost);
};

enum {
    WATCH_SLICE_EVENTS_MAX = 256,
    WATCH_SLICE_BYTES_MAX = 256 * 1024,
};

struct watch_table_options {
    size_t owner_streams_max; /* 100,000 */
    size_t owner_bytes_max;   /* 128 MiB, with their paths */
    size_t streams_max;       /* 1,000,000 */
    uint64_t bytes_max;       /* 512 MiB */
    uint64_t seed;            /* for the hash of paths: random, so that clients cannot aim at it */
};

struct watch_table_options watch_table_options_default(uint64_t seed);

/* `history` outlives the table; it is only read. */
struct watch_table *watch_table_new(const struct watch_table_options *options,
                                    const struct watch_table_port *port,
                                    const struct history *history);
/* All owners must have been released. NULL is fine. */
void watch_table_free(struct watch_table *table);

void watch_owner_init(struct watch_table *table, struct watch_owner *owner, void *context);
/* Remove at most `count_max` of its streams; nothing is called. True: it has none any more. */
bool watch_owner_release_some(struct watch_table *table,
                              struct watch_owner *owner,
                              size_t count_max);
/* Remove all, in time that follows their number. */
void watch_owner_release(struct watch_table *table, struct watch_owner *owner);

/* Start a stream with the changes after `from`; 0 = after history_last. *ret_from is where it
 * starts. `watch` is the owner's name for it; `path` is copied.
 * EXISTS       the owner has a stream of this name.
 * LIMIT        the owner, or the table, has as many streams as may be, or they take as much.
 * NOT_FOUND    the history does not reach back that far (COMPACTED, see history_oldest).
 * UNAVAILABLE  `from` is above history_last: this server is behind; wait or say BEHIND. */
MUST_CHECK enum status watch_table_add(struct watch_table *table,
                                       struct watch_owner *owner,
                                       uint64_t watch,
                                       struct bytes path,
                                       bool recursive,
                                       bool with_values,
                                       zxid from,
                                       zxid *ret_from);
/* NOT_FOUND: the owner has no such stream. */
MUST_CHECK enum status
watch_table_remove(struct watch_table *table, struct watch_owner *owner, uint64_t watch);

/* Give what was added to the history since the last call to the live streams, then feed those that
 * are behind, within a bounded amount of work; once a turn, after the last history_add and before
 * history_trim. True: there is more to give to owners that are not full; come back soon. Streams of
 * full owners do not count: their owners are asked again by later calls, some each time, so call it
 * at least every 100 ms or so while watch_table_has_blocked. */
bool watch_table_pump(struct watch_table *table);
bool watch_table_has_blocked(const struct watch_table *table);

/* Tell streams that had nothing to see how far they are, so that resuming them stays cheap: visit
 * the next `count_max` streams (going round all of them, call by call) and give those that are
 * live, not full and were last told less than history_last an empty slice. Right after
 * watch_table_pump. Say, each second a tenth of watch_table_count. */
void watch_table_progress(struct watch_table *table, size_t count_max);

size_t watch_table_count(const struct watch_table *table);
/* Every invariant; aborts when one is violated. For tests. */
void watch_table_check(const struct watch_table *table);

#endif

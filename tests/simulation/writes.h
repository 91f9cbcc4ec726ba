/* What a client writes next: paths, operations, transactions, drawn at random from a small tree so
 * that clients meet. */
#ifndef TESTS_SIMULATION_WRITES_H
#define TESTS_SIMULATION_WRITES_H

#include "base/arena.h"
#include "base/prng.h"
#include "tests/simulation/settings.h"

enum { WRITES_STEP_BITS = 2, WRITES_FOLDERS = 2 /* /d0 and so on */ };

/* Of the quota on a folder, by its number. */
#define WRITES_LIMITS_FORMAT "/zookeeper/quota/d%u/zookeeper_limits"
#define WRITES_STATS_FORMAT  "/zookeeper/quota/d%u/zookeeper_stats"

struct writes_draw {
    const struct settings *settings;
    struct prng *prng;
    uint64_t serial;   /* each value begins with it, and the number of its operation */
    bool in_session;   /* ephemeral nodes are possible */
    struct bytes made; /* a path that a creation of this client was answered with; empty = none */
};

/* Append a packed record.Command with one operation, or a transaction, and no numbers.
 * *ret_marked: a value holds the serial number. */
void writes_draw(const struct writes_draw *draw, struct buffer *body, bool *ret_marked);
/* A path to read or to watch, in the arena. */
struct bytes writes_path(const struct settings *settings, struct prng *prng, struct arena *arena);
/* One that has children, now and then. */
struct bytes writes_folder(const struct settings *settings, struct prng *prng, struct arena *arena);

#endif

/* A client that does nothing wrong: it writes and reads its own node, one call after the other, and
 * notes how long the longest took. Runs in a thread of its own. */
#ifndef TESTS_HOSTILE_QUIET_H
#define TESTS_HOSTILE_QUIET_H

#include <stdint.h>

struct quiet;

/* `address` is borrowed. */
struct quiet *quiet_start(const char *address);
/* Begin to count anew. */
void quiet_reset(struct quiet *quiet);

struct quiet_report {
    uint64_t calls;
    uint64_t failures; /* a lost connection, a late or a wrong answer */
    uint64_t longest_us;
};
/* Since the last reset. A call under way counts with the time it has taken so far. */
struct quiet_report quiet_report(struct quiet *quiet);
void quiet_stop(struct quiet *quiet);

#endif

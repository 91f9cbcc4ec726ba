/* A client that does nothing wrong: it writes and reads its own node, one call after the other, and
 * notes how long the longest took. Runs in a thread of its own. */
#ifndef TESTS_HOSTILE_QUIET_H
#define TESTS_HOSTILE_QUIET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct quiet;

/* `address` is borrowed and that of the first of `servers`, the processes of the cluster; copied.
 */
struct quiet *quiet_start(const char *address, const pid_t *servers, size_t count);
/* Begin to count anew. */
void quiet_reset(struct quiet *quiet);

struct quiet_report {
    uint64_t calls;
    uint64_t failures; /* a lost connection, a late or a wrong answer */
    uint64_t longest_us;
    /* The same without the time for which, on the way of a call, threads waited for a processor:
     * the attacker has them as well. */
    uint64_t longest_unstarved_us;
};
/* Since the last reset. A call under way counts with the time it has taken so far. */
struct quiet_report quiet_report(struct quiet *quiet);
void quiet_stop(struct quiet *quiet);

#endif

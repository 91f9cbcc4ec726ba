/* Clients that do nothing wrong: one call after the other, and each notes how long its longest
 * took. Each runs in a thread of its own. */
#ifndef TESTS_HOSTILE_QUIET_H
#define TESTS_HOSTILE_QUIET_H

#include "tests/hostile/starvation.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum quiet_kind {
    QUIET_NATIVE,    /* writes and reads a node, the latter linearizably */
    QUIET_ZOOKEEPER, /* the same by ZooKeeper's protocol: reads are the asked server's own */
    QUIET_NEWCOMER   /* by both protocols in turn: connects, opens a session, writes, closes it */
};

struct quiet_options {
    const char *path; /* its own node, which is there; borrowed */
    enum quiet_kind kind;
    const char *address; /* borrowed */
    size_t asked;        /* the place of the server there */
    size_t leader;
    const pid_t *servers; /* the processes of the cluster */
    size_t server_count;
};

struct quiet;

struct quiet *quiet_start(const struct quiet_options *options);
/* A server ended (0), or is another process now. */
void quiet_set_server(struct quiet *quiet, size_t place, pid_t pid);
/* Begin to count anew. */
void quiet_reset(struct quiet *quiet);

struct quiet_report {
    uint64_t calls;
    uint64_t failures; /* a lost connection, a late or a wrong answer */
    char failure[64];  /* the first of them */
    uint64_t longest_us;
    /* The same without the time for which, on the way of a call, threads waited for a processor. */
    uint64_t longest_unstarved_us;
};
/* Since the last reset. A call under way counts with the time it has taken so far. */
struct quiet_report quiet_report(struct quiet *quiet);
void quiet_stop(struct quiet *quiet);

#endif

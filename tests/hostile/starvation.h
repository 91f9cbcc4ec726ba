/* For how long threads could have worked while others had the processors: time that a call took and
 * that is not the servers' own doing, where the attacker has the same processors.
 *
 * Only threads that a call must pass are asked. The kernel counts a wait when it is over; that of a
 * thread that still waits is not in it, so too little is taken off rather than too much. */
#ifndef TESTS_HOSTILE_STARVATION_H
#define TESTS_HOSTILE_STARVATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { STARVATION_SERVERS_MAX = 8 };

/* Of a server: its main thread, by which everything goes, and the one that writes its log. */
struct starvation_threads {
    pid_t pid; /* 0 = it does not run */
    pid_t log_writer;
};

struct starvation {
    uint64_t self_us;
    struct {
        bool runs;
        uint64_t main_us;
        uint64_t log_writer_us;
    } servers[STARVATION_SERVERS_MAX];
};

/* Whom a call needs beside its caller. */
enum starvation_reach {
    STARVATION_ASKED,  /* the server that is asked, and nobody else */
    STARVATION_HEARD,  /* the leader too, and a majority that hears it */
    STARVATION_DURABLE /* and the disks of a majority */
};

struct starvation_way {
    enum starvation_reach reach;
    size_t asked; /* places of servers */
    size_t leader;
};

struct starvation_threads starvation_threads(pid_t pid);
/* The waits so far, of the thread `self` of this process as well. */
struct starvation
starvation_now(const struct starvation_threads *servers, size_t count, pid_t self);
/* How much of what lies between two looks a call may have lost: the longest wait of one thread on
 * its way. Not the sum: threads wait at the same time, and while one works for the call another
 * waits to do something else. Of servers that work side by side for a call a majority is enough, so
 * the least starved majority is asked, and not the most starved server, for which nobody waits. */
uint64_t starvation_on_way(const struct starvation *before,
                           const struct starvation *after,
                           size_t count,
                           struct starvation_way way);

#endif

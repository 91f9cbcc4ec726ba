/* Time as a choice. A core whose clock stands still, and whose timers run out when somebody says
 * so, can do whatever a core with any clock, drift and pauses can do: no rule of safety in raft/
 * depends on time. What this loses is told in tests/explorer/README.md.
 *
 * Knows raft_internal.h, because it sets the fields that hold times. */
#ifndef TESTS_SCENARIO_TIMELESS_H
#define TESTS_SCENARIO_TIMELESS_H

#include "raft/raft.h"

enum timeless_timer {
    TIMELESS_ELECTION,  /* ask for pre-votes */
    TIMELESS_CAMPAIGN,  /* the same, and as if everybody had granted them */
    TIMELESS_HEARTBEAT, /* of a leader; also of a TIMEOUT_NOW to be sent again */
    TIMELESS_QUORUM,    /* a leader heard no quorum for long */
    TIMELESS_TRANSFER,  /* a leadership transfer took too long */
    TIMELESS_READS,     /* a follower's reads waited too long */
    TIMELESS_TIMER_COUNT
};

/* The moment at which the clock of all nodes stands. */
#define TIMELESS_NOW UINT64_C(1000000000)

const char *timeless_timer_name(enum timeless_timer timer);

/* Whether it is running. */
bool timeless_may_expire(const struct raft *raft, enum timeless_timer timer);

/* Let the timer run out now, and no other one, and tick. */
void timeless_expire(struct raft *raft, enum timeless_timer timer);

/* After each input and each flush: forget when things happened. No timer has run out; a follower
 * is not loyal to its leader any more; every peer of a leader was heard just now. */
void timeless_forget(struct raft *raft);

#endif

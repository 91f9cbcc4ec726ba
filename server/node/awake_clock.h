/* A clock that stands still while this process does not run.
 *
 * When the process was stopped, swapped out or its machine slept, the silence of its clients is its
 * own fault: their messages wait in sockets that nobody read. Timeouts measured by this clock are
 * extended by such pauses. A step counts for at most AWAKE_CLOCK_STEP_US_MAX, so that a server that
 * is merely slow still gets on. Whoever uses it must advance it more often than that when idle. */
#ifndef NODE_AWAKE_CLOCK_H
#define NODE_AWAKE_CLOCK_H

#include <stdint.h>

/* A quarter of the smallest session timeout. */
enum { AWAKE_CLOCK_STEP_US_MAX = 250 * 1000 };

struct awake_clock {
    uint64_t real_us;  /* at the last advance */
    uint64_t awake_us; /* <= real_us, never falls */
};

/* Start at `now_us`. */
static inline void awake_clock_init(struct awake_clock *clock, uint64_t now_us)
{
    clock->real_us = now_us;
    clock->awake_us = now_us;
}

/* Returns the awake time at `now_us`. A time before the last one counts as the last one. */
static inline uint64_t awake_clock_advance(struct awake_clock *clock, uint64_t now_us)
{
    if (now_us > clock->real_us) {
        uint64_t step = now_us - clock->real_us;

        clock->awake_us += step < AWAKE_CLOCK_STEP_US_MAX ? step : AWAKE_CLOCK_STEP_US_MAX;
        clock->real_us = now_us;
    }
    return clock->awake_us;
}

#endif

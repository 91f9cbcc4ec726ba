/* Carries out the schedule of a round on the servers, their network, clocks and members. Main
 * thread only. */
#ifndef TESTS_CHAOS_NEMESIS_H
#define TESTS_CHAOS_NEMESIS_H

#include "tests/chaos/admin.h"
#include "tests/chaos/network.h"
#include "tests/chaos/schedule.h"

struct nemesis {
    struct servers *servers;
    struct admin admin;
    const struct schedule *schedule;
    /* By step. */
    struct nemesis_step {
        enum { STEP_WAITS, STEP_RUNS, STEP_IS_OVER } state;
        unsigned victim;  /* as the role was filled when it began */
        unsigned next_ms; /* of what goes to and fro */
        bool is_on;       /* the same */
    } steps[SCHEDULE_STEPS_MAX];
    unsigned fault_count; /* of all rounds */
};

void nemesis_init(struct nemesis *nemesis, struct servers *servers);
/* All steps, from begin to end. */
void nemesis_run(struct nemesis *nemesis, const struct schedule *schedule);
/* No fault is left: all servers are up and voters; a failed expectation after the deadline. */
void nemesis_heal(struct nemesis *nemesis, unsigned deadline_ms);

#endif

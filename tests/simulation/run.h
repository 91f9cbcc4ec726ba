/* One run from its beginning to its end: init, faults, healing of a quorum alone, healing of all,
 * convergence. */
#ifndef TESTS_SIMULATION_RUN_H
#define TESTS_SIMULATION_RUN_H

#include "tests/simulation/operator.h"
#include "tests/simulation/oracle.h"
#include "tests/simulation/workload.h"

struct run_result {
    uint64_t hash; /* of the trace */
    uint64_t steps;
    uint64_t virtual_us;
    uint64_t faults;
    uint64_t put_back;          /* folders to what they were once */
    uint64_t destroyed;         /* disks of members: wiped or damaged */
    uint64_t cores;             /* quorums that had to work alone */
    uint64_t stuck;             /* leaders whose disk stopped */
    uint64_t settling_timeouts; /* from healing until all servers agreed; or, */
    uint64_t mending_us;        /* if something had to be replaced, this time; 0 = the other one */
    uint64_t disputes;          /* that nobody could end; then the run ends early */
    struct oracle_counts oracle;
    struct workload_counts workload;
    struct operator_counts operator;
};

/* Run a plan in its mode. Aborts when an invariant is violated. */
struct run_result run_plan(struct plan *plan, enum timeline_trace trace);

#endif

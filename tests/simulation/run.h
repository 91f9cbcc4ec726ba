/* One seed from its beginning to its end: faults, then healing, then convergence. */
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
    struct oracle_counts oracle;
    struct workload_counts workload;
    struct operator_counts operator;
};

/* Aborts when an invariant is violated. */
struct run_result run_seed(enum settings_profile profile, uint64_t seed, bool trace);

#endif

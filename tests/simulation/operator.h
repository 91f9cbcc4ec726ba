/* The operator: makes the cluster with init, changes its membership and looks at its status, one
 * command at a time, at any server, as confer-cli would. In some runs there is a second one. */
#ifndef TESTS_SIMULATION_OPERATOR_H
#define TESTS_SIMULATION_OPERATOR_H

#include "tests/simulation/second_operator.h"

struct operator;

struct operator* operator_new(struct cluster *cluster, struct oracle *oracle);
void operator_free(struct operator* self);
void operator_on_stop(struct operator* self, struct cluster_server *server);

/* The cluster was made, with the learners that it begins with. */
bool operator_has_cluster(const struct operator* self);
/* Commands other than init may come from now on. */
void operator_begin(struct operator* self);
/* The faults are over: from now on servers whose folders were found to be old copies are mended as
 * an operator does it: removed, wiped, started and added again. So are, later, those with a wrong
 * state that the others dispute without a majority that could settle it. */
void operator_mend(struct operator* self);
/* No more commands after the one under way. */
void operator_quiet(struct operator* self);
bool operator_is_idle(const struct operator* self);

struct operator_counts {
    uint64_t looked; /* status */
    uint64_t asked;
    uint64_t done;
    uint64_t repeated;
    uint64_t wiped;
    uint64_t mended; /* servers with old copies or disputed states */
    struct second_operator_counts second;
};
struct operator_counts operator_counts(const struct operator* self);

#endif

/* Somebody else who asks for something while a command of the operator is under way: that nothing
 * comes of it after all, the same once more, or another change. */
#ifndef TESTS_SIMULATION_SECOND_OPERATOR_H
#define TESTS_SIMULATION_SECOND_OPERATOR_H

#include "tests/simulation/membership_call.h"

struct second_operator;

/* `first` is the call of the operator; it stays its own. */
struct second_operator *second_operator_new(struct cluster *cluster,
                                            struct oracle *oracle,
                                            const struct membership_call *first);
void second_operator_free(struct second_operator *self);
void second_operator_on_stop(struct second_operator *self, struct cluster_server *server);
/* Commands may come from now on, and no more of them. */
void second_operator_begin(struct second_operator *self);
void second_operator_quiet(struct second_operator *self);

const struct membership_call *second_operator_call(const struct second_operator *self);

struct second_operator_counts {
    uint64_t cancelled; /* asked for */
    uint64_t repeated;
    uint64_t changed;
    uint64_t done; /* of all of them */
};
struct second_operator_counts second_operator_counts(const struct second_operator *self);

#endif

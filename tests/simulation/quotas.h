/* Quotas (server/state/quota.h) on the two folders of the workload, counted a second time from the
 * changes of commands: what the stats say, that hard limits hold where they are enforced, and that
 * nothing is refused for them without a reason. */
#ifndef TESTS_SIMULATION_QUOTAS_H
#define TESTS_SIMULATION_QUOTAS_H

#include "proto/record.pb-c.h"
#include "tests/simulation/chronicle.h"

struct quotas;

/* The chronicle outlives it. */
struct quotas *quotas_new(struct chronicle *chronicle);
void quotas_free(struct quotas *quotas);

/* A command was applied for the first time anywhere. `server`: whom a violation is told of. */
void quotas_on_command(struct quotas *quotas,
                       const struct cluster_server *server,
                       const Record__Command *command,
                       const struct state_result *result);
/* Right after that: the stats in the state that it was applied to. */
void quotas_check(struct quotas *quotas, const struct cluster_server *server, struct state *state);

struct quotas_counts {
    uint64_t compared; /* stats, after commands that changed what they count */
    uint64_t refused;
};
struct quotas_counts quotas_counts(const struct quotas *quotas);

#endif

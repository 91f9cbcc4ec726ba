/* Clients: they read and write through the servers' own client interface, lose connections, move to
 * other servers, repeat numbered writes whose outcome they do not know, and tell the oracle what
 * they were told. */
#ifndef TESTS_SIMULATION_WORKLOAD_H
#define TESTS_SIMULATION_WORKLOAD_H

#include "tests/simulation/cluster.h"
#include "tests/simulation/oracle.h"

struct workload;

struct workload *workload_new(struct cluster *cluster, struct oracle *oracle);
void workload_free(struct workload *workload);
/* The process ends: its connections close. */
void workload_on_stop(struct workload *workload, struct cluster_server *server);

/* Begin nothing new; finish what is under way. */
void workload_quiet(struct workload *workload);
/* Nothing is under way. */
bool workload_is_idle(const struct workload *workload);
/* One write, then a linearizable read, at each of these places, which must succeed. */
void workload_probe(struct workload *workload, size_t place);
/* Places at which these have not succeeded yet. */
size_t workload_probes(const struct workload *workload);

struct workload_counts {
    uint64_t connections;
    uint64_t sessions;
    uint64_t sessions_lost;
    uint64_t resent;
    uint64_t unknown;
};
struct workload_counts workload_counts(const struct workload *workload);

#endif

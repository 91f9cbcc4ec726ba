/* Clients: they read, write and watch through the servers' own client interface, lose connections,
 * move to other servers, repeat numbered writes whose outcome they do not know, and tell the oracle
 * what they were told. */
#ifndef TESTS_SIMULATION_WORKLOAD_H
#define TESTS_SIMULATION_WORKLOAD_H

#include "tests/simulation/workload_client.h"

struct workload;

struct workload *workload_new(struct cluster *cluster, struct oracle *oracle);
void workload_free(struct workload *workload);
/* The process ends: its connections close. */
void workload_on_stop(struct workload *workload, struct cluster_server *server);

/* Begin nothing new; finish what is under way. */
void workload_quiet(struct workload *workload);
/* Nothing is under way, every watch stream has everything, and only the sessions of clients are
 * left. */
bool workload_is_idle(const struct workload *workload);
/* What is waited for, on stderr. */
void workload_print(const struct workload *workload);
/* One write, then a linearizable read, at each of these places, which must succeed. */
void workload_probe(struct workload *workload, size_t place);
/* Places at which these have not succeeded yet. */
size_t workload_probes(const struct workload *workload);
/* They need not succeed: the place is no member any more. */
void workload_drop_probes(struct workload *workload);

struct workload_counts workload_counts(const struct workload *workload);
void workload_counts_add(struct workload_counts *sum, const struct workload_counts *more);
void workload_counts_print(const struct workload_counts *counts);

#endif

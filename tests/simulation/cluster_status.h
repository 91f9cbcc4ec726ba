/* What servers tell an operator of the cluster: S32 of the README. A leader tells what its core
 * knows, and nobody tells of more than the leader has. */
#ifndef TESTS_SIMULATION_CLUSTER_STATUS_H
#define TESTS_SIMULATION_CLUSTER_STATUS_H

#include "proto/client.pb-c.h"
#include "tests/simulation/promotions.h"

/* The answer that the server gives in this very moment. */
void cluster_status_judge(const struct promotions *promotions,
                          struct cluster_server *server,
                          const Client__StatusReply *reply);

#endif

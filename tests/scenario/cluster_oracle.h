/* What must hold in every history of a cluster, whoever makes it. A violation ends the process with
 * a text. */
#ifndef TESTS_SCENARIO_CLUSTER_ORACLE_H
#define TESTS_SCENARIO_CLUSTER_ORACLE_H

#include "tests/scenario/cluster.h"

__attribute__((format(printf, 2, 3))) _Noreturn void
cluster_oracle_violated(const struct cluster *cluster, const char *format, ...);
/* A violation if there is none. */
struct cluster_node *cluster_oracle_node(struct cluster *cluster, raft_id id);

/* After each input and each flush of the node. */
void cluster_oracle_watch_leader(struct cluster *cluster, struct cluster_node *node);
void cluster_oracle_watch_commit(struct cluster *cluster, struct cluster_node *node);
void cluster_oracle_watch_configuration(struct cluster *cluster, const struct cluster_node *node);
/* What the node sends, and what it answers to a read. */
void cluster_oracle_watch_message(struct cluster *cluster,
                                  struct cluster_node *node,
                                  const struct raft_message *message);
void cluster_oracle_watch_read(struct cluster *cluster,
                               struct cluster_node *node,
                               const struct raft_finished_read *finished);

#endif

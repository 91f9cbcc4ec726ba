/* How much of the cluster may be destroyed: in every configuration that may be in force, sound
 * disks stay a majority of each half, also when the learners that wait for it are promoted. */
#ifndef TESTS_SIMULATION_TOLERANCE_H
#define TESTS_SIMULATION_TOLERANCE_H

#include "tests/simulation/cluster.h"

/* Nothing was done to its disk, and that is the one that the others know. */
bool tolerance_is_intact(struct cluster_server *server);
/* In a configuration that a running server has, with the disk that it has. */
bool tolerance_is_member(struct cluster *cluster, const struct cluster_server *server);
/* Of a member: without its disk enough are left, whatever comes of changes that are under way. */
bool tolerance_has_spare(struct cluster *cluster, struct cluster_server *server);
/* Every member has its disk, and nothing was done to it. */
bool tolerance_is_whole(struct cluster *cluster);
/* With these voters instead of those of the configuration the cluster could go on: so an operator
 * asks for them. */
bool tolerance_permits(struct cluster *cluster,
                       const struct raft_config *config,
                       const uint64_t *voters,
                       size_t count);

#endif

/* Who becomes a voter: S31 of the README. Without force only a server that has caught up does, so
 * that the new majority can commit at once. Asked by the oracle. */
#ifndef TESTS_SIMULATION_PROMOTIONS_H
#define TESTS_SIMULATION_PROMOTIONS_H

#include "tests/simulation/cluster.h"

struct promotions;

struct promotions *promotions_new(struct cluster *cluster);
void promotions_free(struct promotions *promotions);

/* Somebody asks for these voters with force: they need not have caught up. */
void promotions_on_force(struct promotions *promotions, const uint64_t *voters, size_t count);
void promotions_on_boot(struct promotions *promotions, const struct cluster_server *server);
/* After each turn of the server. */
void promotions_on_turn(struct promotions *promotions, struct cluster_server *server);

/* Where the log ended of the leader of this term when it was last seen to lead; 0 = unknown. */
raft_index promotions_led_last(const struct promotions *promotions, raft_id leader, raft_term term);
uint64_t promotions_count(const struct promotions *promotions);

#endif

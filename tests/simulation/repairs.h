/* What becomes of states that are wrong, or that members differ about: S27 to S30 of the README.
 * Asked by the oracle. */
#ifndef TESTS_SIMULATION_REPAIRS_H
#define TESTS_SIMULATION_REPAIRS_H

#include "tests/simulation/cluster.h"

struct repairs;

struct repairs *repairs_new(struct cluster *cluster);
void repairs_free(struct repairs *repairs);

void repairs_on_boot(struct repairs *repairs, struct cluster_server *server);
void repairs_on_offer(struct repairs *repairs,
                      const struct cluster_server *server,
                      raft_id to,
                      const Peer__DumpOffer *offer);
/* After each turn of the server. */
void repairs_on_turn(struct repairs *repairs, struct cluster_server *server);

#endif

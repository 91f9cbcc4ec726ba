/* The handshake between two modelled servers: what each says of its data folder, and whether the
 * other lets it in, by the shipped rules. */
#ifndef TESTS_SIMULATION_ADMISSION_H
#define TESTS_SIMULATION_ADMISSION_H

#include "tests/simulation/cluster.h"

/* As network_users wants it; `context` is the cluster. */
bool admission_admit(void *context,
                     size_t from,
                     size_t to,
                     Peer__Channel channel,
                     const uint8_t incarnation[RAFT_INCARNATION_BYTES]);

/* Whether every other member would know the backup of this server for an old copy, whatever becomes
 * of its process; and no other server runs on one. Where the members never change. */
bool admission_would_find_out(const struct cluster_server *server);

#endif

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

/* Whether every other server that is a member, or was one and has its log, would know the backup of
 * this one for an old copy, whatever becomes of its process; and no other runs on one. It is so
 * until it is found out, if nobody is added meanwhile. */
bool admission_would_find_out(const struct cluster_server *server);

#endif

/* The one quorum computation: elections, commit, check-quorum and read rounds all ask which value
 * a majority of each half has reached. */
#ifndef RAFT_RAFT_QUORUM_H
#define RAFT_RAFT_QUORUM_H

#include "raft/raft_internal.h"

typedef uint64_t raft_quorum_value(raft_id id, const void *context);

/* The largest v such that in each half that has voters a majority has a value >= v. 0 without
 * voters: an empty configuration decides nothing. */
uint64_t raft_quorum_reached(const struct raft_voters *voters,
                             raft_quorum_value *value,
                             const void *context);

#endif

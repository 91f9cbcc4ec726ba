/* What must always hold, checked while the run goes on: the invariants of consensus over all
 * servers and their disks, one outcome of each command on every server, and what clients were told
 * against what was applied.
 *
 * S1   one leader in a term                  S2/S3  votes and terms, on disk before they are sent
 * S4   (index, term) names one history       S6     a new leader holds all that is committed
 * S7   what is committed never changes       S8/S9  and is on a quorum of disks, and stays there
 * S10  a leader commits only by its term     S11    base <= applied <= commit <= last, durable
 * S12/S13  acknowledgements are true         S17    reads see what was acknowledged before
 * S20  equal applied, equal digest           S21    a write takes effect once
 * S24  a refused write never takes effect    and raft_check of every node after each turn. */
#ifndef TESTS_SIMULATION_ORACLE_H
#define TESTS_SIMULATION_ORACLE_H

#include "server/node/node.h"
#include "tests/simulation/cluster.h"
#include "tests/simulation/truth.h"

struct oracle;

struct oracle *oracle_new(struct cluster *cluster);
void oracle_free(struct oracle *oracle);

/* To be called from the observer of the cluster. */
void oracle_on_turn(struct oracle *oracle, struct cluster_server *server);
void oracle_on_boot(struct oracle *oracle, struct cluster_server *server);
void oracle_on_send(struct oracle *oracle,
                    struct cluster_server *server,
                    raft_id to,
                    const Peer__RaftMessage *message);
void oracle_on_hard_state(struct oracle *oracle,
                          struct cluster_server *server,
                          raft_term term,
                          raft_id vote);
void oracle_on_truncate(struct oracle *oracle, struct cluster_server *server, raft_index first);
void oracle_on_append(struct oracle *oracle, struct cluster_server *server, raft_index index);
void oracle_on_reset(struct oracle *oracle,
                     struct cluster_server *server,
                     raft_index index,
                     raft_term term);

/* S14: nothing is on its way from this leader, and nothing waits to be committed. */
bool oracle_is_at_rest(const struct cluster_server *leader);
/* The run is over. L2: without faults nobody but the first leader was ever elected. L3: terms rose
 * hardly more often than leaders were elected. */
void oracle_on_end(const struct oracle *oracle);

/* The newest index that a leader was seen to have committed: a linearizable read that begins now
 * shows it. */
raft_index oracle_committed(const struct oracle *oracle);
struct truth *oracle_truth(struct oracle *oracle);

struct oracle_counts {
    uint64_t committed;
    uint64_t terms;
    uint64_t truncations;
    uint64_t resets; /* dumps installed */
    struct truth_counts truth;
};
struct oracle_counts oracle_counts(const struct oracle *oracle);
void oracle_counts_add(struct oracle_counts *sum, const struct oracle_counts *more);
void oracle_counts_print(const struct oracle_counts *counts);

#endif

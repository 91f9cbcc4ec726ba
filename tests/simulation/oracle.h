/* What must always hold, checked while the run goes on: the invariants of consensus over all
 * servers and their disks. The README lists them (S1..S33, L1..L5) and where each is checked; votes
 * and reads are kept in `ledger`, configurations in `configs`, what commands did in `truth`,
 * repairs and disputes in `repairs`, who becomes a voter in `promotions`. */
#ifndef TESTS_SIMULATION_ORACLE_H
#define TESTS_SIMULATION_ORACLE_H

#include "server/node/node.h"
#include "tests/simulation/cluster.h"
#include "tests/simulation/configs.h"
#include "tests/simulation/truth.h"

struct oracle;

struct oracle *oracle_new(struct cluster *cluster);
void oracle_free(struct oracle *oracle);

/* To be called from the observer of the cluster. */
void oracle_on_turn(struct oracle *oracle, struct cluster_server *server);
void oracle_on_boot(struct oracle *oracle, struct cluster_server *server);
void oracle_on_offer(struct oracle *oracle,
                     struct cluster_server *server,
                     raft_id to,
                     const Peer__DumpOffer *offer);
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

/* To be called by who asks servers for changes of the membership and for their status. */
void oracle_on_force(struct oracle *oracle, const uint64_t *voters, size_t count);
void oracle_on_status(const struct oracle *oracle,
                      struct cluster_server *server,
                      const Client__StatusReply *reply);

/* S14: nothing is on its way from this leader, and nothing waits to be committed. */
bool oracle_is_at_rest(const struct cluster_server *leader);
/* The run is over. L2: without faults nobody but the first leader was ever elected. L3: terms rose
 * hardly more often than leaders were elected. */
void oracle_on_end(const struct oracle *oracle);

/* The newest index that a leader was seen to have committed: a linearizable read that begins now
 * shows it. */
raft_index oracle_committed(const struct oracle *oracle);
const struct configs *oracle_configs(const struct oracle *oracle);
struct truth *oracle_truth(struct oracle *oracle);

struct oracle_counts {
    uint64_t committed;
    uint64_t terms;
    uint64_t truncations;
    uint64_t resets;   /* dumps installed */
    uint64_t promoted; /* servers, which had caught up */
    struct truth_counts truth;
};
struct oracle_counts oracle_counts(const struct oracle *oracle);
void oracle_counts_add(struct oracle_counts *sum, const struct oracle_counts *more);
void oracle_counts_print(const struct oracle_counts *counts);

#endif

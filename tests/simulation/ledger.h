/* What servers said to each other, kept through all their crashes: to whom each gave its vote, who
 * spoke as leader, and which read rounds each answered. Independent of what disks hold. */
#ifndef TESTS_SIMULATION_LEDGER_H
#define TESTS_SIMULATION_LEDGER_H

#include "tests/simulation/cluster.h"

struct ledger;

struct ledger *ledger_new(struct cluster *cluster);
void ledger_free(struct ledger *ledger);

/* A message leaves. Violations: S1 two servers speak as leaders of one term, S2 two grants in one
 * term, S16 a read index is given out although no quorum of voters answered a round that began
 * after it was asked for. `configs`: the leader's configuration now and at the end of its last
 * turn; one of them must have that quorum. L3: votes are asked for in a term that no quorum gave
 * pre-votes for, and not because leadership is handed over. */
void ledger_on_send(struct ledger *ledger,
                    const struct cluster_server *server,
                    raft_id to,
                    const Peer__RaftMessage *message,
                    const struct raft_config *const configs[2]);
/* An answer to a pre-vote leaves: it would vote for `to` in this term. */
void ledger_on_prevote(struct ledger *ledger,
                       const struct cluster_server *server,
                       raft_id to,
                       raft_term term);
/* S1: it leads in this term. */
void ledger_on_leader(struct ledger *ledger, const struct cluster_server *server, raft_term term);
/* The run is over, in which so many terms had a leader, the last one `last`. L2: without any fault
 * that was one. L3: terms rise in step with leaders and starts. */
void ledger_judge_terms(const struct ledger *ledger, uint64_t leaders, raft_term last);
/* 0: nobody that is known of. */
raft_id ledger_leader(const struct ledger *ledger, raft_term term);
/* Whether `voter` sent its vote in this term to `candidate`. */
bool ledger_has_granted(const struct ledger *ledger,
                        raft_id voter,
                        raft_id candidate,
                        raft_term term);

#endif

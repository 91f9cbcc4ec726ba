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

/* --- What clients see --- */

/* A new serial number for a write; the value of every node that it writes begins with it. */
uint64_t oracle_next_serial(struct oracle *oracle);
/* The write was acknowledged as effective at `at`. */
void oracle_on_acknowledged(struct oracle *oracle, uint64_t serial, zxid at);
/* The write was refused for good. */
void oracle_on_refused(struct oracle *oracle, uint64_t serial);
/* The newest zxid that any client was shown: a linearizable read that begins now shows it. */
zxid oracle_newest_shown(const struct oracle *oracle);
/* A client was shown this zxid. */
void oracle_on_shown(struct oracle *oracle, zxid shown);
/* A read of the node of key number `key` answered at `shown`; NULL: no such node. */
void oracle_on_read(struct oracle *oracle, uint64_t key, zxid shown, const struct state_node *node);

/* The path of key number `key`: "/k" and digits. */
struct bytes oracle_key_path(uint64_t key, char text[16]);

struct oracle_counts {
    uint64_t committed;
    uint64_t terms;
    uint64_t effects;
    uint64_t acknowledged;
    uint64_t repeated; /* commands answered from kept results */
    uint64_t reads;
    uint64_t truncations;
    uint64_t resets; /* dumps installed */
};
struct oracle_counts oracle_counts(const struct oracle *oracle);

#endif

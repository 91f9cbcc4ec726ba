/* A cluster of real cores with modelled disks and network, and an oracle that watches every step:
 * one leader a term, one vote a term, acknowledgements true of the disk, one history, commits held
 * by quorums, linearizable read indexes. A violation ends the process with a text.
 *
 * Used by the scenario runner, which narrates, and by the random walk, which does not. */
#ifndef TESTS_SCENARIO_CLUSTER_H
#define TESTS_SCENARIO_CLUSTER_H

#include "base/prng.h"
#include "raft/raft.h"
#include "tests/scenario/timeless.h"

#include <stdio.h>

enum {
    CLUSTER_NODES_MAX = 12,
    CLUSTER_LOG_MAX = 8192, /* indexes in one run */
    CLUSTER_TERMS_MAX = 4096,
    CLUSTER_FLIGHTS_MAX = 4096,
    CLUSTER_WRITES_MAX = 512,
    CLUSTER_READS_MAX = 4096
};

/* An entry with what stands for its payload. */
struct cluster_entry {
    struct raft_entry entry;
    uint64_t tag;               /* COMMAND: unique number of the proposal */
    struct raft_config *config; /* CONFIG: shared, never freed before the cluster */
};

struct cluster_disk {
    bool fresh; /* nothing was ever written */
    raft_term term;
    raft_id vote;
    raft_index base;
    raft_term base_term;
    raft_index last;
    struct cluster_entry entries[CLUSTER_LOG_MAX]; /* by index */
    raft_index checkpoint;                         /* applied and durable */
    raft_index config_index;
    struct raft_config config;
    /* A dump that is complete here, for the switch to take. */
    raft_index dump_index;
    raft_index dump_config_index;
    struct raft_config dump_config;
};

struct cluster_write {
    struct raft_write write;
    struct cluster_entry *entries;
};

struct cluster_node {
    struct cluster *cluster;
    raft_id id;
    uint8_t incarnation;
    bool alive;
    bool hold_writes; /* stabilize leaves its writes pending */
    bool hold_flush;  /* several inputs before one flush */
    void *memory;
    struct raft *raft;
    struct raft_options options;
    struct cluster_disk *disk;
    struct cluster_entry *entries; /* in memory, by index */
    struct cluster_write writes[CLUSTER_WRITES_MAX];
    size_t write_count;
    raft_index applied;
    raft_time next_deadline;
    struct raft_status shown; /* the state that was narrated last */
    raft_index shown_applied;
    bool flush_due;
    uint64_t starts;
};

struct cluster_flight {
    uint64_t number;
    bool held; /* deliveries pass it over until it is released */
    struct raft_message message;
    struct cluster_entry *entries;
};

struct cluster_read {
    uint64_t token;
    raft_id node;
    raft_index known; /* committed anywhere when it began */
    bool done;
    bool ok;
};

struct cluster {
    raft_time now;
    uint64_t seed;
    FILE *trace;          /* NULL: silent */
    bool hide_heartbeats; /* in the trace */
    bool timeless;        /* see timeless.h; with now = TIMELESS_NOW */
    struct raft_options options;
    struct cluster_node nodes[CLUSTER_NODES_MAX];
    size_t node_count;
    bool cut[CLUSTER_NODES_MAX + 1][CLUSTER_NODES_MAX + 1]; /* from, to */
    struct cluster_flight flights[CLUSTER_FLIGHTS_MAX];
    size_t flight_count;
    uint64_t flight_number;
    uint64_t next_tag;
    uint64_t next_token;
    struct cluster_read reads[CLUSTER_READS_MAX];
    size_t read_count;
    /* The oracle. */
    raft_id leaders[CLUSTER_TERMS_MAX];
    raft_id votes[CLUSTER_NODES_MAX + 1][CLUSTER_TERMS_MAX];
    struct cluster_entry history[CLUSTER_LOG_MAX];
    raft_term committed_in[CLUSTER_LOG_MAX]; /* the term whose leader committed it */
    raft_index committed;                    /* by any node */
    raft_index applied;                      /* by any node, ever: what a client can know of */
    struct raft_config **configs;
    size_t config_count;
};

struct cluster *cluster_new(const struct raft_options *options, uint64_t seed, FILE *trace);
void cluster_free(struct cluster *cluster);

/* A node that waits without a cluster. */
struct cluster_node *cluster_add_node(struct cluster *cluster);
/* NULL if there is none. */
struct cluster_node *cluster_find(struct cluster *cluster, raft_id id);
/* The member record of a node, as it would report it to a leader. */
struct raft_member cluster_member(const struct cluster_node *node, uint8_t flags);
enum status cluster_bootstrap(struct cluster *cluster,
                              struct cluster_node *node,
                              const struct raft_config *config);

/* For inputs that have no function here: the node had one. */
void cluster_touched(struct cluster_node *node);

/* Inputs. Each leaves the node to be flushed. */
void cluster_tick(struct cluster *cluster, struct cluster_node *node);
/* In a timeless cluster, instead of ticks. False: the timer is not running. */
bool cluster_expire(struct cluster *cluster, struct cluster_node *node, enum timeless_timer timer);
enum status
cluster_propose(struct cluster *cluster, struct cluster_node *node, size_t count, uint32_t bytes);
enum status cluster_read(struct cluster *cluster, struct cluster_node *node);
void cluster_deliver(struct cluster *cluster, size_t position);
void cluster_drop(struct cluster *cluster, size_t position);
void cluster_duplicate(struct cluster *cluster, size_t position);
/* Make the oldest write durable. */
void cluster_persist(struct cluster *cluster, struct cluster_node *node);
void cluster_peer_down(struct cluster *cluster, struct cluster_node *node, raft_id peer);

/* Loses all writes that are not durable. */
void cluster_crash(struct cluster *cluster, struct cluster_node *node);
enum status cluster_restart(struct cluster *cluster, struct cluster_node *node);
/* What the disk of a node says of itself, and a start with that damaged, which must be refused. */
struct raft_boot cluster_boot_record(const struct cluster_node *node);
enum status cluster_restart_from(struct cluster *cluster,
                                 struct cluster_node *node,
                                 const struct raft_boot *from);
/* Empty the disk; the next start has another incarnation. */
void cluster_wipe(struct cluster *cluster, struct cluster_node *node);
/* Make what is applied durable. */
void cluster_checkpoint(struct cluster *cluster, struct cluster_node *node);
/* The same, but no further than `index`: a state machine may be behind what it was given. */
void cluster_checkpoint_until(struct cluster *cluster, struct cluster_node *node, raft_index index);
/* Trim the log up to `index`, at most the checkpoint. */
void cluster_trim(struct cluster *cluster, struct cluster_node *node, raft_index index);
/* Carry a dump of the checkpoint of `from`, as made now, to `to`, and install it there. */
enum status
cluster_dump(struct cluster *cluster, struct cluster_node *from, struct cluster_node *to);

/* Flush every node that had input, check it, watch it. */
void cluster_flush(struct cluster *cluster);
/* Deliver and persist until nothing moves. Held messages, held writes and time stand still. */
void cluster_stabilize(struct cluster *cluster);
/* Tick nodes at their deadlines until `until`, stabilizing between if asked. */
void cluster_advance(struct cluster *cluster, raft_time until, bool stabilize);

/* Every live member of the last configuration has the same applied history up to the end. */
void cluster_check_converged(struct cluster *cluster);

#endif

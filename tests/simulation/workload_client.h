/* One client: a session through many connections, writes that are repeated until their outcome is
 * known, reads, watch streams. It does what the client library promises to do and tells the oracle
 * what it was told. */
#ifndef TESTS_SIMULATION_WORKLOAD_CLIENT_H
#define TESTS_SIMULATION_WORKLOAD_CLIENT_H

#include "tests/simulation/client_streams.h"
#include "tests/simulation/cluster.h"
#include "tests/simulation/oracle.h"

struct workload_client;

struct workload_counts {
    uint64_t connections;
    uint64_t sessions;
    uint64_t sessions_lost;
    uint64_t closed;
    uint64_t resent;
    uint64_t unknown;
    uint64_t twice; /* numbered writes that were sent again although answered or under way */
    uint64_t reads;
    struct client_streams_counts streams;
};

struct workload_client *workload_client_new(struct cluster *cluster,
                                            struct oracle *oracle,
                                            struct workload_counts *counts,
                                            uint64_t number,
                                            uint64_t seed);
void workload_client_free(struct workload_client *self);

/* Its next step, now, drawn from `seed`: connect, ask something, disconnect, ... `quiet`: finish
 * what is under way and keep session and streams, nothing else. */
void workload_client_step(struct workload_client *self, uint64_t seed, bool quiet);
/* The process ends: its connections close. */
void workload_client_on_stop(struct workload_client *self, const struct cluster_server *server);
/* One write and one linearizable read at this place, and nothing else. */
void workload_client_pin(struct workload_client *self, size_t place);
/* Whether that has not succeeded yet. */
bool workload_client_probes(const struct workload_client *self);

/* Nothing is under way, and its streams have everything. */
bool workload_client_is_idle(const struct workload_client *self);
/* What it waits for, on stderr. */
void workload_client_print(const struct workload_client *self);
/* The session that it believes to have; 0 = none. */
session_id workload_client_session(const struct workload_client *self);

/* It need not succeed any more. */
void workload_client_drop_probe(struct workload_client *self);

#endif

#include "tests/simulation/workload.h"

#include "base/alloc.h"
#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { CLIENTS_MAX = 32, RETRY_US = 20 * 1000 };

struct runner {
    struct workload *workload;
    struct prng prng;
    struct plan_cursor cursor;
    struct timeline_event tick;
    struct workload_client *client;
};

struct workload {
    struct cluster *cluster;
    struct oracle *oracle;
    struct prng prng;
    struct runner runners[CLIENTS_MAX];
    size_t count;
    bool quiet;
    struct workload_counts counts;
};

static void tick(struct timeline_event *event);

static void plan_tick(struct runner *runner, uint64_t delay_us)
{
    if (delay_us != UINT64_MAX) {
        timeline_after(runner->workload->cluster->timeline, &runner->tick, delay_us, tick);
    }
}

static void tick(struct timeline_event *event)
{
    struct runner *runner = CONTAINER_OF(event, struct runner, tick);
    struct cluster *cluster = runner->workload->cluster;
    uint64_t now_us = cluster->timeline->now_us;

    if (runner->workload->quiet) {
        workload_client_step(runner->client, prng_next(&runner->prng), true);
        plan_tick(runner, prng_between(&runner->prng, 1, 20 * RETRY_US));
        return;
    }
    prng_init(&runner->prng, plan_seed(cluster->plan, &runner->cursor, now_us, &runner->prng));
    workload_client_step(runner->client, prng_next(&runner->prng), false);
    plan_tick(runner, plan_delay(cluster->plan, &runner->cursor, now_us, &runner->prng,
                                 2 * cluster->settings.operation_interval_us));
}

static struct runner *add_client(struct workload *workload)
{
    struct runner *runner = &workload->runners[workload->count];

    CHECK_OP(workload->count, <, CLIENTS_MAX);
    runner->workload = workload;
    prng_init(&runner->prng, prng_next(&workload->prng));
    runner->client = workload_client_new(workload->cluster, workload->oracle, &workload->counts,
                                         workload->count, prng_next(&workload->prng));
    runner->cursor = (struct plan_cursor){.kind = PLAN_CLIENT, .actor = (uint32_t)workload->count};
    workload->count++;
    plan_tick(runner, workload->quiet ? prng_below(&runner->prng, RETRY_US)
                                      : plan_delay(workload->cluster->plan, &runner->cursor,
                                                   workload->cluster->timeline->now_us,
                                                   &runner->prng, RETRY_US));
    return runner;
}

struct workload *workload_new(struct cluster *cluster, struct oracle *oracle)
{
    struct workload *workload = xcalloc(1, sizeof *workload);

    workload->cluster = cluster;
    workload->oracle = oracle;
    prng_init(&workload->prng, cluster->settings.seed * 11 + 3);
    for (size_t i = 0; i < cluster->settings.clients; i++) {
        (void)add_client(workload);
    }
    return workload;
}

void workload_free(struct workload *workload)
{
    for (size_t i = 0; i < workload->count; i++) {
        timeline_cancel(workload->cluster->timeline, &workload->runners[i].tick);
        workload_client_free(workload->runners[i].client);
    }
    free(workload);
}

void workload_on_stop(struct workload *workload, struct cluster_server *server)
{
    for (size_t i = 0; i < workload->count; i++) {
        workload_client_on_stop(workload->runners[i].client, server);
    }
}

void workload_probe(struct workload *workload, size_t place)
{
    workload_client_pin(add_client(workload)->client, place);
}

void workload_quiet(struct workload *workload)
{
    if (workload->quiet) {
        return;
    }
    workload->quiet = true;
    /* From here on a run that replays a plan goes on as the one that recorded it. */
    for (size_t i = 0; i < workload->count; i++) {
        prng_init(&workload->runners[i].prng, workload->cluster->settings.seed * 19 + i);
        plan_tick(&workload->runners[i], prng_below(&workload->runners[i].prng, RETRY_US));
    }
}

size_t workload_probes(const struct workload *workload)
{
    size_t count = 0;

    for (size_t i = 0; i < workload->count; i++) {
        count += workload_client_probes(workload->runners[i].client) > 0;
    }
    return count;
}

void workload_drop_probes(struct workload *workload)
{
    for (size_t i = 0; i < workload->count; i++) {
        workload_client_drop_probe(workload->runners[i].client);
    }
}

bool workload_is_idle(const struct workload *workload)
{
    size_t kept = 0;

    for (size_t i = 0; i < workload->count; i++) {
        const struct workload_client *client = workload->runners[i].client;

        if (!workload_client_is_idle(client)) {
            return false;
        }
        kept += workload_client_session(client) != 0;
    }
    return truth_session_count(oracle_truth(workload->oracle)) == kept;
}

void workload_print(const struct workload *workload)
{
    size_t kept = 0;

    for (size_t i = 0; i < workload->count; i++) {
        workload_client_print(workload->runners[i].client);
        kept += workload_client_session(workload->runners[i].client) != 0;
    }
    fprintf(stderr, "  %zu sessions live, clients have %zu\n",
            truth_session_count(oracle_truth(workload->oracle)), kept);
}

struct workload_counts workload_counts(const struct workload *workload)
{
    return workload->counts;
}

void workload_counts_add(struct workload_counts *sum, const struct workload_counts *more)
{
    sum->connections += more->connections;
    sum->sessions += more->sessions;
    sum->sessions_lost += more->sessions_lost;
    sum->closed += more->closed;
    sum->resent += more->resent;
    sum->unknown += more->unknown;
    sum->twice += more->twice;
    sum->reads += more->reads;
    sum->streams.given += more->streams.given;
    sum->streams.resumed += more->streams.resumed;
    sum->streams.compacted += more->streams.compacted;
    sum->streams.lost += more->streams.lost;
}

void workload_counts_print(const struct workload_counts *counts)
{
    printf("  %" PRIu64 " connections, %" PRIu64 " sessions, %" PRIu64 " closed, %" PRIu64
           " lost; %" PRIu64 " writes resent, %" PRIu64 " sent twice, %" PRIu64 " unknown; %" PRIu64
           " reads\n",
           counts->connections, counts->sessions, counts->closed, counts->sessions_lost,
           counts->resent, counts->twice, counts->unknown, counts->reads);
    printf("  %" PRIu64 " watch events, %" PRIu64 " streams resumed, %" PRIu64
           " compacted, %" PRIu64 " lost\n",
           counts->streams.given, counts->streams.resumed, counts->streams.compacted,
           counts->streams.lost);
}

#include "tests/simulation/faults.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <stdlib.h>

enum { TICK_US = 10 * 1000 };

struct ends {
    uint64_t down_us;
    uint64_t pause_us;
    uint64_t slow_us;
    uint64_t full_us;
};

struct faults {
    struct cluster *cluster;
    struct prng prng;
    struct timeline_event tick;
    uint64_t next_us;
    uint64_t partition_us;
    struct ends ends[NETWORK_PLACES_MAX];
    uint64_t count;
    bool healed;
};

static uint64_t now(const struct faults *faults)
{
    return faults->cluster->timeline->now_us;
}

/* Mostly short, sometimes seconds. */
static uint64_t draw_us(struct faults *faults)
{
    uint64_t limit = timeline_chance(&faults->prng, 700) ? 600 * 1000 : 4 * 1000 * 1000;

    return 1000 + prng_below(&faults->prng, limit);
}

static void split(struct faults *faults)
{
    struct network *network = faults->cluster->network;
    size_t places = faults->cluster->settings.places;
    uint64_t sides = prng_next(&faults->prng);

    for (size_t i = 0; i < places; i++) {
        for (size_t j = 0; j < places; j++) {
            network_block(network, i, j, ((sides >> i) & 1) != ((sides >> j) & 1));
        }
    }
    timeline_trace(faults->cluster->timeline, "partition %" PRIx64, sides & 0xff);
}

static void cut_one_way(struct faults *faults)
{
    size_t places = faults->cluster->settings.places;
    size_t from = (size_t)prng_below(&faults->prng, places);

    for (size_t to = 0; to < places; to++) {
        if (to != from && timeline_chance(&faults->prng, 600)) {
            bool out = timeline_chance(&faults->prng, 500);

            network_block(faults->cluster->network, out ? from : to, out ? to : from, true);
            timeline_trace(faults->cluster->timeline, "cut %zu > %zu", (out ? from : to) + 1,
                           (out ? to : from) + 1);
        }
    }
}

static void crash(struct faults *faults, struct cluster_server *server)
{
    if (server->node != NULL) {
        cluster_crash(server, timeline_chance(&faults->prng, 300));
        faults->ends[server->place].down_us = faults->healed ? 0 : now(faults) + draw_us(faults);
    }
}

static void begin(struct faults *faults, uint32_t class)
{
    size_t places = faults->cluster->settings.places;
    size_t place = (size_t)prng_below(&faults->prng, places);
    struct cluster_server *server = &faults->cluster->servers[place];
    struct ends *ends = &faults->ends[place];

    faults->count++;
    switch (class) {
    case FAULT_CRASH:
        crash(faults, server);
        break;
    case FAULT_PARTITION:
        split(faults);
        faults->partition_us = now(faults) + draw_us(faults);
        break;
    case FAULT_ONE_WAY:
        cut_one_way(faults);
        faults->partition_us = now(faults) + draw_us(faults);
        break;
    case FAULT_PAUSE:
        if (cluster_is_awake(server)) {
            cluster_pause(server);
            ends->pause_us = now(faults) + draw_us(faults);
        }
        break;
    case FAULT_SLOW_DISK:
        disk_set_slowness(server->disk, prng_between(&faults->prng, 10, 200));
        ends->slow_us = now(faults) + draw_us(faults);
        break;
    case FAULT_FULL_DISK:
        disk_set_full(server->disk, true);
        ends->full_us = now(faults) + draw_us(faults);
        break;
    case FAULT_LINK:
        if (places > 1) {
            network_break(faults->cluster->network, place,
                          (place + 1 + (size_t)prng_below(&faults->prng, places - 1)) % places);
        }
        break;
    case FAULT_CLOCK:
        server->wall_skew_ms = (int64_t)prng_below(&faults->prng, 200000) - 100000;
        break;
    case FAULT_DRAIN:
        if (cluster_is_awake(server) && !server->draining) {
            server->draining = true;
            node_drain(server->node);
            cluster_poke(server);
        }
        break;
    default:
        break;
    }
}

static void end_due(struct faults *faults, struct cluster_server *server)
{
    struct ends *ends = &faults->ends[server->place];

    if (server->node == NULL && now(faults) >= ends->down_us) {
        cluster_start(server);
    }
    if (server->paused && now(faults) >= ends->pause_us) {
        cluster_resume(server);
    }
    if (server->node != NULL && server->draining && !server->paused &&
        node_is_drained(server->node)) {
        crash(faults, server);
    }
    if (ends->slow_us != 0 && now(faults) >= ends->slow_us) {
        ends->slow_us = 0;
        disk_set_slowness(server->disk, 1);
    }
    if (ends->full_us != 0 && now(faults) >= ends->full_us) {
        ends->full_us = 0;
        disk_set_full(server->disk, false);
    }
}

static void tick(struct timeline_event *event)
{
    struct faults *faults = (struct faults *)((uintptr_t)event - offsetof(struct faults, tick));
    const struct settings *settings = &faults->cluster->settings;

    for (size_t place = 0; place < settings->places; place++) {
        end_due(faults, &faults->cluster->servers[place]);
    }
    if (faults->partition_us != 0 && now(faults) >= faults->partition_us) {
        faults->partition_us = 0;
        network_unblock_all(faults->cluster->network);
    }
    if (!faults->healed && now(faults) >= faults->next_us) {
        uint32_t class = UINT32_C(1) << prng_below(&faults->prng, FAULT_CLASSES);

        if ((settings->faults & class) != 0) {
            begin(faults, class);
        }
        faults->next_us =
            now(faults) + prng_below(&faults->prng, 2 * settings->fault_interval_us / 3);
    }
    timeline_after(faults->cluster->timeline, &faults->tick, TICK_US, tick);
}

struct faults *faults_new(struct cluster *cluster)
{
    struct faults *faults = xcalloc(1, sizeof *faults);

    faults->cluster = cluster;
    prng_init(&faults->prng, cluster->settings.seed * 17 + 5);
    timeline_after(cluster->timeline, &faults->tick, TICK_US, tick);
    return faults;
}

void faults_free(struct faults *faults)
{
    timeline_cancel(faults->cluster->timeline, &faults->tick);
    free(faults);
}

void faults_heal(struct faults *faults)
{
    timeline_trace(faults->cluster->timeline, "healing");
    faults->healed = true;
    faults->partition_us = 0;
    network_calm(faults->cluster->network);
    for (size_t place = 0; place < faults->cluster->settings.places; place++) {
        faults->ends[place] = (struct ends){.slow_us = 1, .full_us = 1};
        end_due(faults, &faults->cluster->servers[place]);
    }
}

uint64_t faults_count(const struct faults *faults)
{
    return faults->count;
}

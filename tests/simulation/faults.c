#include "tests/simulation/faults.h"

#include "base/alloc.h"
#include "base/check.h"
#include "tests/simulation/admission.h"
#include "tests/simulation/tolerance.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    POLL_US = 20 * 1000,
    LONG_FACTOR = 5,
    DESTROYED_DOWN_US = 200 * 1000,
    COPIED_DOWN_US = 1000,
    PUT_BACK_TRIES = 100
};

/* The ends of what goes on at one server. */
struct ends {
    struct faults *faults;
    struct cluster_server *server;
    struct timeline_event up;
    struct timeline_event resume;
    struct timeline_event drained;
    struct timeline_event quick;
    struct timeline_event roomy;
    struct timeline_event readable;
    struct timeline_event near;     /* its outgoing links are fast again */
    struct timeline_event put_back; /* the copy of its folder is */
    unsigned put_back_tries;
    uint64_t down_us; /* how long the next death of its own lasts */
    int64_t jump_ms;  /* of its wall clock, during the pause */
};

struct faults {
    struct cluster *cluster;
    struct prng prng;
    struct timeline_event next;
    struct timeline_event joined; /* the partition ends */
    struct plan_item planned;     /* what `next` does, when replayed */
    size_t position;              /* in the plan */
    struct ends ends[NETWORK_PLACES_MAX];
    uint64_t count;
    uint64_t put_back_count;
    uint64_t destroyed_count;
    bool healed;
    bool healed_all;   /* damaged disks are replaced */
    bool has_added_up; /* a state is wrong, or was, that adds up: one is enough, it may spread */
};

static struct timeline *timeline_of(const struct faults *faults)
{
    return faults->cluster->timeline;
}

/* --- Ends --- */

static void plan_start(struct ends *ends, uint64_t delay_us);

static void run_up(struct timeline_event *event)
{
    struct ends *ends = CONTAINER_OF(event, struct ends, up);

    if (ends->server->node != NULL) {
        return;
    }
    /* An old copy is the operator's to mend. */
    if (ends->server->lost && !ends->server->is_old_copy && ends->faults->healed_all) {
        cluster_wipe(ends->server);
    }
    if (!ends->server->lost && !cluster_start(ends->server)) {
        plan_start(ends, POLL_US);
    }
}

static void plan_start(struct ends *ends, uint64_t delay_us)
{
    timeline_after(timeline_of(ends->faults), &ends->up, delay_us, run_up);
}

static void run_resume(struct timeline_event *event)
{
    struct ends *ends = CONTAINER_OF(event, struct ends, resume);

    if (ends->server->paused) {
        ends->server->wall_skew_ms += ends->jump_ms;
        cluster_resume(ends->server);
    }
}

static void crash(struct ends *ends, bool quietly, uint64_t for_us)
{
    if (ends->server->node != NULL) {
        cluster_crash(ends->server, quietly);
    }
    plan_start(ends, for_us);
}

static void run_drained(struct timeline_event *event)
{
    struct ends *ends = CONTAINER_OF(event, struct ends, drained);
    struct cluster_server *server = ends->server;

    if (server->node == NULL || !server->draining) {
        return;
    }
    if (cluster_is_awake(server) && node_is_drained(server->node)) {
        crash(ends, false, ends->down_us);
        return;
    }
    timeline_after(timeline_of(ends->faults), event, POLL_US, run_drained);
}

static void run_quick(struct timeline_event *event)
{
    disk_set_slowness(CONTAINER_OF(event, struct ends, quick)->server->disk, 1);
}

static void run_roomy(struct timeline_event *event)
{
    disk_set_full(CONTAINER_OF(event, struct ends, roomy)->server->disk, false, false);
}

static void run_readable(struct timeline_event *event)
{
    disk_fail_reads(CONTAINER_OF(event, struct ends, readable)->server->disk, false);
}

static void run_near(struct timeline_event *event)
{
    struct ends *ends = CONTAINER_OF(event, struct ends, near);

    for (size_t to = 0; to < ends->faults->cluster->settings.places; to++) {
        network_slow(ends->faults->cluster->network, ends->server->place, to, 1);
    }
}

static bool may_destroy(struct faults *faults, struct cluster_server *server);

/* As soon as all others know enough to see it: nobody could but they. */
static void run_put_back(struct timeline_event *event)
{
    struct ends *ends = CONTAINER_OF(event, struct ends, put_back);
    struct cluster_server *server = ends->server;

    if (server->backup == NULL) {
        return;
    }
    if (may_destroy(ends->faults, server) && admission_would_find_out(server)) {
        ends->faults->put_back_count++;
        crash(ends, false, COPIED_DOWN_US);
        cluster_restore(server);
    } else if (ends->put_back_tries-- > 0) {
        timeline_after(timeline_of(ends->faults), event, POLL_US, run_put_back);
    } else {
        cluster_drop_backup(server);
    }
}

static void run_joined(struct timeline_event *event)
{
    struct faults *faults = CONTAINER_OF(event, struct faults, joined);

    timeline_trace(timeline_of(faults), "no partition");
    network_block(faults->cluster->network, 0);
}

static void end_after(struct faults *faults,
                      struct timeline_event *event,
                      uint64_t for_us,
                      void (*run)(struct timeline_event *event))
{
    timeline_after(timeline_of(faults), event, for_us, run);
}

void faults_on_death(struct faults *faults, struct cluster_server *server)
{
    struct ends *ends = &faults->ends[server->place];

    plan_start(ends, faults->healed ? 1 : ends->down_us);
}

/* --- What may be destroyed --- */

static bool may_destroy(struct faults *faults, struct cluster_server *server)
{
    struct cluster *cluster = faults->cluster;

    return cluster->settings.beyond_tolerance != 0
               ? tolerance_is_intact(server) && tolerance_is_member(cluster, server)
               : tolerance_has_spare(cluster, server);
}

/* --- Beginnings --- */

static void wipe(struct ends *ends, uint64_t for_us)
{
    if (may_destroy(ends->faults, ends->server)) {
        ends->faults->destroyed_count++;
        crash(ends, false, for_us);
        cluster_wipe(ends->server);
    }
}

static void flip(struct ends *ends, uint64_t seed)
{
    if (may_destroy(ends->faults, ends->server) && disk_flip(ends->server->disk, seed)) {
        timeline_trace(timeline_of(ends->faults), "a bit flips on the disk of %" PRIu64,
                       ends->server->id);
        ends->faults->destroyed_count++;
        ends->down_us = DESTROYED_DOWN_US;
    }
}

/* A leader, whose state others may get; or `other`. */
static struct cluster_server *some_leader(struct cluster *cluster, struct cluster_server *other)
{
    for (size_t place = 0; place < cluster->settings.places; place++) {
        struct cluster_server *server = &cluster->servers[place];

        if (server->node != NULL && raft_status(node_raft(server->node)).role == RAFT_LEADER) {
            return server;
        }
    }
    return other;
}

/* A bug, or a bit in memory: what the state has come to is not what the others have. The server has
 * to find out, and to get the state of the others. */
static void diverge(struct ends *ends, uint64_t bits)
{
    bool adds_up = (bits & 2) != 0 && !ends->faults->has_added_up;
    struct cluster_server *server =
        adds_up ? some_leader(ends->faults->cluster, ends->server) : ends->server;

    /* A state that a dump is just taking the place of is gone before it tells. */
    if (cluster_is_awake(server) && !node_is_condemned(server->node) &&
        server->known_generation == disk_identity(server->disk)->tree_generation &&
        may_destroy(ends->faults, server)) {
        timeline_trace(timeline_of(ends->faults), "the state of %" PRIu64 " diverges%s", server->id,
                       adds_up ? " and adds up" : "");
        ends->faults->has_added_up |= adds_up;
        server->surplus = adds_up ? surplus_in_records(node_state(server->node), bits)
                                  : surplus_in_digest(node_state(server->node), bits);
    }
}

/* A backup, of a server that is stopped for it or not; some time later it is put back. */
static void make_old(struct ends *ends, const struct plan_item *item)
{
    if (ends->server->backup != NULL || !may_destroy(ends->faults, ends->server)) {
        return;
    }
    if ((item->amount & 1) != 0) {
        crash(ends, false, COPIED_DOWN_US);
    }
    cluster_back_up(ends->server);
    ends->put_back_tries = PUT_BACK_TRIES;
    end_after(ends->faults, &ends->put_back, item->for_us, run_put_back);
}

static void drain(struct ends *ends, uint64_t for_us)
{
    struct cluster_server *server = ends->server;

    if (cluster_is_awake(server) && !server->draining) {
        timeline_trace(timeline_of(ends->faults), "%" PRIu64 " drains", server->id);
        ends->down_us = for_us;
        server->draining = true;
        node_drain(server->node);
        cluster_poke(server);
        end_after(ends->faults, &ends->drained, POLL_US, run_drained);
    }
}

static void pause(struct ends *ends, const struct plan_item *item)
{
    if (cluster_is_awake(ends->server)) {
        cluster_pause(ends->server);
        ends->jump_ms = (int64_t)(item->amount % 200000) - 100000;
        end_after(ends->faults, &ends->resume, item->for_us, run_resume);
    }
}

static void begin_process_fault(struct ends *ends, const struct plan_item *item)
{
    switch (item->kind) {
    case FAULT_CRASH_AT:
        ends->down_us = item->for_us;
        disk_crash_at(ends->server->disk, 1 + item->amount / 2, (item->amount & 1) != 0);
        break;
    case FAULT_OPTIONS:
        ends->server->options_seed = item->amount;
        crash(ends, false, item->for_us);
        break;
    case FAULT_PAUSE:
        pause(ends, item);
        break;
    case FAULT_DRAIN:
        drain(ends, item->for_us);
        break;
    case FAULT_WIPE:
        wipe(ends, item->for_us);
        break;
    case FAULT_CLOCK:
        ends->server->wall_skew_ms = (int64_t)(item->amount % 200000) - 100000;
        break;
    default:
        crash(ends, item->amount != 0, item->for_us);
        break;
    }
}

static void begin_network_fault(struct ends *ends, const struct plan_item *item)
{
    struct network *network = ends->faults->cluster->network;
    size_t from = ends->server->place;
    size_t to = (size_t)item->other - 1;

    switch (item->kind) {
    case FAULT_LINK:
        network_break(network, from, to);
        break;
    case FAULT_CORRUPTION:
        network_corrupt(network, from, to);
        break;
    case FAULT_SLOW_LINK:
        network_slow(network, from, to, 1 + item->amount);
        end_after(ends->faults, &ends->near, item->for_us, run_near);
        break;
    case FAULT_REPLAY:
        network_replay(network, item->amount, 1 + item->amount % 16);
        break;
    default:
        network_block(network, item->amount);
        end_after(ends->faults, &ends->faults->joined, item->for_us, run_joined);
        break;
    }
}

/* Every other time a checkpoint has no room in its map alone: that does not end by itself. */
static void fill(struct ends *ends, const struct plan_item *item)
{
    struct disk *disk = ends->server->disk;

    if (item->kind == FAULT_FULL_TREE && item->amount % 2 == 1) {
        disk_fill_map(disk);
        return;
    }
    disk_set_full(disk, true, item->kind == FAULT_FULL_LOG);
    end_after(ends->faults, &ends->roomy, item->for_us, run_roomy);
}

static void begin_disk_fault(struct ends *ends, const struct plan_item *item)
{
    struct disk *disk = ends->server->disk;

    switch (item->kind) {
    case FAULT_SLOW_DISK:
        disk_set_slowness(disk, 1 + item->amount);
        end_after(ends->faults, &ends->quick, item->for_us, run_quick);
        break;
    case FAULT_STALL:
        disk_stall_until(disk, timeline_of(ends->faults)->now_us + item->for_us);
        break;
    case FAULT_FULL_TREE:
    case FAULT_FULL_LOG:
        fill(ends, item);
        break;
    case FAULT_WRITE_ERROR:
        ends->down_us = item->for_us;
        disk_fail_write(disk, (item->amount & 1) != 0, (item->amount & 2) != 0);
        break;
    case FAULT_READ_ERROR:
        disk_fail_reads(disk, true);
        end_after(ends->faults, &ends->readable, item->for_us, run_readable);
        break;
    case FAULT_DIVERGE:
        diverge(ends, item->amount);
        break;
    case FAULT_OLD_FOLDER:
        make_old(ends, item);
        break;
    default:
        flip(ends, item->amount);
        break;
    }
}

static void begin(struct faults *faults, const struct plan_item *item)
{
    uint64_t places = faults->cluster->settings.places;
    struct ends *ends;

    if (item->actor > places || item->other > places) {
        return; /* a plan of which servers were taken away */
    }
    ends = &faults->ends[item->actor - 1];
    faults->count++;
    timeline_trace(timeline_of(faults),
                   "fault %s at %" PRIu32 " %" PRIu32 " %" PRIx64 " for %" PRIu64,
                   settings_fault_name((enum fault_class)item->kind), item->actor, item->other,
                   item->amount, item->for_us);
    if (item->kind < FAULT_SPLIT) {
        begin_process_fault(ends, item);
    } else if (item->kind < FAULT_SLOW_DISK) {
        begin_network_fault(ends, item);
    } else {
        begin_disk_fault(ends, item);
    }
}

/* --- Drawing --- */

/* Mostly short, sometimes long. */
static uint64_t draw_us(struct faults *faults)
{
    uint64_t limit_us = faults->cluster->settings.fault_us;

    if (timeline_chance(&faults->prng, 200)) {
        limit_us *= LONG_FACTOR;
    }
    return 1000 + prng_below(&faults->prng, limit_us);
}

static uint64_t both_ways(size_t left, size_t right)
{
    return network_direction(left, right) | network_direction(right, left);
}

/* Which directions are cut; `center` is the server that the shape is about. */
static uint64_t draw_directions(struct faults *faults, enum fault_class class, size_t center)
{
    size_t places = faults->cluster->settings.places;
    uint64_t sides = prng_next(&faults->prng);
    uint64_t directions = 0;

    for (size_t i = 0; i < places; i++) {
        for (size_t j = 0; j < i; j++) {
            bool apart = ((sides >> i) & 1) != ((sides >> j) & 1);
            bool neighbours = i == j + 1 || i - j == places - 1;
            bool at_center = i == center || j == center;

            if ((class == FAULT_SPLIT && apart) || (class == FAULT_BRIDGE && apart && !at_center) ||
                (class == FAULT_ISOLATE && at_center) || (class == FAULT_RING && !neighbours)) {
                directions |= both_ways(i, j);
            } else if (class == FAULT_ONE_WAY && at_center && timeline_chance(&faults->prng, 600)) {
                directions |= timeline_chance(&faults->prng, 500) ? network_direction(i, j)
                                                                  : network_direction(j, i);
            }
        }
    }
    return directions;
}

static uint64_t draw_amount(struct faults *faults, enum fault_class class, size_t place)
{
    switch ((int)class) {
    case FAULT_CRASH:
        return timeline_chance(&faults->prng, 300);
    case FAULT_CRASH_AT:
        return prng_below(&faults->prng, timeline_chance(&faults->prng, 500) ? 6 : 60);
    case FAULT_SPLIT:
    case FAULT_ISOLATE:
    case FAULT_ONE_WAY:
    case FAULT_BRIDGE:
    case FAULT_RING:
        return draw_directions(faults, class, place);
    case FAULT_SLOW_DISK:
    case FAULT_SLOW_LINK:
        return prng_between(&faults->prng, 10, 200);
    case FAULT_WRITE_ERROR:
        return prng_below(&faults->prng, 4);
    case FAULT_PAUSE:
    case FAULT_CLOCK:
        return prng_below(&faults->prng, 200000);
    default:
        return prng_next(&faults->prng);
    }
}

static bool takes_other(enum fault_class class)
{
    return class == FAULT_LINK || class == FAULT_CORRUPTION || class == FAULT_SLOW_LINK;
}

static size_t list_classes(const struct settings *settings,
                           enum fault_class ret_classes[FAULT_CLASSES])
{
    size_t count = 0;

    for (uint32_t i = 0; i < FAULT_CLASSES; i++) {
        if ((settings->faults >> i & 1) != 0 &&
            (settings->places > 1 || !takes_other((enum fault_class)i))) {
            ret_classes[count++] = (enum fault_class)i;
        }
    }
    return count;
}

static void draw(struct faults *faults, struct plan_item *ret_item)
{
    const struct settings *settings = &faults->cluster->settings;
    enum fault_class classes[FAULT_CLASSES];
    size_t count = list_classes(settings, classes);
    size_t place = (size_t)prng_below(&faults->prng, settings->places);

    *ret_item = (struct plan_item){.actor = (uint32_t)place + 1};
    ret_item->kind = classes[prng_below(&faults->prng, count)];
    if (takes_other((enum fault_class)ret_item->kind)) {
        ret_item->other = (uint32_t)((place + 1 + prng_below(&faults->prng, settings->places - 1)) %
                                     settings->places) +
                          1;
    }
    ret_item->amount = draw_amount(faults, (enum fault_class)ret_item->kind, place);
    ret_item->for_us = draw_us(faults);
}

/* --- Time --- */

static void run_next(struct timeline_event *event);

static void plan_next(struct faults *faults)
{
    enum fault_class classes[FAULT_CLASSES];
    const struct plan *plan = faults->cluster->plan;
    uint64_t now_us = timeline_of(faults)->now_us;

    if (!plan_is_replayed(plan)) {
        /* Without any class nothing happens, as in the plan of such a run. */
        if (list_classes(&faults->cluster->settings, classes) > 0) {
            timeline_after(
                timeline_of(faults), &faults->next,
                1 + prng_below(&faults->prng, 2 * faults->cluster->settings.fault_interval_us),
                run_next);
        }
        return;
    }
    while (faults->position < plan->count && plan->items[faults->position].kind >= FAULT_CLASSES) {
        faults->position++;
    }
    if (faults->position < plan->count) {
        uint64_t at_us = plan->origin_us + plan->items[faults->position].at_us;

        timeline_after(timeline_of(faults), &faults->next, at_us > now_us ? at_us - now_us : 0,
                       run_next);
    }
}

static void run_next(struct timeline_event *event)
{
    struct faults *faults = CONTAINER_OF(event, struct faults, next);
    struct plan *plan = faults->cluster->plan;
    struct plan_item item;

    if (plan_is_replayed(plan)) {
        item = plan->items[faults->position++];
        begin(faults, &item);
    } else {
        draw(faults, &item);
        plan_record(plan, timeline_of(faults)->now_us, &item);
        begin(faults, &item);
    }
    plan_next(faults);
}

struct faults *faults_new(struct cluster *cluster)
{
    struct faults *faults = xcalloc(1, sizeof *faults);

    faults->cluster = cluster;
    prng_init(&faults->prng, cluster->settings.seed * 17 + 5);
    for (size_t place = 0; place < cluster->settings.places; place++) {
        faults->ends[place].faults = faults;
        faults->ends[place].server = &cluster->servers[place];
    }
    plan_next(faults);
    return faults;
}

static void cancel_ends(struct ends *ends)
{
    struct timeline *timeline = timeline_of(ends->faults);

    timeline_cancel(timeline, &ends->up);
    timeline_cancel(timeline, &ends->resume);
    timeline_cancel(timeline, &ends->quick);
    timeline_cancel(timeline, &ends->roomy);
    timeline_cancel(timeline, &ends->readable);
    timeline_cancel(timeline, &ends->near);
    timeline_cancel(timeline, &ends->put_back);
}

void faults_free(struct faults *faults)
{
    for (size_t place = 0; place < faults->cluster->settings.places; place++) {
        cancel_ends(&faults->ends[place]);
        timeline_cancel(timeline_of(faults), &faults->ends[place].drained);
    }
    timeline_cancel(timeline_of(faults), &faults->next);
    timeline_cancel(timeline_of(faults), &faults->joined);
    free(faults);
}

/* --- Healing --- */

static void stop(struct faults *faults)
{
    faults->healed = true;
    prng_init(&faults->prng, faults->cluster->settings.seed * 29 + 11);
    timeline_cancel(timeline_of(faults), &faults->next);
    timeline_cancel(timeline_of(faults), &faults->joined);
    network_calm(faults->cluster->network);
}

static void heal_server(struct ends *ends)
{
    struct cluster_server *server = ends->server;

    cancel_ends(ends);
    cluster_drop_backup(server);
    ends->jump_ms = 0;
    ends->down_us = 1;
    disk_heal(server->disk);
    if (server->paused) {
        cluster_resume(server);
    }
    /* Found out or not: in the end damaged disks are replaced. */
    if (ends->faults->healed_all && disk_is_damaged(server->disk)) {
        if (server->node != NULL) {
            cluster_crash(server, false);
        }
        server->lost = true;
    }
    run_up(&ends->up);
}

void faults_heal_core(struct faults *faults, const bool core[NETWORK_PLACES_MAX])
{
    size_t places = faults->cluster->settings.places;
    uint64_t directions = 0;

    timeline_trace(timeline_of(faults), "healing the core");
    stop(faults);
    for (size_t i = 0; i < places; i++) {
        for (size_t j = 0; j < places; j++) {
            directions |= core[i] != core[j] ? network_direction(i, j) : 0;
        }
    }
    network_block(faults->cluster->network, directions);
    for (size_t i = 0; i < places; i++) {
        if (core[i]) {
            heal_server(&faults->ends[i]);
        } else {
            cancel_ends(&faults->ends[i]);
            if (faults->cluster->servers[i].node != NULL && timeline_chance(&faults->prng, 500)) {
                cluster_crash(&faults->cluster->servers[i], true);
            }
        }
    }
}

void faults_heal(struct faults *faults)
{
    timeline_trace(timeline_of(faults), "healing");
    stop(faults);
    faults->healed_all = true;
    for (size_t place = 0; place < faults->cluster->settings.places; place++) {
        heal_server(&faults->ends[place]);
    }
}

uint64_t faults_count(const struct faults *faults)
{
    return faults->count;
}

uint64_t faults_put_back_count(const struct faults *faults)
{
    return faults->put_back_count;
}

uint64_t faults_destroyed_count(const struct faults *faults)
{
    return faults->destroyed_count;
}

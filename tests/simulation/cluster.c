#include "tests/simulation/cluster.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/checksum.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TURN_DELAY_US = 100, IDLE_TURNS_MAX = 1000, PPM = 1000000 };

/* A disk job or an arrival that waits for a paused server. */
struct inbox_item {
    struct list link;
    struct network_arrival *arrival;
    struct log_job *log_job;
    struct checkpoint_job *checkpoint_job;
};

void cluster_violation(const struct cluster_server *server, const char *format, ...)
{
    va_list arguments;

    fflush(stdout);
    fprintf(stderr, "violation at step %" PRIu64 ", %" PRIu64 " us",
            server->cluster->timeline->steps, server->cluster->timeline->now_us);
    if (server->id != 0) {
        fprintf(stderr, ", server %" PRIu64, server->id);
    }
    fprintf(stderr, ": ");
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    abort();
}

bool cluster_is_gone(const struct cluster_server *server)
{
    return server->stopping || server->dying;
}

/* --- Time --- */

uint64_t cluster_clock_us(const struct cluster_server *server)
{
    uint64_t now_us = server->cluster->timeline->now_us;

    return server->clock_offset_us + now_us + (uint64_t)((int64_t)now_us * server->drift_ppm / PPM);
}

/* How long until the server's clock shows `at_us`, rounded up. */
static uint64_t until(const struct cluster_server *server, uint64_t at_us)
{
    uint64_t now_us = cluster_clock_us(server);

    if (at_us <= now_us) {
        return 0;
    }
    return (at_us - now_us) * PPM / (uint64_t)(PPM + server->drift_ppm) + 1;
}

/* At its start, and when it has a state by a dump. */
static void note_known(struct cluster_server *server)
{
    uint64_t generation = disk_identity(server->disk)->tree_generation;

    if (generation != server->known_generation) {
        server->known_generation = generation;
        server->known_from = node_applied(server->node);
    }
}

static void run_turn(struct timeline_event *event)
{
    struct cluster_server *server = CONTAINER_OF(event, struct cluster_server, turn);
    struct timeline *timeline = server->cluster->timeline;
    uint64_t next_us;

    if (!cluster_is_awake(server)) {
        return;
    }
    server->in_turn = true;
    next_us = node_turn(server->node);
    server->in_turn = false;
    if (node_state(server->node) == NULL) {
        return; /* it failed while it changed to a dump */
    }
    note_known(server);
    timeline_mix(timeline, node_applied(server->node));
    server->cluster->observer.on_turn(server->cluster->observer.context, server);
    if (next_us != UINT64_MAX && timeline_due(&server->turn) == UINT64_MAX && !server->dying) {
        uint64_t delay_us = until(server, next_us);

        server->idle_turns = delay_us == 0 ? server->idle_turns + 1 : 0;
        if (server->idle_turns > IDLE_TURNS_MAX) {
            cluster_violation(server, "it spins: its turns want to follow each other at once");
        }

        timeline_after(timeline, &server->turn, delay_us == 0 ? 1 : delay_us, run_turn);
    }
}

void cluster_poke(struct cluster_server *server)
{
    struct timeline *timeline = server->cluster->timeline;
    uint64_t delay_us = prng_below(&server->prng, TURN_DELAY_US);

    if (server->node != NULL && !cluster_is_gone(server) &&
        timeline->now_us + delay_us < timeline_due(&server->turn)) {
        timeline_after(timeline, &server->turn, delay_us, run_turn);
    }
}

/* --- Deaths --- */

static void run_death(struct timeline_event *event)
{
    struct cluster_server *server = CONTAINER_OF(event, struct cluster_server, death);

    cluster_crash(server, false);
    server->cluster->observer.on_death(server->cluster->observer.context, server);
}

/* The node may be in the middle of a turn: its end comes after it, and nothing leaves meanwhile. */
void cluster_die(struct cluster_server *server)
{
    if (!server->dying && !server->stopping) {
        timeline_trace(server->cluster->timeline, "%" PRIu64 " dies", server->id);
        server->dying = true;
        timeline_after(server->cluster->timeline, &server->death, 0, run_death);
    }
}

/* --- What arrives --- */

static bool is_bad(struct cluster_server *server, enum status status, const char *what)
{
    if (status != STATUS_OK) {
        cluster_violation(server, "it calls a sound %s invalid", what);
    }
    return false;
}

static void take_probe_answer(struct cluster_server *server, const struct network_arrival *arrival)
{
    const struct cluster_server *other = &server->cluster->servers[arrival->from];
    uint8_t incarnation[RAFT_INCARNATION_BYTES];
    uint8_t cluster_id[16];
    Peer__Identity identity = PEER__IDENTITY__INIT;

    if (!arrival->ok) {
        node_on_probe_answer(server->node, arrival->token, STATUS_TIMEOUT, NULL, BYTES_EMPTY,
                             "no answer");
        return;
    }
    memcpy(incarnation, other->incarnation, sizeof incarnation);
    identity.id = other->id;
    identity.format = NODE_FORMAT;
    identity.incarnation.data = incarnation;
    identity.incarnation.len = sizeof incarnation;
    if (disk_identity(other->disk)->has_cluster) {
        memcpy(cluster_id, disk_identity(other->disk)->cluster_id, sizeof cluster_id);
        identity.cluster_id.data = cluster_id;
        identity.cluster_id.len = sizeof cluster_id;
    }
    node_on_probe_answer(server->node, arrival->token, STATUS_OK, &identity,
                         bytes_of(arrival->message, arrival->size), "");
}

static void take_arrival(struct cluster_server *server, struct network_arrival *arrival)
{
    struct bytes message = bytes_of(arrival->message, arrival->size);
    raft_id from = arrival->from + 1;

    timeline_mix(server->cluster->timeline, checksum(message));
    switch (arrival->kind) {
    case NETWORK_UP:
        timeline_trace(server->cluster->timeline, "%" PRIu64 " up %" PRIu64, server->id, from);
        node_on_peer_up(server->node, from);
        break;
    case NETWORK_DOWN:
        timeline_trace(server->cluster->timeline, "%" PRIu64 " down %" PRIu64, server->id, from);
        node_on_peer_down(server->node, from);
        break;
    case NETWORK_MESSAGE:
        (void)is_bad(server, node_on_peer_message(server->node, from, message), "message");
        break;
    case NETWORK_BULK_UP:
        node_on_bulk_up(server->node, from);
        break;
    case NETWORK_BULK_DOWN:
        node_on_bulk_down(server->node, from);
        break;
    case NETWORK_BULK_MESSAGE:
        if (node_on_bulk_message(server->node, from, message) != STATUS_OK) {
            timeline_trace(server->cluster->timeline, "%" PRIu64 " refuses bulk from %" PRIu64,
                           server->id, from);
            network_bulk_close(server->cluster->network, server->place, arrival->from);
        }
        break;
    case NETWORK_PROBE:
        (void)is_bad(server, node_on_probe(server->node, arrival->token, message), "probe");
        break;
    case NETWORK_PROBE_ANSWER:
        take_probe_answer(server, arrival);
        break;
    }
    network_arrival_free(arrival);
}

static void take(struct cluster_server *server, struct inbox_item *item)
{
    if (item->arrival != NULL) {
        take_arrival(server, item->arrival);
    } else if (item->log_job != NULL) {
        node_on_log_done(server->node, item->log_job);
    } else {
        node_on_checkpoint_done(server->node, item->checkpoint_job);
    }
}

static void receive(struct cluster_server *server, struct inbox_item item)
{
    CHECK(server->node != NULL && !server->in_turn);
    if (server->paused || server->dying) {
        struct inbox_item *kept = xmemdup(&item, sizeof item);

        list_append(&server->inbox, &kept->link);
        return;
    }
    take(server, &item);
    server->idle_turns = 0;
    cluster_poke(server);
}

static void on_arrival(void *context, size_t to, struct network_arrival *arrival)
{
    struct cluster *cluster = context;

    receive(&cluster->servers[to], (struct inbox_item){.arrival = arrival});
}

static void on_loss(void *context, size_t from, size_t to, uint64_t since_us)
{
    struct cluster *cluster = context;

    cluster->observer.on_lost(cluster->observer.context, &cluster->servers[from],
                              &cluster->servers[to], since_us);
}

static void on_log_done(void *context, struct log_job *job)
{
    receive(context, (struct inbox_item){.log_job = job});
}

static void on_checkpoint_done(void *context, struct checkpoint_job *job)
{
    receive(context, (struct inbox_item){.checkpoint_job = job});
}

static bool is_up(void *context, size_t place)
{
    const struct cluster *cluster = context;

    return cluster->servers[place].node != NULL && !cluster_is_gone(&cluster->servers[place]);
}

/* --- What the disk tells --- */

static void on_disk_death(void *context)
{
    cluster_die(context);
}

static void on_difference(void *context, const char *text)
{
    cluster_violation(context, "stores: %s", text);
}

static void on_hard_state(void *context, raft_term term, raft_id vote)
{
    struct cluster_server *server = context;

    server->cluster->observer.on_hard_state(server->cluster->observer.context, server, term, vote);
}

static void on_truncate(void *context, raft_index first)
{
    struct cluster_server *server = context;

    server->cluster->observer.on_truncate(server->cluster->observer.context, server, first);
}

static void on_append(void *context, raft_index index)
{
    struct cluster_server *server = context;

    server->cluster->observer.on_append(server->cluster->observer.context, server, index);
}

static void on_reset(void *context, raft_index index, raft_term term)
{
    struct cluster_server *server = context;

    server->cluster->observer.on_reset(server->cluster->observer.context, server, index, term);
}

/* --- Life --- */

static void new_disk(struct cluster_server *server)
{
    const struct disk_observer observer = {.context = server,
                                           .on_log_done = on_log_done,
                                           .on_checkpoint_done = on_checkpoint_done,
                                           .journal = {.context = server,
                                                       .on_hard_state = on_hard_state,
                                                       .on_truncate = on_truncate,
                                                       .on_append = on_append,
                                                       .on_reset = on_reset},
                                           .on_death = on_disk_death};
    const struct stores_observer stores = {.context = server, .on_difference = on_difference};
    bool with_stores = server->cluster->settings.with_stores != 0;

    server->lives++;
    server->weighed_generation = UINT64_MAX;
    server->surplus = (struct state_digest){.record_count = 0};
    for (size_t i = 0; i < sizeof server->incarnation; i++) {
        server->incarnation[i] = (uint8_t)prng_next(&server->prng);
    }
    server->disk = disk_new(server->cluster->timeline, prng_next(&server->prng),
                            server->cluster->settings.write_us,
                            with_stores ? stores_new(server->id, &stores) : NULL, &observer);
}

static void init_server(struct cluster *cluster, size_t place)
{
    struct cluster_server *server = &cluster->servers[place];
    uint64_t drift_max = cluster->settings.drift_ppm_max;

    server->cluster = cluster;
    server->place = place;
    server->id = place + 1;
    prng_init(&server->prng, prng_next(&cluster->prng));
    (void)snprintf(server->address, sizeof server->address, "server-%zu:10001", place + 1);
    list_init(&server->inbox);
    server->clock_offset_us = prng_below(&server->prng, UINT64_C(1) << 40);
    server->drift_ppm = (int64_t)prng_below(&server->prng, 2 * drift_max + 1) - (int64_t)drift_max;
    server->wall_skew_ms = (int64_t)prng_below(&server->prng, 2000) - 1000;
    new_disk(server);
}

void cluster_init(struct cluster *cluster,
                  struct timeline *timeline,
                  struct plan *plan,
                  const struct cluster_outside *outside,
                  const struct cluster_observer *observer)
{
    const struct settings *settings = &plan->settings;
    const struct network_users users = {.context = cluster,
                                        .is_up = is_up,
                                        .admit = outside->admit,
                                        .deliver = on_arrival,
                                        .lose = on_loss};

    memset(cluster, 0, sizeof *cluster);
    cluster->timeline = timeline;
    cluster->plan = plan;
    cluster->settings = *settings;
    cluster->outside = *outside;
    cluster->observer = *observer;
    prng_init(&cluster->prng, settings->seed * 7 + 2);
    cluster->network = network_new(timeline, prng_next(&cluster->prng), settings->places,
                                   &settings->network, &users);
    for (size_t place = 0; place < settings->places; place++) {
        init_server(cluster, place);
    }
}

void cluster_release(struct cluster *cluster)
{
    for (size_t place = 0; place < cluster->settings.places; place++) {
        if (cluster->servers[place].node != NULL) {
            cluster_crash(&cluster->servers[place], false);
        }
        disk_free(cluster->servers[place].disk);
        if (cluster->servers[place].former_disk != NULL) {
            disk_free(cluster->servers[place].former_disk);
        }
        cluster_drop_backup(&cluster->servers[place]);
    }
    network_free(cluster->network);
    arena_release(&cluster->arena);
}

struct cluster_server *cluster_by_id(struct cluster *cluster, raft_id id)
{
    CHECK(id > 0 && id <= cluster->settings.places);
    return &cluster->servers[id - 1];
}

const struct disk *cluster_disk(const struct cluster_server *server,
                                const uint8_t incarnation[RAFT_INCARNATION_BYTES])
{
    /* What an old copy lacks was on the disk when its server said so. */
    if (!server->is_old_copy &&
        memcmp(incarnation, server->incarnation, RAFT_INCARNATION_BYTES) == 0) {
        return server->disk;
    }
    return server->former_disk != NULL &&
                   memcmp(incarnation, server->former_incarnation, RAFT_INCARNATION_BYTES) == 0
               ? server->former_disk
               : NULL;
}

bool cluster_has_diverged(struct cluster_server *server)
{
    uint64_t generation = disk_identity(server->disk)->tree_generation;

    /* A dump may have brought it from another. */
    if (generation != server->weighed_generation) {
        server->weighed_generation = generation;
        server->surplus = disk_surplus(server->disk);
    }
    return !surplus_is_none(server->surplus);
}

struct state_digest cluster_digest(struct cluster_server *server)
{
    struct state_digest digest = state_digest(node_state(server->node));

    return cluster_has_diverged(server) ? surplus_taken_from(digest, server->surplus) : digest;
}

bool cluster_may_change_members(const struct cluster *cluster)
{
    for (size_t i = 0; i < CLUSTER_OPERATORS; i++) {
        if (cluster->timeline->now_us < cluster->changes_until_us[i]) {
            return true;
        }
    }
    return false;
}

bool cluster_has_unknown_copy(const struct cluster *cluster)
{
    for (size_t place = 0; place < cluster->settings.places; place++) {
        if (cluster->servers[place].is_old_copy && !cluster->servers[place].lost) {
            return true;
        }
    }
    return false;
}

bool cluster_is_awake(const struct cluster_server *server)
{
    return server->node != NULL && !cluster_is_gone(server) && !server->paused;
}

static enum status boot_entry(void *context, const struct log_entry *entry)
{
    const struct cluster_server *server = context;
    struct error error;

    if (node_boot_entry(server->node, entry, &error) != STATUS_OK) {
        cluster_violation(server, "it does not boot: %s", error.text);
    }
    return STATUS_OK;
}

static struct node_options options_of(struct cluster_server *server)
{
    const struct journal_identity *identity = disk_identity(server->disk);
    struct node_options options = server->cluster->settings.node;

    if (server->options_seed != 0) {
        settings_redraw_node(&options, server->options_seed);
    }
    options.id = server->id;
    memcpy(options.incarnation, server->incarnation, sizeof options.incarnation);
    options.has_cluster = identity->has_cluster;
    memcpy(options.cluster_id, identity->cluster_id, sizeof options.cluster_id);
    options.tree_generation = identity->tree_generation;
    options.start = identity->starts[0];
    options.witnesses = identity->witnesses;
    options.witness_count = identity->witness_count;
    options.tree_is_condemned = disk_is_condemned(server->disk);
    options.tree_doubt = disk_tree_doubt(server->disk);
    options.address = server->address;
    options.seed = prng_next(&server->prng);
    return options;
}

/* As a server does that finds its disk damaged, full or failing: it ends with the reason. */
static bool refuse_start(struct cluster_server *server, enum status status, const char *text)
{
    timeline_trace(server->cluster->timeline, "%" PRIu64 " does not start: %s", server->id, text);
    server->lost |= status == STATUS_CORRUPT;
    return false;
}

bool cluster_start(struct cluster_server *server)
{
    struct node_options options;
    struct node_port port = server->cluster->outside.port_of(server);
    struct log_state log = disk_log(server->disk);
    enum status status = disk_boot_status(server->disk);
    struct error error;

    CHECK(server->node == NULL && !server->lost);
    server->runs++;
    if (status != STATUS_OK) {
        return refuse_start(server, status, status_text(status));
    }
    disk_open(server->disk);
    server->claimed = log;
    options = options_of(server);
    server->election_timeout_us = options.raft.election_timeout_us;
    status = node_new(&options, &port, &log, &server->node, &error);
    if (status != STATUS_OK && disk_is_unsound(server->disk)) {
        disk_close(server->disk);
        return refuse_start(server, status, error.text);
    }
    if (status != STATUS_OK) {
        cluster_violation(server, "it does not start: %s", error.text);
    }
    /* What was not in the checkpoint yet is gone with the process. */
    if (cluster_has_diverged(server)) {
        server->surplus = disk_surplus(server->disk);
    }
    server->known_generation = UINT64_MAX;
    note_known(server);
    disk_visit(server->disk, boot_entry, server);
    if (node_start(server->node, &error) != STATUS_OK) {
        cluster_violation(server, "it does not start: %s", error.text);
    }
    timeline_trace(server->cluster->timeline,
                   "%" PRIu64 " starts, run %" PRIu64 ", log %" PRIu64 "..%" PRIu64
                   " applied %" PRIu64,
                   server->id, server->runs, log.base + 1, log.last, node_applied(server->node));
    server->cluster->observer.on_boot(server->cluster->observer.context, server);
    cluster_poke(server);
    return true;
}

/* Give the jobs back to the node that waits for them; nothing comes of it any more. */
static void
return_jobs(struct cluster_server *server, struct list *log_jobs, struct list *checkpoint_jobs)
{
    while (!list_is_empty(&server->inbox)) {
        struct inbox_item *item =
            CONTAINER_OF(list_take_first(&server->inbox), struct inbox_item, link);

        if (item->arrival != NULL) {
            network_arrival_free(item->arrival);
        } else {
            take(server, item);
        }
        free(item);
    }
    while (!list_is_empty(log_jobs)) {
        node_on_log_done(server->node,
                         CONTAINER_OF(list_take_first(log_jobs), struct log_job, link));
    }
    while (!list_is_empty(checkpoint_jobs)) {
        node_on_checkpoint_done(server->node, CONTAINER_OF(list_take_first(checkpoint_jobs),
                                                           struct checkpoint_job, link));
    }
}

void cluster_crash(struct cluster_server *server, bool quietly)
{
    struct list log_jobs;
    struct list checkpoint_jobs;

    timeline_trace(server->cluster->timeline, "%" PRIu64 " crashes%s", server->id,
                   quietly ? " quietly" : "");
    list_init(&log_jobs);
    list_init(&checkpoint_jobs);
    server->cluster->observer.on_stop(server->cluster->observer.context, server);
    server->stopping = true;
    timeline_cancel(server->cluster->timeline, &server->turn);
    timeline_cancel(server->cluster->timeline, &server->death);
    network_crash(server->cluster->network, server->place, quietly);
    disk_crash(server->disk, &log_jobs, &checkpoint_jobs);
    return_jobs(server, &log_jobs, &checkpoint_jobs);
    node_free(server->node);
    disk_close(server->disk);
    server->node = NULL;
    server->stopping = false;
    server->dying = false;
    server->draining = false;
    server->paused = false;
}

void cluster_pause(struct cluster_server *server)
{
    timeline_trace(server->cluster->timeline, "%" PRIu64 " pauses", server->id);
    server->paused = true;
}

void cluster_resume(struct cluster_server *server)
{
    timeline_trace(server->cluster->timeline, "%" PRIu64 " resumes", server->id);
    server->paused = false;
    while (!list_is_empty(&server->inbox) && !server->dying) {
        struct inbox_item *item =
            CONTAINER_OF(list_take_first(&server->inbox), struct inbox_item, link);

        take(server, item);
        free(item);
    }
    cluster_poke(server);
}

static void retire_disk(struct cluster_server *server)
{
    CHECK(server->node == NULL);
    if (server->former_disk != NULL) {
        disk_free(server->former_disk);
    }
    server->former_disk = server->disk;
    memcpy(server->former_incarnation, server->incarnation, sizeof server->incarnation);
}

void cluster_wipe(struct cluster_server *server)
{
    timeline_trace(server->cluster->timeline, "%" PRIu64 " is wiped", server->id);
    /* Where the process died before it was written that it is one, the others say so again. */
    if (server->is_old_copy && disk_identity(server->disk)->is_superseded) {
        disk_must_refuse(server->disk);
    }
    cluster_drop_backup(server);
    retire_disk(server);
    new_disk(server);
    server->lost = false;
    server->is_old_copy = false;
}

void cluster_back_up(struct cluster_server *server)
{
    timeline_trace(server->cluster->timeline, "a copy is made of the folder of %" PRIu64,
                   server->id);
    cluster_drop_backup(server);
    server->backup = disk_copy(server->disk, prng_next(&server->prng));
}

void cluster_drop_backup(struct cluster_server *server)
{
    if (server->backup != NULL) {
        disk_free(server->backup);
    }
    server->backup = NULL;
}

void cluster_restore(struct cluster_server *server)
{
    CHECK(server->backup != NULL);
    timeline_trace(server->cluster->timeline,
                   "the folder of %" PRIu64 " is put back from entry %" PRIu64 " to %" PRIu64,
                   server->id, disk_log(server->disk).last, disk_log(server->backup).last);
    retire_disk(server);
    server->disk = server->backup;
    server->backup = NULL;
    server->is_old_copy = true;
    server->lives++;
    server->weighed_generation = UINT64_MAX;
    server->surplus = (struct state_digest){.record_count = 0};
}

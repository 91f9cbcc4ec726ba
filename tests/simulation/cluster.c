#include "tests/simulation/cluster.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/checksum.h"
#include "proto/arena_allocator.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of protobuf's encoding. */
enum { VARINT_MORE = 128, TAGS_PER_FIELD = 8 };

enum {
    TURN_DELAY_US = 100,
    IDLE_TURNS_MAX = 1000,
    PPM = 1000000,
    WALL_START_MS = 1700000,
    FRESH_CLAIM_PERMILLE = 300
};

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

static bool is_gone(const struct cluster_server *server)
{
    return server->stopping || server->dying;
}

/* --- Time --- */

static uint64_t clock_us(const struct cluster_server *server)
{
    uint64_t now_us = server->cluster->timeline->now_us;

    return server->clock_offset_us + now_us + (uint64_t)((int64_t)now_us * server->drift_ppm / PPM);
}

/* How long until the server's clock shows `at_us`, rounded up. */
static uint64_t until(const struct cluster_server *server, uint64_t at_us)
{
    uint64_t now_us = clock_us(server);

    if (at_us <= now_us) {
        return 0;
    }
    return (at_us - now_us) * PPM / (uint64_t)(PPM + server->drift_ppm) + 1;
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

    if (server->node != NULL && !is_gone(server) &&
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
static void on_disk_death(void *context)
{
    struct cluster_server *server = context;

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

    return cluster->servers[place].node != NULL && !is_gone(&cluster->servers[place]);
}

/* What a server says of itself in a handshake; the message points into the rest. */
struct introduction {
    Peer__Identity message;
    struct node_identity own;
    struct journal_identity folder;
};

static void introduce(struct cluster_server *server, struct introduction *introduction)
{
    Peer__Identity *message = &introduction->message;

    /* A handshake takes its time: most were begun a while ago. */
    if (timeline_chance(&server->prng, FRESH_CLAIM_PERMILLE)) {
        server->claimed = disk_log(server->disk);
    }
    introduction->own = node_identity(server->node);
    introduction->folder = *disk_identity(server->disk);
    peer__identity__init(message);
    message->id = introduction->own.id;
    message->format = NODE_FORMAT;
    message->incarnation.data = introduction->own.incarnation;
    message->incarnation.len = sizeof introduction->own.incarnation;
    if (introduction->own.has_cluster) {
        message->cluster_id.data = introduction->own.cluster_id;
        message->cluster_id.len = sizeof introduction->own.cluster_id;
    }
    message->start_count = introduction->folder.start_count;
    message->starts = introduction->folder.starts;
    message->n_starts = introduction->folder.start_known;
    message->term = server->claimed.term;
    message->last = server->claimed.last;
}

/* `teller` finds the folder of `told` to be an old copy. */
static bool
supersede(struct cluster_server *teller, struct cluster_server *told, const char *refusal)
{
    timeline_trace(teller->cluster->timeline, "%" PRIu64 " supersedes %" PRIu64 ": %s", teller->id,
                   told->id, refusal);
    cluster_violation(told, "its sound folder is called an old copy: %s", refusal);
}

static bool admit(void *context,
                  size_t from,
                  size_t to,
                  Peer__Channel channel,
                  const uint8_t incarnation[RAFT_INCARNATION_BYTES])
{
    struct cluster *cluster = context;
    struct cluster_server *asking = &cluster->servers[from];
    struct cluster_server *asked = &cluster->servers[to];
    struct introduction asking_is;
    struct introduction asked_is;
    char refusal[ERROR_TEXT_BYTES_MAX] = "";

    if (asked->paused || asking->paused || is_gone(asked) || is_gone(asking) ||
        memcmp(incarnation, asked->incarnation, RAFT_INCARNATION_BYTES) != 0) {
        return false;
    }
    introduce(asking, &asking_is);
    introduce(asked, &asked_is);
    if (!node_recognize(asking->node, &asked_is.message, refusal)) {
        return supersede(asking, asked, refusal);
    }
    if (!node_admit(asked->node, &asking_is.message, channel, true, refusal)) {
        timeline_trace(cluster->timeline, "%" PRIu64 " refuses %" PRIu64 ": %s", asked->id,
                       asking->id, refusal);
        return false;
    }
    return node_recognize(asked->node, &asking_is.message, refusal) ||
           supersede(asked, asking, refusal);
}

/* --- The port --- */

static uint64_t port_now_us(void *context)
{
    return clock_us(context);
}

static uint64_t port_wall_ms(void *context)
{
    const struct cluster_server *server = context;

    return (uint64_t)((int64_t)(server->cluster->timeline->now_us / 1000) + WALL_START_MS +
                      server->wall_skew_ms);
}

static void port_random(void *context, void *bytes, size_t size)
{
    struct cluster_server *server = context;

    for (size_t i = 0; i < size; i++) {
        ((uint8_t *)bytes)[i] = (uint8_t)prng_next(&server->prng);
    }
}

static void port_set_peers(void *context, const struct node_peer *peers, size_t count)
{
    struct cluster_server *server = context;

    if (!is_gone(server)) {
        network_set_peers(server->cluster->network, server->place, peers, count);
    }
}

/* Of its one field: the tag comes first. */
static uint32_t body_of(struct bytes message)
{
    uint32_t tag;

    CHECK(message.size >= 2);
    tag = message.data[0];
    if (tag >= VARINT_MORE) {
        CHECK(message.data[1] < VARINT_MORE);
        tag = tag - VARINT_MORE + VARINT_MORE * message.data[1];
    }
    return tag / TAGS_PER_FIELD;
}

static bool observe_message(struct cluster_server *server, raft_id to, struct bytes message)
{
    ProtobufCAllocator allocator = arena_allocator(&server->cluster->arena);
    Peer__PeerMessage *wire;

    if (body_of(message) != PEER__PEER_MESSAGE__BODY_RAFT) {
        timeline_trace(server->cluster->timeline, "%" PRIu64 " > %" PRIu64 " kind %" PRIu32,
                       server->id, to, body_of(message));
        return false;
    }
    wire = peer__peer_message__unpack(&allocator, message.size, message.data);
    CHECK(wire != NULL && wire->body_case == PEER__PEER_MESSAGE__BODY_RAFT);
    server->cluster->observer.on_send(server->cluster->observer.context, server, to, wire->raft);
    arena_reset(&server->cluster->arena);
    return true;
}

static bool port_send(void *context, raft_id peer, struct bytes message)
{
    struct cluster_server *server = context;
    size_t to = (size_t)peer - 1;

    if (is_gone(server)) {
        return false;
    }
    CHECK_OP(to, <, server->cluster->settings.places);
    return network_send(server->cluster->network, server->place, to, message,
                        observe_message(server, peer, message));
}

static void port_bulk_open(void *context, raft_id peer)
{
    struct cluster_server *server = context;

    if (!is_gone(server)) {
        network_bulk_open(server->cluster->network, server->place, (size_t)peer - 1);
    }
}

static bool port_bulk_send(void *context, raft_id peer, struct bytes message)
{
    struct cluster_server *server = context;

    return !is_gone(server) &&
           network_bulk_send(server->cluster->network, server->place, (size_t)peer - 1, message);
}

static void port_bulk_close(void *context, raft_id peer)
{
    struct cluster_server *server = context;

    if (!is_gone(server)) {
        network_bulk_close(server->cluster->network, server->place, (size_t)peer - 1);
    }
}

static void port_probe(void *context, uint64_t token, const char *address, struct bytes message)
{
    struct cluster_server *server = context;
    size_t to = (size_t)strtoull(address + strlen("server-"), NULL, 10) - 1;

    if (!is_gone(server)) {
        CHECK_OP(to, <, server->cluster->settings.places);
        network_probe(server->cluster->network, server->place, to, token, message);
    }
}

static void port_probe_reply(void *context, uint64_t probe, struct bytes message)
{
    struct cluster_server *server = context;

    if (!is_gone(server)) {
        network_probe_reply(server->cluster->network, probe, message);
    }
}

static void port_log_submit(void *context, struct log_job *job)
{
    struct cluster_server *server = context;

    CHECK(!server->stopping);
    disk_submit_log(server->disk, job);
}

static void port_checkpoint_submit(void *context, struct checkpoint_job *job)
{
    struct cluster_server *server = context;

    CHECK(!server->stopping);
    disk_submit_checkpoint(server->disk, job);
}

static enum status
port_set_cluster(void *context, const uint8_t cluster_id[16], struct error *error)
{
    struct cluster_server *server = context;

    (void)error;
    disk_set_cluster(server->disk, cluster_id);
    return STATUS_OK;
}

static enum status port_tree_open(void *context,
                                  uint64_t generation,
                                  struct tree_store **ret_tree,
                                  struct error *error)
{
    struct cluster_server *server = context;

    (void)error;
    *ret_tree = disk_tree_open(server->disk, generation);
    return *ret_tree != NULL ? STATUS_OK : error_set(error, STATUS_IO, "the modelled disk fails");
}

static void port_tree_close(void *context, struct tree_store *tree, bool remove_files)
{
    struct cluster_server *server = context;

    /* A dead process removes nothing: the next start does. */
    disk_tree_close(server->disk, tree, remove_files && !server->stopping);
}

static struct state_source port_tree_source(void *context, struct tree_store *tree)
{
    (void)context;
    return *disk_tree_source(tree);
}

static enum status port_tree_renew(void *context, struct tree_store *tree, struct error *error)
{
    struct cluster_server *server = context;

    return disk_tree_renew(server->disk, tree)
               ? STATUS_OK
               : error_set(error, STATUS_IO, "the modelled disk fails");
}

static struct tree_meta port_tree_meta(void *context, struct tree_store *tree)
{
    (void)context;
    return disk_tree_meta(tree);
}

static void port_tree_path(void *context, uint64_t generation, char *path)
{
    const struct cluster_server *server = context;

    disk_tree_path(server->disk, generation, path);
}

static enum status port_tree_condemn(void *context, uint64_t generation, struct error *error)
{
    struct cluster_server *server = context;

    (void)error;
    timeline_trace(server->cluster->timeline, "%" PRIu64 " condemns its state", server->id);
    disk_condemn(server->disk, generation);
    return STATUS_OK;
}

static uint64_t port_tree_bytes(void *context, const struct tree_store *tree)
{
    (void)context;
    (void)tree;
    return 1 << 20;
}

static enum status port_dump_path(void *context, const char *name, char *path, struct error *error)
{
    const struct cluster_server *server = context;

    (void)error;
    disk_dump_path(server->disk, name, path);
    return STATUS_OK;
}

static enum status port_dump_read(void *context,
                                  const char *path,
                                  uint64_t offset,
                                  void *buffer,
                                  size_t size,
                                  struct error *error)
{
    struct cluster_server *server = context;

    return disk_file_read(server->disk, path, offset, buffer, size, error);
}

static enum status port_dump_write(
    void *context, const char *path, uint64_t offset, struct bytes bytes, struct error *error)
{
    struct cluster_server *server = context;

    return disk_file_write(server->disk, path, offset, bytes, error);
}

static void port_dump_remove(void *context, const char *path)
{
    struct cluster_server *server = context;

    if (!server->stopping) {
        disk_file_remove(server->disk, path);
    }
}

static bool port_has_space(void *context, uint64_t unwritten_records, uint64_t unwritten_bytes)
{
    const struct cluster_server *server = context;

    (void)unwritten_records;
    (void)unwritten_bytes;
    return !disk_is_full(server->disk);
}

static void port_fail(void *context, const struct error *error)
{
    struct cluster_server *server = context;

    if (is_gone(server)) {
        return;
    }
    if (!disk_is_unsound(server->disk)) {
        cluster_violation(server, "the node gave up: %s", error->text);
    }
    timeline_trace(server->cluster->timeline, "%" PRIu64 " gives up: %s", server->id, error->text);
    server->lost |= error->status == STATUS_CORRUPT;
    on_disk_death(server);
}

static struct node_port port_of(struct cluster_server *server)
{
    return (struct node_port){.context = server,
                              .now_us = port_now_us,
                              .wall_ms = port_wall_ms,
                              .random = port_random,
                              .set_peers = port_set_peers,
                              .send = port_send,
                              .bulk_open = port_bulk_open,
                              .bulk_send = port_bulk_send,
                              .bulk_close = port_bulk_close,
                              .probe = port_probe,
                              .probe_reply = port_probe_reply,
                              .log_submit = port_log_submit,
                              .checkpoint_submit = port_checkpoint_submit,
                              .set_cluster = port_set_cluster,
                              .tree_open = port_tree_open,
                              .tree_close = port_tree_close,
                              .tree_source = port_tree_source,
                              .tree_renew = port_tree_renew,
                              .tree_meta = port_tree_meta,
                              .tree_path = port_tree_path,
                              .tree_condemn = port_tree_condemn,
                              .tree_bytes = port_tree_bytes,
                              .dump_path = port_dump_path,
                              .dump_read = port_dump_read,
                              .dump_write = port_dump_write,
                              .dump_remove = port_dump_remove,
                              .has_space = port_has_space,
                              .fail = port_fail};
}

/* --- What the disk tells --- */

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
    server->diverged = false;
    port_random(server, server->incarnation, sizeof server->incarnation);
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
                  const struct cluster_observer *observer)
{
    const struct settings *settings = &plan->settings;
    const struct network_users users = {
        .context = cluster, .is_up = is_up, .admit = admit, .deliver = on_arrival};

    memset(cluster, 0, sizeof *cluster);
    cluster->timeline = timeline;
    cluster->plan = plan;
    cluster->settings = *settings;
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
    if (memcmp(incarnation, server->incarnation, RAFT_INCARNATION_BYTES) == 0) {
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
        server->diverged_sum = disk_surplus(server->disk);
        server->diverged = server->diverged_sum != 0;
    }
    return server->diverged;
}

struct state_digest cluster_digest(struct cluster_server *server)
{
    struct state_digest digest = state_digest(node_state(server->node));

    digest.sum -= cluster_has_diverged(server) ? server->diverged_sum : 0;
    return digest;
}

bool cluster_is_awake(const struct cluster_server *server)
{
    return server->node != NULL && !is_gone(server) && !server->paused;
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
    struct node_port port = port_of(server);
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
    status = node_new(&options, &port, &log, &server->node, &error);
    if (status != STATUS_OK && disk_is_unsound(server->disk)) {
        disk_close(server->disk);
        return refuse_start(server, status, error.text);
    }
    if (status != STATUS_OK) {
        cluster_violation(server, "it does not start: %s", error.text);
    }
    /* What was not in the checkpoint yet is gone with the process. */
    if (cluster_has_diverged(server) && disk_surplus(server->disk) == 0) {
        server->diverged = false;
    }
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

void cluster_wipe(struct cluster_server *server)
{
    CHECK(server->node == NULL);
    timeline_trace(server->cluster->timeline, "%" PRIu64 " is wiped", server->id);
    if (server->former_disk != NULL) {
        disk_free(server->former_disk);
    }
    server->former_disk = server->disk;
    memcpy(server->former_incarnation, server->incarnation, sizeof server->incarnation);
    new_disk(server);
    server->lost = false;
}

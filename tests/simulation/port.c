#include "tests/simulation/port.h"

#include "base/check.h"
#include "server/node/peer_codec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Of protobuf's encoding. */
enum { VARINT_MORE = 128, TAGS_PER_FIELD = 8 };

enum { WALL_START_MS = 1700000 };

static uint64_t port_now_us(void *context)
{
    return cluster_clock_us(context);
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

    if (!cluster_is_gone(server)) {
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
    Peer__PeerMessage *wire;

    if (body_of(message) != PEER__PEER_MESSAGE__BODY_RAFT) {
        timeline_trace(server->cluster->timeline, "%" PRIu64 " > %" PRIu64 " kind %" PRIu32,
                       server->id, to, body_of(message));
        return false;
    }
    wire = peer_codec_read(message, &server->cluster->arena);
    CHECK(wire != NULL && wire->body_case == PEER__PEER_MESSAGE__BODY_RAFT);
    server->cluster->observer.on_send(server->cluster->observer.context, server, to, wire->raft);
    arena_reset(&server->cluster->arena);
    return true;
}

static bool port_send(void *context, raft_id peer, struct bytes message, bool is_late)
{
    struct cluster_server *server = context;
    size_t to = (size_t)peer - 1;

    (void)is_late; /* here messages leave at once */
    if (cluster_is_gone(server)) {
        return false;
    }
    CHECK_OP(to, <, server->cluster->settings.places);
    return network_send(server->cluster->network, server->place, to, message,
                        observe_message(server, peer, message));
}

static void port_bulk_open(void *context, raft_id peer)
{
    struct cluster_server *server = context;

    if (!cluster_is_gone(server)) {
        network_bulk_open(server->cluster->network, server->place, (size_t)peer - 1);
    }
}

static void observe_offer(struct cluster_server *server, raft_id to, struct bytes message)
{
    Peer__PeerMessage *wire;

    if (body_of(message) != PEER__PEER_MESSAGE__BODY_DUMP_OFFER) {
        return;
    }
    wire = peer_codec_read(message, &server->cluster->arena);
    CHECK(wire != NULL && wire->body_case == PEER__PEER_MESSAGE__BODY_DUMP_OFFER);
    server->cluster->observer.on_offer(server->cluster->observer.context, server, to,
                                       wire->dump_offer);
    arena_reset(&server->cluster->arena);
}

static bool port_bulk_send(void *context, raft_id peer, struct bytes message)
{
    struct cluster_server *server = context;

    if (!cluster_is_gone(server)) {
        observe_offer(server, peer, message);
    }
    return !cluster_is_gone(server) &&
           network_bulk_send(server->cluster->network, server->place, (size_t)peer - 1, message);
}

static void port_bulk_close(void *context, raft_id peer)
{
    struct cluster_server *server = context;

    if (!cluster_is_gone(server)) {
        network_bulk_close(server->cluster->network, server->place, (size_t)peer - 1);
    }
}

static void port_probe(void *context, uint64_t token, const char *address, struct bytes message)
{
    struct cluster_server *server = context;
    size_t to = (size_t)strtoull(address + strlen("server-"), NULL, 10) - 1;

    if (!cluster_is_gone(server)) {
        CHECK_OP(to, <, server->cluster->settings.places);
        network_probe(server->cluster->network, server->place, to, token, message);
    }
}

static void port_probe_reply(void *context, uint64_t probe, struct bytes message)
{
    struct cluster_server *server = context;

    if (!cluster_is_gone(server)) {
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

static enum status port_tree_doubt(void *context,
                                   uint64_t generation,
                                   const struct tree_doubt *doubt,
                                   struct error *error)
{
    struct cluster_server *server = context;

    (void)error;
    timeline_trace(server->cluster->timeline,
                   "%" PRIu64 " doubts its state: borrowed=%d differ=%zu", server->id,
                   doubt->is_borrowed, doubt->count);
    disk_doubt(server->disk, generation, doubt);
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

static struct node_space
port_space(void *context, uint64_t unwritten_records, uint64_t unwritten_bytes)
{
    const struct cluster_server *server = context;
    bool is_tree_full = disk_map_is_full(server->disk);

    (void)unwritten_records;
    (void)unwritten_bytes;
    return (struct node_space){.is_enough = !is_tree_full && !disk_is_full(server->disk),
                               .is_tree_full = is_tree_full};
}

static void port_fail(void *context, const struct error *error)
{
    struct cluster_server *server = context;

    if (cluster_is_gone(server)) {
        return;
    }
    if (!disk_is_unsound(server->disk)) {
        cluster_violation(server, "the node gave up: %s", error->text);
    }
    timeline_trace(server->cluster->timeline, "%" PRIu64 " gives up: %s", server->id, error->text);
    server->lost |= error->status == STATUS_CORRUPT;
    cluster_die(server);
}

struct node_port port_of(struct cluster_server *server)
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
                              .tree_doubt = port_tree_doubt,
                              .tree_bytes = port_tree_bytes,
                              .dump_path = port_dump_path,
                              .dump_read = port_dump_read,
                              .dump_write = port_dump_write,
                              .dump_remove = port_dump_remove,
                              .space = port_space,
                              .fail = port_fail};
}

#include "server/server.h"

#include "base/check.h"
#include "base/clock.h"
#include "server/disks.h"
#include "server/front/native_front.h"
#include "server/front/zookeeper_words.h"
#include "server/memory.h"
#include "server/net/entrance.h"
#include "server/net/listener.h"
#include "server/net/peers.h"
#include "server/node/node.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    STOP_MS = 5000,       /* after a stop was asked for, the end comes at the latest */
    ENTRY_CACHE_SHARE = 8 /* of --cache */
};

struct server {
    const struct config *config;
    struct event_base *base;
    struct connection_loop loop;
    struct listener *listeners[CONFIG_LISTENERS_MAX];
    struct resolver *resolver;
    struct entrance *entrance;
    struct peers *peers;
    struct native_front *native_front;
    struct zookeeper_front *zookeeper_front;
    struct zookeeper_words *zookeeper_words;
    struct disks *disks;
    struct node *node;
    struct buffer secret;
    struct event *timer;
    uint64_t timer_us; /* when it rings; UINT64_MAX = not at all */
    struct event *disk_event;
    struct event *signal_events[2];
    int disk_wake; /* eventfd; -1 = none */
    unsigned stop_signals;
    uint64_t stop_deadline_us;
    bool failed;
    struct error failure;
};

/* --- The node's port --- */

static uint64_t port_now(void *context)
{
    (void)context;
    return clock_monotonic_us();
}

static uint64_t port_wall(void *context)
{
    (void)context;
    return clock_wall_ms();
}

static void port_random(void *context, void *bytes, size_t size)
{
    uint8_t *to = bytes;

    (void)context;
    while (size > 0) {
        ssize_t got = getrandom(to, size, 0);

        CHECK(got > 0 || errno == EINTR);
        if (got > 0) {
            to += got;
            size -= (size_t)got;
        }
    }
}

static void port_set_peers(void *context, const struct node_peer *peers, size_t count)
{
    struct server *server = context;
    struct peers_member members[RAFT_MEMBERS_MAX];

    CHECK_OP(count, <=, RAFT_MEMBERS_MAX);
    for (size_t i = 0; i < count; i++) {
        members[i] = (struct peers_member){
            .id = peers[i].id, .incarnation = peers[i].incarnation, .address = peers[i].address};
    }
    peers_set(server->peers, members, count);
}

static bool port_send(void *context, raft_id peer, struct bytes message, bool is_late)
{
    return peers_send(((struct server *)context)->peers, peer, message, is_late);
}

static void port_bulk_open(void *context, raft_id peer)
{
    peers_bulk_open(((struct server *)context)->peers, peer);
}

static bool port_bulk_send(void *context, raft_id peer, struct bytes message)
{
    return peers_bulk_send(((struct server *)context)->peers, peer, message);
}

static void port_bulk_close(void *context, raft_id peer)
{
    peers_bulk_close(((struct server *)context)->peers, peer);
}

static void port_probe(void *context, uint64_t token, const char *address, struct bytes message)
{
    peers_probe(((struct server *)context)->peers, token, address, message);
}

static void port_probe_reply(void *context, uint64_t probe, struct bytes message)
{
    peers_probe_reply(((struct server *)context)->peers, probe, message);
}

/* What was sent leaves first, so that the peers' disks work while this one does. The thread that is
 * woken may take this one's processor until its disk is busy. */
static void port_log_submit(void *context, struct log_job *job)
{
    struct server *server = context;

    connection_loop_write_links(&server->loop);
    disks_log_submit(server->disks, job);
}

static void port_checkpoint_submit(void *context, struct checkpoint_job *job)
{
    disks_checkpoint_submit(((struct server *)context)->disks, job);
}

static enum status port_set_cluster(void *context,
                                    const uint8_t cluster_id[NODE_CLUSTER_ID_BYTES],
                                    struct error *error)
{
    return disks_set_cluster(((struct server *)context)->disks, cluster_id, error);
}

static enum status port_tree_open(void *context,
                                  uint64_t generation,
                                  struct tree_store **ret_tree,
                                  struct error *error)
{
    return disks_tree_open(((struct server *)context)->disks, generation, ret_tree, error);
}

static void port_tree_close(void *context, struct tree_store *tree, bool remove_files)
{
    disks_tree_close(((struct server *)context)->disks, tree, remove_files);
}

static struct state_source port_tree_source(void *context, struct tree_store *tree)
{
    (void)context;
    return disks_tree_source(tree);
}

static enum status port_tree_renew(void *context, struct tree_store *tree, struct error *error)
{
    (void)context;
    return tree_store_renew(tree, error);
}

static struct tree_meta port_tree_meta(void *context, struct tree_store *tree)
{
    (void)context;
    return tree_store_meta(tree);
}

static void
port_tree_path(void *context, uint64_t generation, char path[DATA_FOLDER_PATH_BYTES_MAX])
{
    disks_tree_path(((struct server *)context)->disks, generation, path);
}

static enum status port_tree_condemn(void *context, uint64_t generation, struct error *error)
{
    return disks_tree_condemn(((struct server *)context)->disks, generation, error);
}

static enum status port_tree_doubt(void *context,
                                   uint64_t generation,
                                   const struct tree_doubt *doubt,
                                   struct error *error)
{
    return disks_tree_doubt(((struct server *)context)->disks, generation, doubt, error);
}

static uint64_t port_tree_bytes(void *context, const struct tree_store *tree)
{
    (void)context;
    return tree_store_used_bytes(tree);
}

static enum status port_dump_path(void *context,
                                  const char *name,
                                  char path[DATA_FOLDER_PATH_BYTES_MAX],
                                  struct error *error)
{
    return disks_dump_path(((struct server *)context)->disks, name, path, error);
}

static enum status port_dump_read(void *context,
                                  const char *path,
                                  uint64_t offset,
                                  void *buffer,
                                  size_t size,
                                  struct error *error)
{
    (void)context;
    return disks_dump_read(path, offset, buffer, size, error);
}

static enum status port_dump_write(
    void *context, const char *path, uint64_t offset, struct bytes bytes, struct error *error)
{
    (void)context;
    return disks_dump_write(path, offset, bytes, error);
}

static void port_dump_remove(void *context, const char *path)
{
    (void)context;
    disks_dump_remove(path);
}

static struct node_space
port_space(void *context, uint64_t unwritten_records, uint64_t unwritten_bytes)
{
    return disks_space(((struct server *)context)->disks, unwritten_records, unwritten_bytes);
}

static void port_fail(void *context, const struct error *error)
{
    struct server *server = context;

    server->failed = true;
    server->failure = *error;
}

static struct node_port make_port(struct server *server)
{
    return (struct node_port){.context = server,
                              .now_us = port_now,
                              .wall_ms = port_wall,
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

/* --- From the network to the node --- */

static struct handshake_identity own_identity(void *context)
{
    struct server *server = context;
    struct node_identity from = node_identity(server->node);
    const struct log_identity *folder = log_store_identity(disks_log(server->disks));
    const struct log_state log = log_store_state(disks_log(server->disks));
    struct handshake_identity identity = {.id = from.id,
                                          .has_cluster = from.has_cluster,
                                          .format = NODE_FORMAT,
                                          .start_count = folder->start_count,
                                          .start_known = folder->start_known,
                                          .term = log.term,
                                          .last = log.last,
                                          .named_at = from.named_at};

    _Static_assert((int)HANDSHAKE_STARTS_MAX == (int)LOG_STORE_STARTS_MAX, "a peer gets all");
    memcpy(identity.starts, folder->starts, sizeof identity.starts);
    memcpy(identity.incarnation, from.incarnation, sizeof identity.incarnation);
    memcpy(identity.cluster_id, from.cluster_id, sizeof identity.cluster_id);
    return identity;
}

static bool on_admit(void *context,
                     const struct handshake_identity *from,
                     Peer__Channel channel,
                     bool knows_our_incarnation,
                     char refusal[ERROR_TEXT_BYTES_MAX])
{
    struct server *server = context;
    Peer__Identity identity;

    handshake_identity_message(from, &identity);
    return node_admit(server->node, &identity, channel, knows_our_incarnation, refusal);
}

static bool on_recognize(void *context,
                         const struct handshake_identity *from,
                         char refusal[ERROR_TEXT_BYTES_MAX])
{
    struct server *server = context;
    Peer__Identity identity;

    handshake_identity_message(from, &identity);
    return node_recognize(server->node, &identity, refusal);
}

/* What it forgot it may not say another way: it ends, and starts no more, before it can meet a
 * member that saw less. */
static void on_superseded(void *context, uint64_t peer, const char *reason)
{
    struct server *server = context;
    struct error error;

    log_event(LOG_LEVEL_ERROR, "superseded", "peer=%" PRIu64 " reason=%s", peer, log_quote(reason));
    if (disks_set_superseded(server->disks, &error) != STATUS_OK) {
        log_event(LOG_LEVEL_ERROR, "superseded_not_kept", "reason=%s", log_quote(error.text));
    }
    (void)error_set(&server->failure, STATUS_MISMATCH, "server %" PRIu64 " says: %s", peer, reason);
    server->failed = true;
}

static void on_peer_unreachable(void *context, uint64_t peer, const char *reason)
{
    node_on_peer_unreachable(((struct server *)context)->node, peer, reason);
}

static void on_peer_up(void *context, uint64_t peer)
{
    node_on_peer_up(((struct server *)context)->node, peer);
}

static void on_peer_down(void *context, uint64_t peer)
{
    node_on_peer_down(((struct server *)context)->node, peer);
}

static enum status on_peer_message(void *context, uint64_t peer, struct bytes message)
{
    return node_on_peer_message(((struct server *)context)->node, peer, message);
}

static void on_bulk_up(void *context, uint64_t peer)
{
    node_on_bulk_up(((struct server *)context)->node, peer);
}

static void on_bulk_down(void *context, uint64_t peer)
{
    node_on_bulk_down(((struct server *)context)->node, peer);
}

static enum status on_bulk_message(void *context, uint64_t peer, struct bytes message)
{
    return node_on_bulk_message(((struct server *)context)->node, peer, message);
}

static enum status on_probe(void *context, uint64_t probe, struct bytes message)
{
    return node_on_probe(((struct server *)context)->node, probe, message);
}

static void on_probe_answer(void *context,
                            uint64_t token,
                            enum status status,
                            const struct handshake_identity *from,
                            struct bytes message,
                            const char *text)
{
    struct server *server = context;
    Peer__Identity identity;

    if (from == NULL) {
        node_on_probe_answer(server->node, token, status, NULL, message, text);
        return;
    }
    handshake_identity_message(from, &identity);
    node_on_probe_answer(server->node, token, status, &identity, message, text);
}

static void on_client(void *context, struct connection *connection, enum frame_protocol protocol)
{
    struct server *server = context;

    if (protocol == FRAME_PROTOCOL_ZOOKEEPER) {
        zookeeper_front_take(server->zookeeper_front, connection);
    } else if (protocol == FRAME_PROTOCOL_CLIENT) {
        native_front_take(server->native_front, connection);
    } else {
        zookeeper_words_take(server->zookeeper_words, connection);
    }
}

static void on_peer(void *context, struct connection *connection)
{
    peers_accept(((struct server *)context)->peers, connection);
}

static void on_accept(void *context, int socket, const struct socket_address *remote)
{
    entrance_take(((struct server *)context)->entrance, socket, remote);
}

/* --- Wake-ups --- */

/* From a disk thread. */
static void wake(void *context)
{
    const struct server *server = context;
    uint64_t one = 1;

    /* EAGAIN means that the counter is full: the main thread is woken anyway. */
    (void)!write(server->disk_wake, &one, sizeof one);
}

static void on_disk(evutil_socket_t descriptor, short what, void *context)
{
    uint64_t count;

    (void)what;
    (void)context;
    (void)!read(descriptor, &count, sizeof count);
}

static void on_timer(evutil_socket_t descriptor, short what, void *context)
{
    struct server *server = context;

    (void)descriptor;
    (void)what;
    server->timer_us = UINT64_MAX;
}

static void on_signal(evutil_socket_t signal_number, short what, void *context)
{
    struct server *server = context;

    (void)what;
    server->stop_signals++;
    log_event(LOG_LEVEL_INFO, "stopping", "signal=%d", (int)signal_number);
}

/* --- Start --- */

static struct node_options make_node_options(const struct server *server)
{
    const struct config *config = server->config;
    const struct log_identity *identity = log_store_identity(disks_log(server->disks));
    struct node_options options = node_options_default(config->id);

    options.start = identity->starts[0];
    memcpy(options.incarnation, identity->incarnation, sizeof options.incarnation);
    options.has_cluster = identity->has_cluster;
    memcpy(options.cluster_id, identity->cluster_id, sizeof options.cluster_id);
    options.tree_generation = identity->tree_generation;
    options.tree_is_condemned = disks_tree_is_condemned(server->disks);
    options.address = config->server;
    options.raft.heartbeat_us = config->heartbeat_ms * 1000;
    options.raft.election_timeout_us = config->election_timeout_ms * 1000;
    options.cache_bytes_max = config->cache_bytes;
    options.entry_cache_bytes_max = config->cache_bytes / ENTRY_CACHE_SHARE;
    options.checkpoint_records_max = config->checkpoint_records;
    options.checkpoint_bytes_max = config->checkpoint_bytes;
    options.checkpoint_interval_us = config->checkpoint_interval_ms * 1000;
    options.log_tail_bytes_max = config->log_tail_bytes;
    options.log_tail_entries_max = config->log_tail_entries;
    options.history_bytes_max = config->history_bytes;
    options.history_changes_max = config->history_changes;
    options.dump_bytes_max = config->map_bytes;
    options.enforce_quotas = config->enforce_quotas;
    options.sweep_interval_us = config->container_check_interval_ms * 1000;
    port_random(NULL, &options.seed, sizeof options.seed);
    return options;
}

struct boot {
    struct node *node;
    struct error *error;
};

static enum status boot_entry(void *context, const struct log_entry *entry)
{
    struct boot *boot = context;

    return node_boot_entry(boot->node, entry, boot->error);
}

static enum status open_node(struct server *server, struct error *error)
{
    const struct node_port port = make_port(server);
    struct node_options options = make_node_options(server);
    struct log_witness witnesses[LOG_STORE_WITNESSES_MAX];
    struct log_state log = log_store_state(disks_log(server->disks));
    struct boot boot = {.error = error};
    enum status status;

    options.witnesses = witnesses;
    options.witness_count = log_store_witnesses(disks_log(server->disks), witnesses);
    status = disks_tree_read_doubt(server->disks, &options.tree_doubt, error);
    if (status == STATUS_OK) {
        status = node_new(&options, &port, &log, &server->node, error);
    }
    if (status != STATUS_OK) {
        return status;
    }
    boot.node = server->node;
    return log_store_read(disks_log(server->disks), log.base + 1, log.last, boot_entry, &boot,
                          error);
}

static enum status open_disks(struct server *server, struct error *error)
{
    const struct config *config = server->config;
    const struct disks_options options = {.path = config->data,
                                          .node_id = config->id,
                                          .log_map_bytes = config->log_map_bytes,
                                          .tree_map_bytes = config->map_bytes,
                                          .reserve_bytes = config->disk_reserve_bytes};

    return disks_open(&options, &server->disks, error);
}

static enum status open_events(struct server *server, struct error *error)
{
    static const int signals[] = {SIGTERM, SIGINT};

    server->disk_wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (server->disk_wake < 0) {
        return error_set(error, STATUS_IO, "cannot make an eventfd: %s", strerror(errno));
    }
    server->timer = event_new(server->base, -1, 0, on_timer, server);
    server->disk_event =
        event_new(server->base, server->disk_wake, EV_READ | EV_PERSIST, on_disk, server);
    if (server->timer == NULL || server->disk_event == NULL ||
        event_add(server->disk_event, NULL) != 0) {
        return error_set(error, STATUS_NO_MEMORY, "cannot make events");
    }
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        server->signal_events[i] = evsignal_new(server->base, signals[i], on_signal, server);
        if (server->signal_events[i] == NULL || event_add(server->signal_events[i], NULL) != 0) {
            return error_set(error, STATUS_NO_MEMORY, "cannot make events");
        }
    }
    return STATUS_OK;
}

/* At most half of the descriptors that clients leave. */
static size_t strangers_max(const struct config *config)
{
    struct rlimit limit;
    uint64_t left = 2 * ENTRANCE_STRANGERS_MAX;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < config->max_connections + left) {
        left = limit.rlim_cur > config->max_connections + 2
                   ? limit.rlim_cur - config->max_connections
                   : 2;
    }
    return (size_t)left / 2;
}

static void open_network(struct server *server)
{
    static const struct peers_handler peers_handler = {
        .admit = on_admit,
        .recognize = on_recognize,
        .on_superseded = on_superseded,
        .on_unreachable = on_peer_unreachable,
        .on_up = on_peer_up,
        .on_down = on_peer_down,
        .on_message = on_peer_message,
        .on_bulk_up = on_bulk_up,
        .on_bulk_down = on_bulk_down,
        .on_bulk_message = on_bulk_message,
        .probes = {.on_probe = on_probe, .on_answer = on_probe_answer}};
    static const struct entrance_handler entrance_handler = {.on_client = on_client,
                                                             .on_peer = on_peer};
    const struct entrance_options entrance_options = {
        .clients_max = server->config->max_connections,
        .clients_per_address_max = server->config->max_connections_per_address,
        .strangers_max = strangers_max(server->config)};
    struct peers_options options = {
        .world = {.loop = &server->loop,
                  .policy = {.secret = buffer_lend(&server->secret),
                             .insecure_peers = server->config->insecure_peers},
                  .self = own_identity,
                  .self_context = server},
        .dial_ms = 3000,
        .backoff_ms_min = 50,
        .backoff_ms_max = 1000,
        .unnamed_max = 32};

    struct zookeeper_words_options words = {
        .words = server->config->four_letter_words,
        .server_id = server->config->id,
        .address = server->config->server,
        .data = server->config->data,
        .connections_per_address_max = server->config->max_connections_per_address,
        .sessions = {
            .super_digest = server->config->zookeeper_super_digest[0] == '\0'
                                ? NULL
                                : server->config->zookeeper_super_digest,
            .allows_reconfig = server->config->zookeeper_reconfig,
            .read_only_mode = server->config->read_only_mode,
            .forgets_missed = server->config->no_watch_replay,
            .session_timeout_ms_min = (uint32_t)server->config->zookeeper_session_timeout_ms[0],
            .session_timeout_ms_max = (uint32_t)server->config->zookeeper_session_timeout_ms[1]}};
    const struct native_front_options native = {.super_digest = words.sessions.super_digest,
                                                .open_membership = server->config->open_membership};

    port_random(NULL, &options.seed, sizeof options.seed);
    server->peers = peers_new(&options, server->resolver, &peers_handler, server);
    server->native_front = native_front_new(server->node, &native);
    words.sessions.hash_seed = options.seed;
    server->zookeeper_front = zookeeper_front_new(server->node, &words.sessions);
    server->zookeeper_words = zookeeper_words_new(server->node, server->zookeeper_front, &words);
    server->entrance = entrance_new(&server->loop, &entrance_options, &entrance_handler, server);
    for (size_t i = 0; i < server->config->listen_count; i++) {
        listener_accept(server->listeners[i], on_accept, server);
    }
}

/* In an order in which a refusal leaves nothing behind: the port and the folder are taken before
 * anything is read, and nobody is accepted before the node is whole. */
static enum status start(struct server *server, struct error *error)
{
    const struct config *config = server->config;
    const struct connection_limits limits = connection_limits_default();
    enum status status = STATUS_OK;

    if (config->secret_file[0] != '\0') {
        status = config_read_secret(config->secret_file, &server->secret, error);
    }
    server->base = event_base_new();
    if (status == STATUS_OK && server->base == NULL) {
        status = error_set(error, STATUS_NO_MEMORY, "cannot make an event base");
    }
    if (status == STATUS_OK) {
        connection_loop_init(&server->loop, server->base, &limits);
        status = open_disks(server, error);
    }
    for (size_t i = 0; status == STATUS_OK && i < config->listen_count; i++) {
        status = listener_open(server->base, config->listen[i], &server->listeners[i], error);
    }
    if (status == STATUS_OK) {
        status = resolver_new(server->base, &server->resolver, error);
    }
    if (status == STATUS_OK) {
        status = open_events(server, error);
    }
    if (status == STATUS_OK) {
        status = open_node(server, error);
    }
    if (status == STATUS_OK) {
        status = disks_start(server->disks, wake, server, error);
    }
    if (status == STATUS_OK) {
        open_network(server);
        status = node_start(server->node, error);
    }
    return status;
}

/* --- The loop --- */

/* Nearly every turn moves the end of the next wait a little. A timer that rings so little too early
 * costs a turn now and then; one that is set anew each time costs more. */
enum { TIMER_EARLY_US_MAX = 10 * 1000 };

static void set_timer(struct server *server, uint64_t next_us, uint64_t now_us)
{
    uint64_t wait_us = next_us - now_us;
    struct timeval wait = {.tv_sec = (time_t)(wait_us / 1000000),
                           .tv_usec = (suseconds_t)(wait_us % 1000000)};

    if (next_us == UINT64_MAX ||
        (server->timer_us <= next_us && next_us - server->timer_us < TIMER_EARLY_US_MAX)) {
        return;
    }
    /* What cannot be added is tried again in the next turn. */
    server->timer_us = event_add(server->timer, &wait) == 0 ? next_us : UINT64_MAX;
}

/* Wait for events until `next_us` at most. */
static void wait_for_events(struct server *server, uint64_t next_us)
{
    uint64_t now_us = clock_monotonic_us();
    bool at_once = next_us <= now_us || connection_loop_is_pending(&server->loop);

    if (!at_once) {
        set_timer(server, next_us, now_us);
    }
    /* Once in either case: without it, the loop goes on for as long as some event is there, and
     * a flood of bytes leaves no turn to the node. */
    (void)event_base_loop(server->base, EVLOOP_ONCE | (at_once ? EVLOOP_NONBLOCK : 0));
}

/* False: the server has failed. */
static bool deliver(struct server *server)
{
    if (!server->failed &&
        disks_deliver(server->disks, server->node, &server->failure) != STATUS_OK) {
        server->failed = true;
    }
    return !server->failed;
}

static uint64_t turn(struct server *server)
{
    uint64_t next_us;

    connection_loop_begin(&server->loop);
    if (!deliver(server)) {
        return 0;
    }
    next_us = node_turn(server->node);
    connection_loop_end(&server->loop);
    native_front_end(server->native_front);
    zookeeper_front_end(server->zookeeper_front);
    return next_us;
}

static bool must_end(struct server *server)
{
    if (server->failed || server->stop_signals > 1) {
        return true;
    }
    if (server->stop_signals == 1 && server->stop_deadline_us == 0) {
        server->stop_deadline_us = clock_monotonic_us() + STOP_MS * 1000;
        node_drain(server->node);
    }
    return server->stop_deadline_us != 0 &&
           (node_is_drained(server->node) || clock_monotonic_us() >= server->stop_deadline_us);
}

static void serve(struct server *server)
{
    uint64_t next_us = 0;

    memory_serve();
    while (!must_end(server)) {
        wait_for_events(server, next_us);
        next_us = turn(server);
        memory_turn(clock_monotonic_us());
        if (server->stop_deadline_us != 0 && server->stop_deadline_us < next_us) {
            next_us = server->stop_deadline_us;
        }
    }
}

/* --- The end --- */

/* Send the last answers, wait shortly for the other sides to close, then let go of everything. */
static void close_network(struct server *server)
{
    uint64_t deadline_us = clock_monotonic_us() + 500 * 1000;

    for (size_t i = 0; i < CONFIG_LISTENERS_MAX; i++) {
        listener_close(server->listeners[i]);
    }
    native_front_finish(server->native_front, "the server stops");
    zookeeper_front_finish(server->zookeeper_front, "the server stops");
    entrance_close_strangers(server->entrance, "the server stops");
    peers_close(server->peers, "the server stops");
    while (server->loop.count > 0 && clock_monotonic_us() < deadline_us) {
        connection_loop_end(&server->loop);
        wait_for_events(server, clock_monotonic_us() + 10 * 1000);
        connection_loop_begin(&server->loop);
    }
}

/* What was handed to the disks is finished and given back, so that the last writes are durable.
 * False: they may not be, which takes nothing from anybody who was answered. */
static bool settle_disks(struct server *server)
{
    uint64_t deadline_us = clock_monotonic_us() + STOP_MS * 1000;

    while (deliver(server) && node_jobs(server->node) > 0) {
        if (server->stop_signals > 1 || clock_monotonic_us() >= deadline_us) {
            log_event(LOG_LEVEL_WARN, "stopped_before_its_disk", "jobs=%zu",
                      node_jobs(server->node));
            return false;
        }
        wait_for_events(server, clock_monotonic_us() + 10 * 1000);
    }
    return !server->failed;
}

static void stop(struct server *server)
{
    close_network(server);
    /* Its threads are waited for only when the disk lets them end. */
    if (settle_disks(server)) {
        disks_stop(server->disks);
        disks_close(server->disks);
        log_event(LOG_LEVEL_INFO, "stopped", "zxid=%" PRIu64, node_applied(server->node));
    }
}

enum status server_run(const struct config *config, struct error *error)
{
    /* A process has one, and ends with it: what a failed start has taken is not taken apart. */
    static struct server the_server;
    struct server *server = &the_server;
    enum status status;

    server->config = config;
    server->disk_wake = -1;
    server->timer_us = UINT64_MAX;
    (void)signal(SIGPIPE, SIG_IGN);
    status = start(server, error);
    if (status != STATUS_OK) {
        return status;
    }
    log_event(LOG_LEVEL_INFO, "ready", "version=%s address=%s data=%s start=%" PRIu64,
              CONFER_VERSION, config->server, log_quote(config->data),
              log_store_identity(disks_log(server->disks))->start_count);
    serve(server);
    if (!server->failed) {
        stop(server);
    }
    if (server->failed) {
        *error = server->failure;
        return server->failure.status;
    }
    return STATUS_OK;
}

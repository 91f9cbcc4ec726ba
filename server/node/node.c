#include "server/node/node.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mark.h"
#include "server/node/config_codec.h"
#include "server/node/history.h"
#include "server/node/node_agreement.h"
#include "server/node/node_apply.h"
#include "server/node/node_checkpoint.h"
#include "server/node/node_clients.h"
#include "server/node/node_cluster.h"
#include "server/node/node_internal.h"
#include "server/node/node_log.h"
#include "server/node/node_outgrowth.h"
#include "server/node/node_proposals.h"
#include "server/node/node_repair.h"
#include "server/node/node_rounds.h"
#include "server/node/node_scrub.h"
#include "server/node/node_sessions.h"
#include "server/node/node_sweep.h"
#include "server/node/node_walks.h"
#include "server/node/node_watches.h"
#include "server/node/peer_codec.h"
#include "server/node/read_barrier.h"
#include "server/node/succession.h"

#include <stdlib.h>
#include <string.h>

enum {
    DRAIN_US = 3 * 1000 * 1000, /* a graceful stop waits no longer than this */
    SPACE_INTERVAL_US = 1000 * 1000,
    SPACE_INTERVAL_BYTES = 1024 * 1024
};

struct node_options node_options_default(raft_id id)
{
    return (struct node_options){.id = id,
                                 .version = CONFER_VERSION,
                                 .raft = raft_options_default(id),
                                 .cache_bytes_max = UINT64_C(64) << 20,
                                 .checkpoint_records_max = 8192,
                                 .checkpoint_bytes_max = UINT64_C(16) << 20,
                                 .checkpoint_interval_us = 10 * 1000 * 1000,
                                 .log_tail_bytes_max = UINT64_C(64) << 20,
                                 .log_tail_entries_max = 1 << 17,
                                 .entry_cache_bytes_max = UINT64_C(8) << 20,
                                 .history_bytes_max = UINT64_C(16) << 20,
                                 .history_changes_max = 1 << 18,
                                 .dump_bytes_max = UINT64_C(64) << 30,
                                 .dump_chunk_bytes = DUMP_CHUNK_BYTES,
                                 .sweep_interval_us = 60 * 1000 * 1000,
                                 .sweep_count_max = STATE_SWEEP_COUNT_MAX,
                                 .end_count_max = STATE_END_COUNT_MAX,
                                 .sessions_max = 1000 * 1000,
                                 .request_timeout_us = 10 * 1000 * 1000};
}

/* --- What the units use --- */

uint64_t node_now(struct node *node)
{
    if (!node->time_is_fresh) {
        node->now_us = node->port.now_us(node->port.context);
        node->time_is_fresh = true;
    }
    return node->now_us;
}

void node_fail(struct node *node, const struct error *error)
{
    if (!node->failed) {
        node->failed = true;
        node->port.fail(node->port.context, error);
    }
}

void node_damaged(struct node *node, const struct error *error)
{
    node_repair_on_damage(node, error);
}

void node_damage_found(struct node *node, const struct error *error)
{
    node_repair_on_discovery(node, error);
}

void node_differs(struct node *node, const struct error *error)
{
    node_repair_on_difference(node, error);
}

const struct member_report *node_linked_report(const struct node *node, raft_id id)
{
    for (size_t i = 0; i < RAFT_MEMBERS_MAX && node->reports[i].id != 0; i++) {
        if (node->reports[i].id == id && node->reports[i].is_linked) {
            return &node->reports[i];
        }
    }
    return NULL;
}

bool node_send(struct node *node, raft_id peer, const Peer__PeerMessage *message)
{
    struct buffer packed = BUFFER_INIT;
    bool sent;

    peer_codec_pack(message, &packed);
    sent = node->port.send(node->port.context, peer, buffer_lend(&packed), false);
    buffer_release(&packed);
    return sent;
}

/* --- Life --- */

static bool may_replace(const void *context, raft_id sender)
{
    return node_agreement_gives_way(context, sender);
}

static void make_dumps(struct node *node)
{
    struct dump_sender_options sender = {.self = node->options.id,
                                         .weigh = node_scrub_weigh,
                                         .dispute = &node->dispute,
                                         .chunk_bytes = node->options.dump_chunk_bytes};
    struct dump_receiver_options receiver = {
        .dump_bytes_max = node->options.dump_bytes_max,
        .tree_generation = node->tree_generation,
        .tree_options = {.map_bytes = node->options.dump_bytes_max},
        .may_replace = may_replace,
        .context = node};

    if (node->options.has_cluster) {
        memcpy(sender.cluster_id, node->options.cluster_id, sizeof sender.cluster_id);
        memcpy(receiver.cluster_id, node->options.cluster_id, sizeof receiver.cluster_id);
    }
    node->dumps = dump_transfer_new(&node->port, node->raft, &sender, &receiver);
}

static enum status boot_raft(struct node *node, const struct log_state *log, struct error *error)
{
    struct raft_boot boot;
    enum status status;

    memset(&boot, 0, sizeof boot);
    boot.term = log->term;
    boot.vote = log->vote;
    boot.log_base = log->base;
    boot.log_base_term = log->base_term;
    boot.applied_index = state_applied(node->state);
    boot.config_index = node->applied_config_index;
    if (node->applied_config.size > 0 &&
        config_codec_unpack(buffer_lend(&node->applied_config), &boot.config) != STATUS_OK) {
        return error_set(error, STATUS_CORRUPT,
                         "the configuration in the checkpoint is unreadable; remove this member, "
                         "wipe its data folder and add it again");
    }
    status = raft_boot(node->raft, &boot);
    if (status != STATUS_OK) {
        return error_set(error, status,
                         "log and checkpoint do not fit together: the log starts after entry "
                         "%" PRIu64 ", the checkpoint ends at %" PRIu64
                         "; remove this member, wipe its data folder and add it again",
                         log->base, boot.applied_index);
    }
    return STATUS_OK;
}

static struct node *allocate(const struct node_options *options, const struct node_port *port)
{
    struct node *node = xcalloc(1, sizeof *node);

    node->options = *options;
    node->port = *port;
    node->tree_generation = options->tree_generation;
    node->space.is_enough = true;
    node->options.raft.id = options->id;
    node->options.raft.seed = options->seed;
    memcpy(node->options.raft.incarnation, options->incarnation, RAFT_INCARNATION_BYTES);
    node->raft = raft_init(xcalloc(1, raft_size(&node->options.raft)), &node->options.raft);
    node->output = xmalloc(sizeof *node->output); /* is filled by each flush */
    node_proposals_init(node);
    node_clients_init(node);
    return node;
}

enum status node_new(const struct node_options *options,
                     const struct node_port *port,
                     const struct log_state *log,
                     struct node **ret_node,
                     struct error *error)
{
    struct node *node = allocate(options, port);
    enum status status = node_apply_open(node, error);

    if (status == STATUS_OK) {
        status = boot_raft(node, log, error);
    }
    if (status != STATUS_OK) {
        node_apply_close(node);
        free(node->raft);
        free(node->output);
        free(node);
        return status;
    }
    node->log_trim = log->base;
    node->durable_term = log->term;
    entry_cache_init(&node->cache, state_applied(node->state) + 1);
    node_watches_init(node);
    node_sessions_init(node);
    node_sessions_reload(node);
    node_cluster_init(node);
    make_dumps(node);
    node_agreement_init(node);
    if (state_applied(node->state) > 0) {
        node_agreement_note(node);
    }
    *ret_node = node;
    return STATUS_OK;
}

enum status node_boot_entry(struct node *node, const struct log_entry *entry, struct error *error)
{
    const struct raft_entry meta = {
        .term = entry->term, .bytes = (uint32_t)entry->payload.size, .type = entry->type};
    struct raft_config config;
    enum status status = STATUS_OK;

    if (entry->type == RAFT_ENTRY_CONFIG) {
        status =
            config_codec_unpack(entry->payload, &config) == STATUS_OK ? STATUS_OK : STATUS_CORRUPT;
    }
    if (status == STATUS_OK) {
        status =
            raft_boot_entry(node->raft, &meta, entry->type == RAFT_ENTRY_CONFIG ? &config : NULL);
    }
    if (status != STATUS_OK) {
        return error_set(error, status,
                         "log entry %" PRIu64 " does not fit: %s; remove this member, wipe its "
                         "data folder and add it again",
                         entry->index, status_text(status));
    }
    if (entry->index > state_applied(node->state)) {
        entry_cache_put(&node->cache, entry->index, payload_copy(entry->payload));
    }
    return STATUS_OK;
}

enum status node_start(struct node *node, struct error *error)
{
    enum status status = raft_start(node->raft, node_now(node));

    if (status != STATUS_OK) {
        return error_set(error, status,
                         "the log ends before the checkpoint, at entry %" PRIu64 " of %" PRIu64
                         "; remove this member, wipe its data folder and add it again",
                         raft_status(node->raft).last_index, state_applied(node->state));
    }
    node->status = raft_status(node->raft);
    node->commit_index = state_applied(node->state);
    node->leader_changed_us = node_now(node);
    node_repair_start(node);
    return node->failed ? STATUS_IO : STATUS_OK;
}

void node_free(struct node *node)
{
    node->failed = true;
    node_proposals_release(node);
    node_clients_release(node);
    node_cluster_release(node);
    dump_transfer_free(node->dumps);
    node_watches_release(node);
    node_sessions_release(node);
    node_checkpoint_release(node);
    node_agreement_release(node);
    if (node->installing) {
        node->port.tree_close(node->port.context, node->installed.tree, false);
    }
    node_apply_close(node);
    entry_cache_release(&node->cache);
    buffer_release(&node->turn_buffer);
    arena_release(&node->turn_arena);
    arena_release(&node->input_arena);
    free(node->raft);
    free(node->output);
    free(node);
}

/* --- The turn --- */

static void on_leadership(struct node *node, const struct raft_status *before)
{
    const struct raft_status *now = &node->status;

    if (now->role == RAFT_LEADER && node->led_term != now->term) {
        node->led_term = now->term;
        node->led_from = now->last_index;
        log_event(LOG_LEVEL_INFO, "leading", "term=%" PRIu64, now->term);
    } else if (now->role != RAFT_LEADER && node->led_term != 0) {
        log_event(LOG_LEVEL_INFO, "not_leading", "term=%" PRIu64, now->term);
        node->led_term = 0;
    }
    if (before->leader == now->leader && before->role == now->role) {
        return;
    }
    if (before->leader != now->leader) {
        node->leader_changed_us = node_now(node);
        log_event(LOG_LEVEL_INFO, "leader_changed", "leader=%" PRIu64 " term=%" PRIu64, now->leader,
                  now->term);
        node_proposals_leader_lost(node, before->leader);
        node_clients_on_leader(node, now->leader != 0);
    }
    node_sessions_on_leader_change(node);
    node->introduced_us = 0; /* the others hear of it at once */
}

static void on_read_index(struct node *node, const struct raft_finished_read *read)
{
    if (node_sessions_is_token(read->token)) {
        node_sessions_on_read_index(node, read->token, read->ok);
    } else {
        read_barriers_on_index(node, read->token, read->ok, read->index);
    }
}

/* Everything the core has to say: messages leave before the disk is asked, so that peers and the
 * own disk work at the same time. */
static uint64_t flush(struct node *node)
{
    const struct raft_status before = node->status;
    struct raft_output *output = node->output;

    do {
        raft_flush(node->raft, node_now(node), output);
        for (size_t i = 0; i < output->message_count; i++) {
            node_log_send(node, &output->messages[i]);
        }
        if (output->write.seq != 0) {
            node_log_write(node, &output->write);
        }
        for (size_t i = 0; i < output->read_count; i++) {
            on_read_index(node, &output->reads[i]);
        }
        node->commit_index = output->commit_index;
    } while (output->more);
    node->status = raft_status(node->raft);
    on_leadership(node, &before);
    return output->next_deadline;
}

static void check_space(struct node *node)
{
    uint64_t now_us = node_now(node);
    struct state_dirty dirty;
    struct node_space space;

    if (node->space_checked_us != 0 && now_us - node->space_checked_us < SPACE_INTERVAL_US &&
        node->bytes_since_space_check < SPACE_INTERVAL_BYTES) {
        return;
    }
    node->space_checked_us = now_us;
    node->bytes_since_space_check = 0;
    dirty = state_dirty(node->state);
    space = node->port.space(node->port.context, dirty.record_count + dirty.sealed_record_count,
                             dirty.bytes + dirty.sealed_bytes);
    if (space.is_enough != node->space.is_enough) {
        log_event(space.is_enough ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "space", "enough=%s",
                  space.is_enough ? "yes" : "no");
    }
    node->space = space;
    if (!space.is_enough) {
        node_log_tell_trim(node);
    }
}

static uint64_t earlier(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

/* Drop payloads that are durable and applied, beyond what the cache may hold for lagging members.
 */
static void evict(struct node *node)
{
    raft_index applied = state_applied(node->state);
    raft_index durable = node->status.durable_index;

    entry_cache_evict(&node->cache, (applied < durable ? applied : durable) + 1,
                      node->options.entry_cache_bytes_max);
}

/* Nodes may take what history and entries leave, but no less than a half: options may have given
 * the others more than there is. */
static void share_cache(struct node *node)
{
    uint64_t all = node->options.cache_bytes_max;
    uint64_t others = history_bytes(node->history) + node->cache.bytes;

    state_set_cache_max(node->state, others < all / 2 ? all - others : all / 2);
}

/* A server that is no member any more sends its clients to others at once. */
static uint64_t tick_cluster(struct node *node)
{
    bool was_outside = node->is_outside;
    uint64_t next_us = node_cluster_tick(node);

    if (node->is_outside && !was_outside) {
        MARK(server_finds_itself_outside);
        node_proposals_refuse_queued(node, CLIENT__CODE__NOT_MEMBER);
        node_clients_notify(node, CLIENT__NOTICE_KIND__GOING_AWAY, CLIENT__CODE__NOT_MEMBER);
    }
    return next_us;
}

uint64_t node_turn(struct node *node)
{
    uint64_t next_us;

    node->time_is_fresh = false;
    if (node->failed) {
        return UINT64_MAX;
    }
    check_space(node);
    node_walks_begin(node);
    raft_tick(node->raft, node_now(node));
    node_rounds_begin(node);
    (void)node_clients_run(node);
    node_proposals_flush(node);
    read_barriers_ask(node);
    next_us = tick_cluster(node);
    next_us = earlier(next_us, node_sessions_tick(node));
    node_agreement_tick(node);
    node_outgrowth_observe(node);
    next_us = earlier(next_us, node_repair_tick(node));
    next_us = earlier(next_us,
                      dump_transfer_tick(node->dumps, node_now(node), node_repair_unvouched(node)));
    next_us = earlier(next_us, succession_tick(node));
    next_us = earlier(next_us, flush(node));
    node_apply_install(node);
    if (!node->failed && node_apply_run(node)) {
        next_us = node_now(node);
    }
    if (node->failed) {
        return UINT64_MAX;
    }
    apply_lag_observe(&node->apply_lag, node_now(node), node->commit_index,
                      state_applied(node->state), node->options.request_timeout_us);
    if (node_clients_run(node)) {
        next_us = node_now(node);
    }
    next_us = earlier(next_us, node_watches_tick(node));
    next_us = earlier(next_us, node_checkpoint_tick(node));
    next_us = earlier(next_us, node_scrub_tick(node));
    next_us = earlier(next_us, node_sweep_tick(node));
    next_us = earlier(next_us, node_proposals_expire(node));
    next_us = earlier(next_us, node_clients_expire(node));
    node_log_make_room(node);
    evict(node);
    share_cache(node);
    if (node_walks_wait(node)) {
        next_us = node_now(node);
    }
    /* What apply and the answers made possible is proposed in a turn that follows at once. */
    if (!list_is_empty(&node->queued) && node->retry_us <= node_now(node) &&
        (node_may_place(node) ||
         (node->status.leader != 0 && node->status.leader != node->options.id &&
          list_is_empty(&node->forwarded)))) {
        next_us = node_now(node);
    }
    node->time_is_fresh = false;
    return next_us;
}

void node_drain(struct node *node)
{
    if (!node->draining) {
        node->draining = true;
        node->drain_deadline_us = node_now(node) + DRAIN_US;
        node_clients_notify(node, CLIENT__NOTICE_KIND__GOING_AWAY, CLIENT__CODE__STOPPING);
    }
}

bool node_is_drained(const struct node *node)
{
    bool alone = raft_config_effective(node->raft)->member_count <= 1;

    return node->draining &&
           (node->failed || node->port.now_us(node->port.context) >= node->drain_deadline_us ||
            ((alone || node->status.role != RAFT_LEADER) && node_proposals_are_idle(node)));
}

size_t node_jobs(const struct node *node)
{
    return (size_t)node->log_jobs + node_checkpoint_is_under_way(node) + (node->scrub_job != NULL) +
           (node->log_scrub_job != NULL) + dump_transfer_jobs(node->dumps);
}

/* --- Inputs --- */

void node_on_log_done(struct node *node, struct log_job *job)
{
    if (job == node->log_scrub_job) {
        node_scrub_on_log_done(node, job);
    } else {
        node_log_on_done(node, job);
    }
}

void node_on_checkpoint_done(struct node *node, struct checkpoint_job *job)
{
    if (!node->failed && job->kind == CHECKPOINT_JOB_DUMP && job->error.status == STATUS_CORRUPT) {
        /* A leader that went on would never help a member that needs a dump. */
        const struct error error = job->error;

        dump_transfer_on_job(node->dumps, node_now(node), job);
        node_damaged(node, &error);
    } else if (job->kind == CHECKPOINT_JOB_SCRUB) {
        node_scrub_on_checkpoint_done(node, job);
    } else if (job == node->commit_job) {
        node_checkpoint_on_done(node, job);
    } else {
        dump_transfer_on_job(node->dumps, node_now(node), job);
    }
}

void node_on_peer_unreachable(struct node *node, raft_id peer, const char *reason)
{
    if (!node->failed) {
        node_cluster_on_peer_unreachable(node, peer, reason);
    }
}

void node_on_peer_up(struct node *node, raft_id peer)
{
    if (!node->failed) {
        node_cluster_on_peer_up(node, peer);
        session_contact_report_all(node->contact);
    }
}

void node_on_peer_down(struct node *node, raft_id peer)
{
    if (!node->failed) {
        raft_peer_down(node->raft, node_now(node), peer);
        node_cluster_on_peer_down(node, peer);
        node_proposals_leader_lost(node, peer);
    }
}

static enum status on_raft_message(struct node *node, raft_id peer, const Peer__RaftMessage *wire)
{
    struct raft_message message;
    const struct bytes *payloads;
    struct raft_range stored = {.first = 1, .last = 0};
    enum status status;

    status = peer_codec_read_raft(wire, peer, node->options.id, node->options.raft.entry_bytes_max,
                                  &node->input_arena, &message, &payloads);
    if (status == STATUS_OK && !raft_term_is_credible(node->raft, message.term)) {
        log_event(LOG_LEVEL_ERROR, "term_beyond_belief", "peer=%" PRIu64 " term=%" PRIu64, peer,
                  message.term);
        status = STATUS_INVALID;
    }
    if (status == STATUS_OK && raft_contradicts(node->raft, &message)) {
        log_event(LOG_LEVEL_ERROR, "contradiction", "peer=%" PRIu64 " term=%" PRIu64 " reason=%s",
                  peer, message.term,
                  log_quote("it says that this term has two leaders, or that what it sent or "
                            "what is committed here is something else: if it is a member, stop it "
                            "and look at its disk"));
        status = STATUS_INVALID;
    }
    if (status == STATUS_OK) {
        raft_receive(node->raft, node_now(node), &message, &stored);
        if (stored.first <= stored.last) {
            node_log_cache_own(node, stored.first);
        }
        for (raft_index index = stored.first; index <= stored.last; index++) {
            struct bytes payload = payloads[index - message.append.previous_index - 1];

            entry_cache_put(&node->cache, index, payload_copy(payload));
        }
    }
    return status;
}

static enum status take_peer_message(struct node *node, raft_id peer, const Peer__PeerMessage *wire)
{
    switch ((int)wire->body_case) {
    case PEER__PEER_MESSAGE__BODY_RAFT:
        return on_raft_message(node, peer, wire->raft);
    case PEER__PEER_MESSAGE__BODY_FORWARD:
        node_proposals_on_forward(node, peer, wire->forward);
        return STATUS_OK;
    case PEER__PEER_MESSAGE__BODY_FORWARDED:
        node_proposals_on_forwarded(node, peer, wire->forwarded);
        return STATUS_OK;
    case PEER__PEER_MESSAGE__BODY_SESSION_REPORT:
        return node_sessions_on_report(node, peer, wire->session_report);
    case PEER__PEER_MESSAGE__BODY_SESSION_QUERY:
        return node_sessions_on_query(node, peer, wire->session_query);
    case PEER__PEER_MESSAGE__BODY_RELAY:
        node_cluster_on_relay(node, peer, wire->relay);
        return STATUS_OK;
    case PEER__PEER_MESSAGE__BODY_RELAYED:
        node_cluster_on_relayed(node, peer, wire->relayed);
        return STATUS_OK;
    case PEER__PEER_MESSAGE__BODY_NODE_REPORT:
        node_cluster_on_report(node, peer, wire->node_report);
        return STATUS_OK;
    case PEER__PEER_MESSAGE__BODY_NOT_MEMBER:
        node_cluster_on_not_member(node, peer, wire->not_member);
        return STATUS_OK;
    default:
        return STATUS_INVALID;
    }
}

enum status node_on_peer_message(struct node *node, raft_id peer, struct bytes message)
{
    Peer__PeerMessage *wire;
    enum status status;

    if (node->failed) {
        return STATUS_OK;
    }
    wire = peer_codec_read(message, &node->input_arena);
    status = wire == NULL ? STATUS_INVALID : take_peer_message(node, peer, wire);
    arena_reset(&node->input_arena);
    return status;
}

void node_on_bulk_up(struct node *node, raft_id peer)
{
    if (!node->failed) {
        dump_transfer_on_bulk_up(node->dumps, node_now(node), peer);
    }
}

void node_on_bulk_down(struct node *node, raft_id peer)
{
    if (!node->failed) {
        dump_transfer_on_bulk_down(node->dumps, node_now(node), peer);
    }
}

enum status node_on_bulk_message(struct node *node, raft_id peer, struct bytes message)
{
    Peer__PeerMessage *wire;
    enum status status;

    if (node->failed) {
        return STATUS_OK;
    }
    wire = peer__peer_message__unpack(NULL, message.size, message.data);
    if (wire == NULL) {
        return STATUS_INVALID;
    }
    status = dump_transfer_on_message(node->dumps, node_now(node), peer, wire);
    peer__peer_message__free_unpacked(wire, NULL);
    return status;
}

void node_observe(struct node *node, const struct node_observer *observer)
{
    node->observer = *observer;
}

/* --- For status, logs and tests --- */

struct node_identity node_identity(const struct node *node)
{
    struct node_identity identity = {.id = node->options.id,
                                     .has_cluster = node->options.has_cluster};
    raft_index index;

    if (node_cluster_names_self(node, raft_config_committed(node->raft, &index))) {
        identity.named_at = index;
    }
    memcpy(identity.incarnation, node->options.incarnation, sizeof identity.incarnation);
    memcpy(identity.cluster_id, node->options.cluster_id, sizeof identity.cluster_id);
    return identity;
}

const struct raft *node_raft(const struct node *node)
{
    return node->raft;
}

struct state *node_state(struct node *node)
{
    return node->state;
}

zxid node_applied(const struct node *node)
{
    return state_applied(node->state);
}

struct node_proposal_sizes node_proposal_sizes(const struct node *node)
{
    return node->proposal_sizes;
}

void node_each_expiry(const struct node *node,
                      void (*visit)(void *visitor, session_id session, uint64_t in_ms),
                      void *visitor)
{
    session_expiry_each(node->expiry, node->port.now_us(node->port.context), visit, visitor);
}

uint64_t node_leaderless_us(const struct node *node)
{
    bool is_member = raft_config_effective(node->raft)->member_count > 0 && !node->is_outside;

    return node->status.leader != 0 || !is_member
               ? 0
               : node->port.now_us(node->port.context) - node->leader_changed_us + 1;
}

uint64_t node_leading_us(const struct node *node)
{
    return node->status.leader != node->options.id || node->status.role != RAFT_LEADER
               ? 0
               : node->port.now_us(node->port.context) - node->leader_changed_us + 1;
}

size_t node_pending_read_indexes(const struct node *node)
{
    const struct list *head = &node->barriers;
    size_t count = 0;

    for (const struct list *link = head->next; link != head; link = link->next) {
        count++;
    }
    return count;
}

bool node_is_condemned(const struct node *node)
{
    return node->is_condemned;
}

bool node_is_disputed(const struct node *node)
{
    return node->dispute.count > 0;
}

bool node_holds_back(const struct node *node, raft_id id)
{
    return node_repair_holds_back(node, id);
}

bool node_disputes_with(const struct node *node, raft_id id)
{
    return dispute_is_with(&node->dispute, id);
}

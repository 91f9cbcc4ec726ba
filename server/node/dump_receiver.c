#include "server/node/dump_receiver.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mark.h"
#include "server/node/config_codec.h"
#include "server/node/dump_sender.h"
#include "server/node/peer_codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ALIVE_INTERVAL_US = 2 * 1000 * 1000,  /* the sender hears of us while we build */
    PART_IDLE_US = 10 * 60 * 1000 * 1000, /* a part that nobody goes on with is removed */
    TOO_LARGE_US = 60 * 1000 * 1000,      /* then there may be room for it */
    CHECK_INTERVAL_US = 100 * 1000
};

_Static_assert(2 * ALIVE_INTERVAL_US < DUMP_PROGRESS_TIMEOUT_US, "one sign of life may be late");

enum receiver_state {
    RECEIVER_IDLE,
    RECEIVER_RECEIVING,
    RECEIVER_BUILDING, /* the INSTALL job is under way */
    RECEIVER_BUILT,
    RECEIVER_TAKEN /* by the node, until dump_receiver_finish */
};

/* What has arrived of a dump; outlives the link. */
struct part {
    bool exists;
    raft_index index;
    raft_term term;
    uint64_t bytes;
    uint64_t offset; /* so much of it is in the file */
    char path[DATA_FOLDER_PATH_BYTES_MAX];
};

struct dump_receiver {
    const struct node_port *port;
    struct raft *raft;
    struct dump_receiver_options options;
    void *job_context;
    enum receiver_state state;
    raft_id peer;    /* the sender, when not IDLE */
    bool is_linked;  /* the link it sends on is up */
    raft_id ignored; /* we ended its transfer; what it sent before it knew is passed over */
    raft_term sender_term;
    bool is_vouched;
    struct dispute dispute; /* of the sender */
    raft_index repair_from; /* 0 = the state here is sound */
    raft_index too_large;   /* the last dump that there was no room for, */
    uint64_t too_large_us;  /* then */
    struct part part;
    uint64_t part_number;
    uint64_t generation; /* the last one used */
    uint64_t progress_us;
    uint64_t alive_us;
    struct dump_installed built; /* BUILT */
    raft_id logged_peer;         /* whose dump was refused last, and why */
    char logged[ERROR_TEXT_BYTES_MAX];
    struct buffer message;
};

struct dump_receiver *dump_receiver_new(const struct node_port *port,
                                        struct raft *raft,
                                        const struct dump_receiver_options *options,
                                        void *job_context)
{
    struct dump_receiver *receiver = xcalloc(1, sizeof *receiver);

    receiver->port = port;
    receiver->raft = raft;
    receiver->options = *options;
    receiver->job_context = job_context;
    receiver->generation = options->tree_generation;
    return receiver;
}

static void drop_part(struct dump_receiver *receiver)
{
    if (receiver->part.exists) {
        receiver->port->dump_remove(receiver->port->context, receiver->part.path);
        receiver->part.exists = false;
    }
}

void dump_receiver_free(struct dump_receiver *receiver)
{
    if (receiver != NULL) {
        CHECK(receiver->state != RECEIVER_BUILDING);
        if (receiver->state == RECEIVER_BUILT) {
            receiver->port->tree_close(receiver->port->context, receiver->built.tree, true);
        }
        drop_part(receiver);
        buffer_release(&receiver->message);
        free(receiver);
    }
}

void dump_receiver_set_cluster(struct dump_receiver *receiver,
                               const uint8_t cluster_id[NODE_CLUSTER_ID_BYTES])
{
    memcpy(receiver->options.cluster_id, cluster_id, NODE_CLUSTER_ID_BYTES);
}

void dump_receiver_set_repair(struct dump_receiver *receiver, raft_index from)
{
    receiver->repair_from = from;
}

/* The log has what the dump would bring. */
static bool is_overtaken(const struct dump_receiver *receiver, raft_index index)
{
    return receiver->repair_from == 0 && index <= raft_status(receiver->raft).commit_index;
}

/* --- Answers --- */

static bool send(struct dump_receiver *receiver, raft_id peer, const Peer__PeerMessage *message)
{
    buffer_clear(&receiver->message);
    peer_codec_pack(message, &receiver->message);
    return receiver->port->bulk_send(receiver->port->context, peer,
                                     buffer_lend(&receiver->message));
}

/* A refusal is `passing` when it is of this moment only. */
static bool send_wanted(struct dump_receiver *receiver,
                        raft_id peer,
                        uint64_t offset,
                        const char *refusal,
                        bool passing)
{
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    Peer__DumpWanted body;
    char text[ERROR_TEXT_BYTES_MAX];

    (void)snprintf(text, sizeof text, "%s", refusal);
    peer__dump_wanted__init(&body);
    body.offset = offset;
    body.refusal = text;
    body.passing = passing;
    message.body_case = PEER__PEER_MESSAGE__BODY_DUMP_WANTED;
    message.dump_wanted = &body;
    return send(receiver, peer, &message);
}

static bool send_received(struct dump_receiver *receiver, bool installed)
{
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    Peer__DumpReceived body = PEER__DUMP_RECEIVED__INIT;

    body.offset = receiver->part.offset;
    body.installed = installed;
    message.body_case = PEER__PEER_MESSAGE__BODY_DUMP_RECEIVED;
    message.dump_received = &body;
    return send(receiver, receiver->peer, &message);
}

/* --- Ends of a transfer --- */

/* The part stays for the next time. */
static void stop(struct dump_receiver *receiver)
{
    receiver->state = RECEIVER_IDLE;
    receiver->ignored = receiver->is_linked ? receiver->peer : 0;
    receiver->is_linked = false;
    receiver->peer = 0;
    raft_set_installing(receiver->raft, false);
}

/* The same refusal of the same server's dumps is said once. */
static void log_refusal(struct dump_receiver *receiver, raft_id peer, const char *reason)
{
    if (receiver->logged_peer == peer &&
        strncmp(receiver->logged, reason, sizeof receiver->logged - 1) == 0) {
        return;
    }
    receiver->logged_peer = peer;
    (void)snprintf(receiver->logged, sizeof receiver->logged, "%s", reason);
    log_event(LOG_LEVEL_WARN, "dump_refused", "from=%" PRIu64 " reason=%s", peer,
              log_quote(reason));
}

static void give_up(struct dump_receiver *receiver, const char *reason, bool passing)
{
    log_refusal(receiver, receiver->peer, reason);
    if (receiver->is_linked) {
        (void)send_wanted(receiver, receiver->peer, 0, reason, passing);
    }
    drop_part(receiver);
    stop(receiver);
}

/* Of any other member than the leader it may be an index that is never reached. */
static void
note_too_large(struct dump_receiver *receiver, uint64_t now_us, raft_id peer, raft_index index)
{
    if (peer == raft_status(receiver->raft).leader) {
        receiver->too_large = index;
        receiver->too_large_us = now_us;
    }
}

/* --- Building the tree --- */

static void build(struct dump_receiver *receiver, uint64_t now_us)
{
    struct checkpoint_job *job = xcalloc(1, sizeof *job);

    receiver->state = RECEIVER_BUILDING;
    receiver->alive_us = now_us;
    receiver->generation++;
    list_init(&job->link);
    job->kind = CHECKPOINT_JOB_INSTALL;
    job->context = receiver->job_context;
    job->tree_options = receiver->options.tree_options;
    job->check_record = receiver->options.check_record;
    memcpy(job->dump_path, receiver->part.path, sizeof job->dump_path);
    memcpy(job->cluster_id, receiver->options.cluster_id, sizeof job->cluster_id);
    receiver->port->tree_path(receiver->port->context, receiver->generation, job->tree_path);
    receiver->port->checkpoint_submit(receiver->port->context, job);
}

/* The tree must be what was offered. */
static bool is_as_offered(const struct dump_receiver *receiver,
                          const struct tree_meta *meta,
                          struct raft_config *config)
{
    return meta->applied_index == receiver->part.index &&
           meta->applied_term == receiver->part.term && meta->config_index > 0 &&
           meta->config_index <= meta->applied_index &&
           config_codec_unpack(meta->config, config) == STATUS_OK;
}

static void open_built(struct dump_receiver *receiver)
{
    struct dump_installed *built = &receiver->built;
    struct error error;

    *built = (struct dump_installed){.generation = receiver->generation,
                                     .sender_term = receiver->sender_term,
                                     .sender = receiver->peer,
                                     .is_vouched = receiver->is_vouched,
                                     .dispute = receiver->dispute};
    if (receiver->port->tree_open(receiver->port->context, built->generation, &built->tree,
                                  &error) != STATUS_OK) {
        give_up(receiver, error.text, false);
        return;
    }
    built->meta = receiver->port->tree_meta(receiver->port->context, built->tree);
    if (!is_as_offered(receiver, &built->meta, &built->config)) {
        MARK(dump_is_not_the_one_offered);
        receiver->port->tree_close(receiver->port->context, built->tree, true);
        give_up(receiver, "the dump is not the one that was offered", false);
        return;
    }
    receiver->state = RECEIVER_BUILT;
}

void dump_receiver_on_job(struct dump_receiver *receiver,
                          uint64_t now_us,
                          struct checkpoint_job *job)
{
    CHECK(receiver->state == RECEIVER_BUILDING);
    if (job->error.status == STATUS_OK) {
        open_built(receiver);
    } else {
        MARK(dump_could_not_be_built);
        if (job->error.status == STATUS_NO_SPACE) {
            note_too_large(receiver, now_us, receiver->peer, receiver->part.index);
        }
        give_up(receiver, job->error.text, false);
    }
    buffer_release(&job->config);
    free(job);
}

bool dump_receiver_take(struct dump_receiver *receiver, struct dump_installed *ret_installed)
{
    if (receiver->state != RECEIVER_BUILT) {
        return false;
    }
    *ret_installed = receiver->built;
    receiver->state = RECEIVER_TAKEN;
    return true;
}

void dump_receiver_finish(struct dump_receiver *receiver, uint64_t now_us, bool installed)
{
    (void)now_us;
    CHECK(receiver->state == RECEIVER_TAKEN);
    if (!installed) {
        give_up(receiver, "the dump is no longer needed here", true);
        return;
    }
    receiver->logged_peer = 0;
    receiver->too_large = 0;
    if (receiver->is_linked) {
        (void)send_received(receiver, true);
    }
    drop_part(receiver);
    stop(receiver);
}

/* --- What comes in --- */

static bool is_same_dump(const struct part *part, const Peer__DumpOffer *offer)
{
    return part->exists && part->index == offer->index && part->term == offer->term &&
           part->bytes == offer->bytes;
}

/* NULL, or why the offer is of no use now, or, if not `passing`, at all. */
static const char *find_refusal(const struct dump_receiver *receiver,
                                raft_id peer,
                                const Peer__DumpOffer *offer,
                                bool *ret_passing)
{
    struct raft_status status = raft_status(receiver->raft);

    *ret_passing = true;
    if (status.role == RAFT_LEADER) {
        return "this server leads";
    }
    if (is_overtaken(receiver, offer->index)) {
        return "this server has everything up to there already";
    }
    if (receiver->repair_from != 0 && (!offer->vouched || offer->index < receiver->repair_from)) {
        MARK(dump_that_nobody_vouches_for_refused);
        return "this server waits for a dump that a majority vouches for";
    }
    if (!offer->vouched && receiver->options.may_replace != NULL &&
        !receiver->options.may_replace(receiver->options.context, peer)) {
        MARK(dump_refused_for_a_dispute);
        return "this server's state is disputed, and may be the right one";
    }
    if (offer->bytes > receiver->options.dump_bytes_max) {
        *ret_passing = false;
        return "the dump is larger than this server's map of the tree; start it with a larger one";
    }
    return NULL;
}

static enum status
refuse(struct dump_receiver *receiver, raft_id peer, const char *reason, bool passing)
{
    log_refusal(receiver, peer, reason);
    (void)send_wanted(receiver, peer, 0, reason, passing);
    return STATUS_OK;
}

/* A file for this dump: the one that was begun, or a new one. */
static enum status
prepare_part(struct dump_receiver *receiver, const Peer__DumpOffer *offer, struct error *error)
{
    struct part *part = &receiver->part;
    char name[32];
    enum status status;

    if (is_same_dump(part, offer)) {
        MARK_IF(part->offset > 0, dump_resumed_where_it_stopped);
        return STATUS_OK;
    }
    MARK_IF(part->exists, part_of_another_dump_dropped);
    drop_part(receiver);
    receiver->part_number++;
    (void)snprintf(name, sizeof name, DUMP_RECEIVER_PREFIX "%" PRIu64, receiver->part_number);
    status = receiver->port->dump_path(receiver->port->context, name, part->path, error);
    if (status != STATUS_OK) {
        return status;
    }
    part->exists = true;
    part->index = offer->index;
    part->term = offer->term;
    part->bytes = offer->bytes;
    part->offset = 0;
    return STATUS_OK;
}

static struct dispute dispute_of(const Peer__DumpOffer *offer)
{
    struct dispute dispute = {.count = 0};

    for (size_t i = 0; i < offer->n_dissent && dispute.count < RAFT_MEMBERS_MAX; i++) {
        const Peer__Dissent *from = offer->dissent[i];

        if (!dispute_is_with(&dispute, from->member)) {
            dispute.dissent[dispute.count++] = (struct dissent){
                .id = from->member, .at = from->zxid, .is_borrowed = from->borrowed};
        }
    }
    return dispute;
}

static void
begin(struct dump_receiver *receiver, uint64_t now_us, raft_id peer, const Peer__DumpOffer *offer)
{
    receiver->state = RECEIVER_RECEIVING;
    receiver->peer = peer;
    receiver->is_linked = true;
    if (receiver->ignored == peer) {
        receiver->ignored = 0;
    }
    receiver->sender_term = offer->leader_term;
    receiver->is_vouched = offer->vouched;
    receiver->dispute = dispute_of(offer);
    receiver->progress_us = now_us;
    raft_set_installing(receiver->raft, true);
    log_event(LOG_LEVEL_INFO, "dump_receive",
              "from=%" PRIu64 " zxid=%" PRIu64 " bytes=%" PRIu64 " offset=%" PRIu64, peer,
              offer->index, offer->bytes, receiver->part.offset);
    if (!send_wanted(receiver, peer, receiver->part.offset, "", false)) {
        stop(receiver);
    } else if (receiver->part.offset == receiver->part.bytes) {
        build(receiver, now_us);
    }
}

/* An offer while a dump is past receiving. A sender of the very same one may wait along. */
static enum status
join_build(struct dump_receiver *receiver, raft_id peer, const Peer__DumpOffer *offer)
{
    if (!is_same_dump(&receiver->part, offer)) {
        return refuse(receiver, peer, "this server is installing a dump", true);
    }
    MARK(dump_offered_while_it_is_built);
    receiver->peer = peer;
    receiver->is_linked = send_wanted(receiver, peer, receiver->part.offset, "", false);
    return STATUS_OK;
}

enum status dump_receiver_on_offer(struct dump_receiver *receiver,
                                   uint64_t now_us,
                                   raft_id peer,
                                   const Peer__DumpOffer *offer)
{
    const char *refusal;
    bool passing;
    struct error error;

    if (offer->index == 0 || offer->index == UINT64_MAX || offer->term == 0 ||
        offer->leader_term < offer->term || offer->bytes == 0) {
        return STATUS_INVALID;
    }
    if (receiver->state != RECEIVER_IDLE && receiver->state != RECEIVER_RECEIVING) {
        return join_build(receiver, peer, offer);
    }
    if (receiver->state == RECEIVER_RECEIVING && receiver->peer != peer &&
        receiver->sender_term >= offer->leader_term) {
        MARK(dump_of_a_second_sender_refused);
        return refuse(receiver, peer, "a dump from another server is coming in", true);
    }
    refusal = find_refusal(receiver, peer, offer, &passing);
    if (refusal != NULL) {
        if (!passing) {
            note_too_large(receiver, now_us, peer, offer->index);
        }
        return refuse(receiver, peer, refusal, passing);
    }
    if (receiver->state == RECEIVER_RECEIVING && receiver->peer != peer) {
        MARK(dump_taken_over_by_a_newer_leader);
        (void)send_wanted(receiver, receiver->peer, 0, "a newer leader sends a dump", true);
        stop(receiver);
    }
    if (prepare_part(receiver, offer, &error) != STATUS_OK) {
        receiver->is_linked = false;
        stop(receiver);
        return refuse(receiver, peer, error.text, false);
    }
    begin(receiver, now_us, peer, offer);
    return STATUS_OK;
}

enum status dump_receiver_on_chunk(struct dump_receiver *receiver,
                                   uint64_t now_us,
                                   raft_id peer,
                                   const Peer__DumpChunk *chunk)
{
    struct part *part = &receiver->part;
    struct error error;

    if (peer == receiver->ignored) {
        MARK(chunk_of_an_ended_transfer_ignored);
        return STATUS_OK;
    }
    if (receiver->state != RECEIVER_RECEIVING || peer != receiver->peer) {
        return STATUS_INVALID;
    }
    if (chunk->offset != part->offset || chunk->data.len == 0 ||
        chunk->data.len > DUMP_CHUNK_BYTES_MAX || chunk->data.len > part->bytes - part->offset) {
        receiver->is_linked = false; /* the caller closes it */
        stop(receiver);
        return STATUS_INVALID;
    }
    if (receiver->port->dump_write(receiver->port->context, part->path, part->offset,
                                   bytes_of(chunk->data.data, chunk->data.len),
                                   &error) != STATUS_OK) {
        give_up(receiver, error.text, false);
        return STATUS_OK;
    }
    part->offset += chunk->data.len;
    receiver->progress_us = now_us;
    (void)send_received(receiver, false);
    if (part->offset == part->bytes) {
        build(receiver, now_us);
    }
    return STATUS_OK;
}

void dump_receiver_on_bulk_down(struct dump_receiver *receiver, uint64_t now_us, raft_id peer)
{
    if (receiver->ignored == peer) {
        receiver->ignored = 0;
    }
    if (receiver->peer != peer || receiver->state == RECEIVER_IDLE) {
        return;
    }
    receiver->is_linked = false;
    if (receiver->state == RECEIVER_RECEIVING) {
        receiver->progress_us = now_us;
        MARK_IF(receiver->part.offset > 0, dump_link_lost_with_a_part_kept);
        stop(receiver);
    }
}

/* --- The turn --- */

static void check_receiving(struct dump_receiver *receiver, uint64_t now_us)
{
    struct raft_status status = raft_status(receiver->raft);

    if (status.role == RAFT_LEADER || is_overtaken(receiver, receiver->part.index)) {
        MARK(dump_overtaken_by_entries);
        give_up(receiver, "the dump is no longer needed here", true);
    } else if (now_us - receiver->progress_us >= DUMP_PROGRESS_TIMEOUT_US) {
        raft_id peer = receiver->peer;

        log_event(LOG_LEVEL_WARN, "dump_stalled", "from=%" PRIu64 " offset=%" PRIu64, peer,
                  receiver->part.offset);
        receiver->progress_us = now_us;
        receiver->is_linked = false;
        stop(receiver);
        receiver->port->bulk_close(receiver->port->context, peer);
    }
}

static void check_part(struct dump_receiver *receiver, uint64_t now_us)
{
    if (receiver->part.exists && (is_overtaken(receiver, receiver->part.index) ||
                                  now_us - receiver->progress_us >= PART_IDLE_US)) {
        drop_part(receiver);
    }
}

uint64_t dump_receiver_tick(struct dump_receiver *receiver, uint64_t now_us)
{
    if (now_us - receiver->too_large_us >= TOO_LARGE_US) {
        receiver->too_large = 0;
    }
    if (receiver->state == RECEIVER_RECEIVING) {
        check_receiving(receiver, now_us);
    }
    if (receiver->state == RECEIVER_IDLE) {
        check_part(receiver, now_us);
        return receiver->part.exists ? now_us + ALIVE_INTERVAL_US : UINT64_MAX;
    }
    if (receiver->state != RECEIVER_RECEIVING && receiver->is_linked &&
        now_us - receiver->alive_us >= ALIVE_INTERVAL_US) {
        receiver->alive_us = now_us;
        (void)send_received(receiver, false);
    }
    return now_us + CHECK_INTERVAL_US;
}

/* --- For others to look at --- */

raft_index dump_receiver_too_large(const struct dump_receiver *receiver)
{
    return receiver->too_large;
}

size_t dump_receiver_jobs(const struct dump_receiver *receiver)
{
    return receiver->state == RECEIVER_BUILDING;
}

bool dump_receiver_progress(const struct dump_receiver *receiver,
                            uint64_t *ret_received,
                            uint64_t *ret_total)
{
    if (receiver->state == RECEIVER_IDLE) {
        return false;
    }
    *ret_received = receiver->part.offset;
    *ret_total = receiver->part.bytes;
    return true;
}

#include "server/node/dump_sender.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mark.h"
#include "server/node/peer_codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RETRY_INTERVAL_US = 100 * 1000,
    FILE_INTERVAL_US = 1000 * 1000,
    MAKE_INTERVAL_US = 5 * 1000 * 1000 /* after a file could not be made */
};

/* A dump file, of the checkpoint at (index, term) once it is made. */
struct file {
    struct list link;
    char path[DATA_FOLDER_PATH_BYTES_MAX];
    bool is_being_made;
    raft_index vouched; /* it is made for repairs, of the checkpoint at this index; 0 = not */
    raft_index index;
    raft_term term;
    uint64_t bytes;
    size_t users;
    uint64_t idle_since_us;
};

/*     WAITING --file made--> OPENING --link up--> OFFERED --wanted--> SENDING --all there-->
 * INSTALLING and from each of them to CLOSING, where the next tick closes the link. */
enum transfer_state {
    TRANSFER_NONE,
    TRANSFER_WAITING,
    TRANSFER_OPENING,
    TRANSFER_OFFERED,
    TRANSFER_SENDING,
    TRANSFER_INSTALLING,
    TRANSFER_CLOSING
};

struct transfer {
    enum transfer_state state;
    raft_id peer;
    struct file *file; /* NULL when CLOSING */
    uint64_t sent;     /* SENDING: the next byte to send */
    uint64_t acknowledged;
    uint64_t progress_us; /* the last sign of the other side */
};

/* A damaged member, and when it was last asked for. */
struct repair {
    raft_id peer; /* 0 = free */
    uint64_t asked_us;
};

/* A member that will not take dumps, and when it is asked again. */
struct refusal {
    raft_id peer; /* 0 = free */
    unsigned count;
    uint64_t not_before_us;
    char text[ERROR_TEXT_BYTES_MAX];
};

struct dump_sender {
    const struct node_port *port;
    struct raft *raft;
    struct dump_sender_options options;
    void *job_context;
    struct list files;
    uint64_t file_number;
    uint64_t make_not_before_us;
    struct transfer transfers[RAFT_MEMBERS_MAX];
    size_t transfer_count; /* of them are not NONE */
    struct refusal refusals[RAFT_MEMBERS_MAX];
    size_t refusal_count; /* of them have a peer */
    struct repair repairs[RAFT_MEMBERS_MAX];
    struct buffer message;
    uint8_t *chunk; /* made when the first is sent */
};

struct dump_sender *dump_sender_new(const struct node_port *port,
                                    struct raft *raft,
                                    const struct dump_sender_options *options,
                                    void *job_context)
{
    struct dump_sender *sender = xcalloc(1, sizeof *sender);

    sender->port = port;
    sender->raft = raft;
    sender->options = *options;
    if (sender->options.chunk_bytes == 0) {
        sender->options.chunk_bytes = DUMP_CHUNK_BYTES;
    }
    CHECK_OP(sender->options.chunk_bytes, <=, DUMP_CHUNK_BYTES_MAX);
    sender->job_context = job_context;
    list_init(&sender->files);
    return sender;
}

static struct file *file_of(struct list *link)
{
    return CONTAINER_OF(link, struct file, link);
}

static void drop_file(struct dump_sender *sender, struct file *file)
{
    CHECK(!file->is_being_made);
    sender->port->dump_remove(sender->port->context, file->path);
    list_remove(&file->link);
    free(file);
}

void dump_sender_free(struct dump_sender *sender)
{
    if (sender != NULL) {
        LIST_FOR_EACH (link, &sender->files) {
            drop_file(sender, file_of(link));
        }
        buffer_release(&sender->message);
        free(sender->chunk);
        free(sender);
    }
}

void dump_sender_set_cluster(struct dump_sender *sender,
                             const uint8_t cluster_id[NODE_CLUSTER_ID_BYTES])
{
    memcpy(sender->options.cluster_id, cluster_id, NODE_CLUSTER_ID_BYTES);
}

/* --- Transfers --- */

static struct transfer *find_transfer(struct dump_sender *sender, raft_id peer)
{
    for (size_t i = 0; i < RAFT_MEMBERS_MAX && sender->transfer_count > 0; i++) {
        struct transfer *transfer = &sender->transfers[i];

        if (transfer->state != TRANSFER_NONE && transfer->peer == peer) {
            return transfer;
        }
    }
    return NULL;
}

static bool has_link(const struct transfer *transfer)
{
    return transfer->state != TRANSFER_NONE && transfer->state != TRANSFER_WAITING;
}

static void release_file(struct transfer *transfer, uint64_t now_us)
{
    if (transfer->file != NULL) {
        transfer->file->users--;
        transfer->file->idle_since_us = now_us;
        transfer->file = NULL;
    }
}

static void forget(struct dump_sender *sender, struct transfer *transfer)
{
    transfer->state = TRANSFER_NONE;
    sender->transfer_count--;
}

/* The link is left to the next tick, since this may run inside of one of its messages. */
static void
end(struct dump_sender *sender, struct transfer *transfer, uint64_t now_us, bool link_is_gone)
{
    release_file(transfer, now_us);
    if (has_link(transfer) && !link_is_gone) {
        transfer->state = TRANSFER_CLOSING;
    } else {
        forget(sender, transfer);
    }
}

static void fail(struct dump_sender *sender,
                 struct transfer *transfer,
                 uint64_t now_us,
                 bool link_is_gone,
                 const char *reason)
{
    log_event(LOG_LEVEL_WARN, "dump_failed", "to=%" PRIu64 " sent=%" PRIu64 " reason=%s",
              transfer->peer, transfer->acknowledged, log_quote(reason));
    raft_dump_failed(sender->raft, now_us, transfer->peer);
    end(sender, transfer, now_us, link_is_gone);
}

/* --- Refusals --- */

static struct refusal *find_refusal(struct dump_sender *sender, raft_id peer)
{
    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        if (sender->refusals[i].peer == peer) {
            return &sender->refusals[i];
        }
    }
    return NULL;
}

void dump_sender_forgive(struct dump_sender *sender, raft_id peer)
{
    struct refusal *refusal = find_refusal(sender, peer);

    if (refusal != NULL) {
        *refusal = (struct refusal){.peer = 0};
        sender->refusal_count--;
    }
}

/* Said in the log when it is new. Without a place to remember it (of many removed members) it is
 * tried again soon. */
static void
refused(struct dump_sender *sender, struct transfer *transfer, uint64_t now_us, const char *reason)
{
    struct refusal *refusal = find_refusal(sender, transfer->peer);
    uint64_t pause_us = DUMP_REFUSED_US_MIN;

    refusal = refusal != NULL ? refusal : find_refusal(sender, 0);
    if (refusal == NULL) {
        fail(sender, transfer, now_us, false, reason);
        return;
    }
    if (refusal->peer == 0 || strncmp(refusal->text, reason, sizeof refusal->text - 1) != 0) {
        log_event(LOG_LEVEL_WARN, "dump_refused_there", "to=%" PRIu64 " sent=%" PRIu64 " reason=%s",
                  transfer->peer, transfer->acknowledged, log_quote(reason));
    }
    sender->refusal_count += refusal->peer == 0;
    refusal->peer = transfer->peer;
    (void)snprintf(refusal->text, sizeof refusal->text, "%s", reason);
    for (unsigned i = 0; i < refusal->count && pause_us < DUMP_REFUSED_US_MAX; i++) {
        pause_us *= 2;
    }
    refusal->count++;
    refusal->not_before_us =
        now_us + (pause_us < DUMP_REFUSED_US_MAX ? pause_us : (uint64_t)DUMP_REFUSED_US_MAX);
    raft_dump_failed(sender->raft, now_us, transfer->peer);
    end(sender, transfer, now_us, false);
}

static bool
send(struct dump_sender *sender, const struct transfer *transfer, const Peer__PeerMessage *message)
{
    buffer_clear(&sender->message);
    peer_codec_pack(message, &sender->message);
    return sender->port->bulk_send(sender->port->context, transfer->peer,
                                   buffer_lend(&sender->message));
}

static size_t lend_dissent(const struct dispute *dispute,
                           Peer__Dissent bodies[RAFT_MEMBERS_MAX],
                           Peer__Dissent *pointers[RAFT_MEMBERS_MAX])
{
    for (size_t i = 0; i < dispute->count; i++) {
        peer__dissent__init(&bodies[i]);
        bodies[i].member = dispute->dissent[i].id;
        bodies[i].zxid = dispute->dissent[i].at;
        bodies[i].borrowed = dispute->dissent[i].is_borrowed;
        pointers[i] = &bodies[i];
    }
    return dispute->count;
}

static bool offer(struct dump_sender *sender, const struct transfer *transfer)
{
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    Peer__DumpOffer body = PEER__DUMP_OFFER__INIT;
    Peer__Dissent dissent[RAFT_MEMBERS_MAX];
    Peer__Dissent *pointers[RAFT_MEMBERS_MAX];

    body.index = transfer->file->index;
    body.term = transfer->file->term;
    body.leader_term = raft_status(sender->raft).term;
    body.bytes = transfer->file->bytes;
    body.vouched = transfer->file->vouched != 0;
    if (!body.vouched && sender->options.dispute != NULL) {
        body.n_dissent = lend_dissent(sender->options.dispute, dissent, pointers);
        body.dissent = pointers;
    }
    message.body_case = PEER__PEER_MESSAGE__BODY_DUMP_OFFER;
    message.dump_offer = &body;
    return send(sender, transfer, &message);
}

/* False if the link's queue is full. */
static bool send_chunk(struct dump_sender *sender, struct transfer *transfer, size_t size)
{
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    Peer__DumpChunk body = PEER__DUMP_CHUNK__INIT;

    body.offset = transfer->sent;
    body.data.data = sender->chunk;
    body.data.len = size;
    message.body_case = PEER__PEER_MESSAGE__BODY_DUMP_CHUNK;
    message.dump_chunk = &body;
    MARK(dump_chunk_before_it_leaves);
    return send(sender, transfer, &message);
}

/* Fill the window. */
static void send_chunks(struct dump_sender *sender, struct transfer *transfer, uint64_t now_us)
{
    const struct file *file = transfer->file;
    uint64_t chunk_bytes = sender->options.chunk_bytes;
    struct error error;

    if (sender->chunk == NULL) {
        sender->chunk = xmalloc(chunk_bytes);
    }
    while (transfer->sent < file->bytes &&
           transfer->sent - transfer->acknowledged < DUMP_WINDOW_CHUNKS * chunk_bytes) {
        uint64_t rest = file->bytes - transfer->sent;
        size_t size = (size_t)(rest < chunk_bytes ? rest : chunk_bytes);

        if (sender->port->dump_read(sender->port->context, file->path, transfer->sent,
                                    sender->chunk, size, &error) != STATUS_OK) {
            fail(sender, transfer, now_us, false, error.text);
            return;
        }
        if (!send_chunk(sender, transfer, size)) {
            MARK(dump_link_takes_no_more_now);
            return;
        }
        transfer->sent += size;
    }
}

static void open_link(struct dump_sender *sender, struct transfer *transfer, uint64_t now_us)
{
    transfer->state = TRANSFER_OPENING;
    transfer->progress_us = now_us;
    log_event(LOG_LEVEL_INFO, "dump_send", "to=%" PRIu64 " zxid=%" PRIu64 " bytes=%" PRIu64,
              transfer->peer, transfer->file->index, transfer->file->bytes);
    sender->port->bulk_open(sender->port->context, transfer->peer);
}

/* --- Files --- */

static struct file *make_file(struct dump_sender *sender, struct tree_store *tree, uint64_t now_us)
{
    struct file *file = xcalloc(1, sizeof *file);
    struct checkpoint_job *job;
    char name[32];
    struct error error;

    sender->file_number++;
    (void)snprintf(name, sizeof name, "send-%" PRIu64, sender->file_number);
    if (sender->port->dump_path(sender->port->context, name, file->path, &error) != STATUS_OK) {
        log_event(LOG_LEVEL_ERROR, "dump_not_made", "reason=%s", log_quote(error.text));
        sender->make_not_before_us = now_us + MAKE_INTERVAL_US;
        free(file);
        return NULL;
    }
    file->is_being_made = true;
    file->idle_since_us = now_us;
    list_append(&sender->files, &file->link);
    job = xcalloc(1, sizeof *job);
    list_init(&job->link);
    job->kind = CHECKPOINT_JOB_DUMP;
    job->store = tree;
    job->weigh = sender->options.weigh;
    job->context = sender->job_context;
    memcpy(job->dump_path, file->path, sizeof job->dump_path);
    memcpy(job->cluster_id, sender->options.cluster_id, sizeof job->cluster_id);
    sender->port->checkpoint_submit(sender->port->context, job);
    return file;
}

/* Whoever installs it must find the next entry in the log. */
static bool is_useful(const struct dump_sender *sender, const struct file *file)
{
    return file->is_being_made || file->index >= raft_status(sender->raft).log_base;
}

static struct file *
find_or_make_file(struct dump_sender *sender, struct tree_store *tree, uint64_t now_us)
{
    LIST_FOR_EACH (link, &sender->files) {
        struct file *file = file_of(link);

        if (is_useful(sender, file) && (tree != NULL || file->vouched != 0)) {
            MARK_IF(file->users > 0, dump_file_shared_by_two_members);
            return file;
        }
    }
    if (tree == NULL || now_us < sender->make_not_before_us) {
        return NULL;
    }
    return make_file(sender, tree, now_us);
}

static void drop_idle_files(struct dump_sender *sender, uint64_t now_us)
{
    LIST_FOR_EACH (link, &sender->files) {
        struct file *file = file_of(link);

        if (file->users == 0 && !file->is_being_made &&
            (!is_useful(sender, file) || now_us - file->idle_since_us >= DUMP_FILE_IDLE_US)) {
            drop_file(sender, file);
        }
    }
}

static void on_made(struct dump_sender *sender, struct file *file, uint64_t now_us)
{
    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        struct transfer *transfer = &sender->transfers[i];

        if (transfer->state == TRANSFER_WAITING && transfer->file == file) {
            open_link(sender, transfer, now_us);
        }
    }
}

static void
on_not_made(struct dump_sender *sender, struct file *file, uint64_t now_us, const char *reason)
{
    sender->make_not_before_us = now_us + MAKE_INTERVAL_US;
    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        struct transfer *transfer = &sender->transfers[i];

        if (transfer->state == TRANSFER_WAITING && transfer->file == file) {
            fail(sender, transfer, now_us, false, reason);
        }
    }
    drop_file(sender, file);
}

static struct file *file_being_made(struct dump_sender *sender)
{
    LIST_FOR_EACH (link, &sender->files) {
        if (file_of(link)->is_being_made) {
            return file_of(link);
        }
    }
    return NULL;
}

void dump_sender_on_job(struct dump_sender *sender, uint64_t now_us, struct checkpoint_job *job)
{
    struct file *file = file_being_made(sender);

    CHECK(file != NULL);
    CHECK(strcmp(file->path, job->dump_path) == 0);
    file->is_being_made = false;
    file->index = job->meta.applied_index;
    file->term = job->meta.applied_term;
    file->bytes = job->dump_bytes;
    file->idle_since_us = now_us;
    if (job->error.status == STATUS_OK && file->vouched != 0 && file->vouched != file->index) {
        on_not_made(sender, file, now_us, "the checkpoint is another by now");
    } else if (job->error.status != STATUS_OK) {
        MARK(dump_could_not_be_made);
        on_not_made(sender, file, now_us, job->error.text);
    } else if (file->index == 0) {
        on_not_made(sender, file, now_us, "there is no checkpoint yet");
    } else {
        on_made(sender, file, now_us);
    }
    buffer_release(&job->config);
    free(job);
}

/* --- What comes in --- */

void dump_sender_on_bulk_up(struct dump_sender *sender, uint64_t now_us, raft_id peer)
{
    struct transfer *transfer = find_transfer(sender, peer);

    if (transfer == NULL || transfer->state != TRANSFER_OPENING) {
        return;
    }
    transfer->progress_us = now_us;
    if (offer(sender, transfer)) {
        transfer->state = TRANSFER_OFFERED;
    } else {
        fail(sender, transfer, now_us, false, "the link takes nothing");
    }
}

void dump_sender_on_bulk_down(struct dump_sender *sender, uint64_t now_us, raft_id peer)
{
    struct transfer *transfer = find_transfer(sender, peer);

    if (transfer == NULL || !has_link(transfer)) {
        return;
    }
    if (transfer->state == TRANSFER_CLOSING) {
        forget(sender, transfer);
    } else {
        MARK_IF(transfer->acknowledged > 0, dump_link_lost_halfway);
        fail(sender, transfer, now_us, true, "the link closed");
    }
}

static enum status invalid(struct dump_sender *sender, struct transfer *transfer, uint64_t now_us)
{
    if (transfer != NULL && has_link(transfer) && transfer->state != TRANSFER_CLOSING) {
        fail(sender, transfer, now_us, true, "the receiver sent what does not fit");
    }
    return STATUS_INVALID;
}

enum status dump_sender_on_wanted(struct dump_sender *sender,
                                  uint64_t now_us,
                                  raft_id peer,
                                  const Peer__DumpWanted *wanted)
{
    struct transfer *transfer = find_transfer(sender, peer);

    if (transfer != NULL && transfer->state == TRANSFER_CLOSING) {
        return STATUS_OK;
    }
    if (transfer != NULL && has_link(transfer) && wanted->refusal[0] != '\0') {
        MARK(dump_refused_by_its_receiver);
        if (wanted->passing) {
            fail(sender, transfer, now_us, false, wanted->refusal);
        } else {
            refused(sender, transfer, now_us, wanted->refusal);
        }
        return STATUS_OK;
    }
    if (transfer == NULL || transfer->state != TRANSFER_OFFERED ||
        wanted->offset > transfer->file->bytes) {
        return invalid(sender, transfer, now_us);
    }
    transfer->sent = wanted->offset;
    transfer->acknowledged = wanted->offset;
    MARK_IF(wanted->offset > 0 && wanted->offset < transfer->file->bytes,
            dump_sent_on_from_its_middle);
    MARK_IF(wanted->offset == transfer->file->bytes, dump_offered_that_is_there_already);
    transfer->progress_us = now_us;
    transfer->state =
        wanted->offset == transfer->file->bytes ? TRANSFER_INSTALLING : TRANSFER_SENDING;
    send_chunks(sender, transfer, now_us);
    return STATUS_OK;
}

enum status dump_sender_on_received(struct dump_sender *sender,
                                    uint64_t now_us,
                                    raft_id peer,
                                    const Peer__DumpReceived *received)
{
    struct transfer *transfer = find_transfer(sender, peer);

    if (transfer != NULL && transfer->state == TRANSFER_CLOSING) {
        return STATUS_OK;
    }
    if (transfer == NULL ||
        (transfer->state != TRANSFER_SENDING && transfer->state != TRANSFER_INSTALLING) ||
        received->offset < transfer->acknowledged || received->offset > transfer->sent ||
        (received->installed && received->offset != transfer->file->bytes)) {
        return invalid(sender, transfer, now_us);
    }
    if (received->offset > transfer->acknowledged || transfer->state == TRANSFER_INSTALLING) {
        transfer->progress_us = now_us;
    }
    transfer->acknowledged = received->offset;
    if (received->installed) {
        log_event(LOG_LEVEL_INFO, "dump_sent", "to=%" PRIu64 " zxid=%" PRIu64, peer,
                  transfer->file->index);
        raft_dump_sent(sender->raft, now_us, peer, transfer->file->index);
        dump_sender_forgive(sender, peer);
        end(sender, transfer, now_us, false);
    } else if (transfer->acknowledged == transfer->file->bytes) {
        transfer->state = TRANSFER_INSTALLING;
    } else {
        send_chunks(sender, transfer, now_us);
    }
    return STATUS_OK;
}

/* --- The turn --- */

static void close_links(struct dump_sender *sender)
{
    for (size_t i = 0; i < RAFT_MEMBERS_MAX && sender->transfer_count > 0; i++) {
        struct transfer *transfer = &sender->transfers[i];

        if (transfer->state == TRANSFER_CLOSING) {
            forget(sender, transfer);
            sender->port->bulk_close(sender->port->context, transfer->peer);
        }
    }
}

static struct repair *find_repair(struct dump_sender *sender, raft_id peer)
{
    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        if (sender->repairs[i].peer == peer) {
            return &sender->repairs[i];
        }
    }
    return NULL;
}

static bool is_repaired(struct dump_sender *sender, raft_id peer, uint64_t now_us)
{
    struct repair *repair = find_repair(sender, peer);

    if (repair != NULL && now_us - repair->asked_us >= DUMP_REPAIR_US) {
        repair->peer = 0;
        return false;
    }
    return repair != NULL;
}

/* Whether the core still waits for the dump of this member, or a damaged member does. */
static bool is_needed(struct dump_sender *sender, const struct transfer *transfer, uint64_t now_us)
{
    struct raft_peer_status status;

    if (is_repaired(sender, transfer->peer, now_us)) {
        return transfer->file->vouched != 0 && raft_status(sender->raft).role == RAFT_LEADER;
    }
    return raft_peer_status(sender->raft, transfer->peer, &status) == STATUS_OK &&
           status.state == RAFT_PROGRESS_SNAPSHOT;
}

static void go_on(struct dump_sender *sender, struct transfer *transfer, uint64_t now_us)
{
    if (!is_needed(sender, transfer, now_us)) {
        MARK_IF(transfer->acknowledged > 0, dump_needed_no_more_halfway);
        end(sender, transfer, now_us, false);
    } else if (transfer->state != TRANSFER_WAITING &&
               now_us - transfer->progress_us >= DUMP_PROGRESS_TIMEOUT_US) {
        MARK(dump_receiver_gives_no_sign);
        fail(sender, transfer, now_us, false, "the receiver gives no sign of life");
    } else if (transfer->state == TRANSFER_SENDING) {
        send_chunks(sender, transfer, now_us);
    }
}

static void start(struct dump_sender *sender, raft_id peer, struct file *file, uint64_t now_us)
{
    size_t i = 0;

    if (file == NULL) {
        return;
    }
    while (i < RAFT_MEMBERS_MAX && sender->transfers[i].state != TRANSFER_NONE) {
        i++;
    }
    if (i == RAFT_MEMBERS_MAX) {
        return; /* links of removed members are still closing */
    }
    file->users++;
    sender->transfer_count++;
    sender->transfers[i] = (struct transfer){.state = TRANSFER_WAITING, .peer = peer, .file = file};
    if (!file->is_being_made) {
        open_link(sender, &sender->transfers[i], now_us);
    }
}

static bool may_ask(struct dump_sender *sender, raft_id peer, uint64_t now_us)
{
    const struct refusal *refusal = find_refusal(sender, peer);

    return refusal == NULL || now_us >= refusal->not_before_us;
}

/* Forget those of members that left, and all without leadership. Returns when the next is over. */
static uint64_t drop_refusals(struct dump_sender *sender, bool leads)
{
    uint64_t next_us = UINT64_MAX;

    for (size_t i = 0; i < RAFT_MEMBERS_MAX && sender->refusal_count > 0; i++) {
        struct refusal *refusal = &sender->refusals[i];

        if (refusal->peer != 0 && (!leads || raft_config_find(raft_config_effective(sender->raft),
                                                              refusal->peer) == NULL)) {
            refusal->peer = 0;
            refusal->count = 0;
            sender->refusal_count--;
        }
        if (refusal->peer != 0 && refusal->not_before_us < next_us) {
            next_us = refusal->not_before_us;
        }
    }
    return next_us;
}

static void start_wanted(struct dump_sender *sender, struct tree_store *tree, uint64_t now_us)
{
    const struct raft_config *config = raft_config_effective(sender->raft);

    for (uint32_t i = 0; i < config->member_count; i++) {
        raft_id peer = config->members[i].id;
        struct raft_peer_status status;

        if (peer != sender->options.self &&
            raft_peer_status(sender->raft, peer, &status) == STATUS_OK && status.dump_wanted &&
            status.active && find_transfer(sender, peer) == NULL && may_ask(sender, peer, now_us) &&
            !is_repaired(sender, peer, now_us)) {
            start(sender, peer, find_or_make_file(sender, tree, now_us), now_us);
        }
    }
}

static struct file *find_vouched(struct dump_sender *sender, raft_index index)
{
    if (index == 0) {
        return NULL;
    }
    LIST_FOR_EACH (link, &sender->files) {
        if (file_of(link)->vouched == index) {
            return file_of(link);
        }
    }
    return NULL;
}

bool dump_sender_has_vouched(const struct dump_sender *sender, raft_index index)
{
    for (struct list *link = sender->files.next; link != &sender->files; link = link->next) {
        if (file_of(link)->vouched == index && is_useful(sender, file_of(link))) {
            return true;
        }
    }
    return false;
}

void dump_sender_make_vouched(struct dump_sender *sender,
                              uint64_t now_us,
                              struct tree_store *tree,
                              raft_index index)
{
    struct file *file =
        now_us < sender->make_not_before_us ? NULL : make_file(sender, tree, now_us);

    if (file != NULL) {
        file->vouched = index;
    }
}

void dump_sender_repair(struct dump_sender *sender, uint64_t now_us, raft_id peer, raft_index index)
{
    struct repair *repair = find_repair(sender, peer);

    repair = repair != NULL ? repair : find_repair(sender, 0);
    if (repair == NULL) {
        return; /* removed members were repaired a moment ago */
    }
    *repair = (struct repair){.peer = peer, .asked_us = now_us};
    if (find_transfer(sender, peer) == NULL && may_ask(sender, peer, now_us)) {
        start(sender, peer, find_vouched(sender, index), now_us);
    }
}

uint64_t dump_sender_tick(struct dump_sender *sender, uint64_t now_us, struct tree_store *tree)
{
    bool leads = raft_status(sender->raft).role == RAFT_LEADER;
    uint64_t next_us;

    for (size_t i = 0; i < RAFT_MEMBERS_MAX && sender->transfer_count > 0; i++) {
        struct transfer *transfer = &sender->transfers[i];

        if (transfer->state != TRANSFER_NONE && transfer->state != TRANSFER_CLOSING) {
            go_on(sender, transfer, now_us);
        }
    }
    close_links(sender);
    if (leads) {
        start_wanted(sender, tree, now_us);
    }
    drop_idle_files(sender, now_us);
    next_us = drop_refusals(sender, leads);
    if (dump_sender_transfers(sender) > 0) {
        return now_us + RETRY_INTERVAL_US;
    }
    /* What may be asked again already waits for the core to want it, or for a file. */
    next_us = next_us > now_us + FILE_INTERVAL_US || next_us <= now_us ? UINT64_MAX : next_us;
    return list_is_empty(&sender->files) || next_us < UINT64_MAX ? next_us
                                                                 : now_us + FILE_INTERVAL_US;
}

/* --- For others to look at --- */

bool dump_sender_has_peer(const struct dump_sender *sender, raft_id peer)
{
    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        if (sender->transfers[i].peer == peer && has_link(&sender->transfers[i])) {
            return true;
        }
    }
    return false;
}

struct dump_sender_progress dump_sender_progress(const struct dump_sender *sender, raft_id peer)
{
    struct dump_sender_progress progress = {.is_sending = false};

    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        const struct transfer *transfer = &sender->transfers[i];
        const struct refusal *refusal = &sender->refusals[i];

        if (transfer->peer == peer && transfer->state != TRANSFER_NONE &&
            transfer->state != TRANSFER_CLOSING) {
            progress.is_sending = true;
            progress.done = transfer->acknowledged;
            progress.total = transfer->file->is_being_made ? 0 : transfer->file->bytes;
        }
        if (peer != 0 && refusal->peer == peer) {
            progress.refusal = refusal->text;
        }
    }
    return progress;
}

size_t dump_sender_jobs(const struct dump_sender *sender)
{
    size_t count = 0;

    for (struct list *link = sender->files.next; link != &sender->files; link = link->next) {
        count += file_of(link)->is_being_made;
    }
    return count;
}

size_t dump_sender_transfers(const struct dump_sender *sender)
{
    return sender->transfer_count;
}

size_t dump_sender_files(const struct dump_sender *sender)
{
    size_t count = 0;

    for (struct list *link = sender->files.next; link != &sender->files; link = link->next) {
        count++;
    }
    return count;
}

/* A whole node on a bench: one server with its state and its core, whose peers are words in a
 * buffer and whose disks finish what they were given at the end of each turn. Included once in a
 * test program. */
#ifndef TESTS_UNIT_NODE_NODE_LAB_H
#define TESTS_UNIT_NODE_NODE_LAB_H

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "server/node/config_codec.h"
#include "server/node/node_internal.h"
#include "server/node/peer_codec.h"
#include "tests/support/memory_source.h"
#include "tests/support/state_lab.h"
#include "tests/support/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SELF = 1, PEER = 2, SENT_MAX = 64, REPLIES_MAX = 64, STEP_US = 10 * 1000 };

static struct {
    struct node *node;
    struct memory_source *tree;
    uint64_t now_us;
    struct list log_jobs;
    struct list checkpoint_jobs;
    bool log_is_damaged;        /* as its readers find */
    bool checkpoint_is_damaged; /* as its scrub finds */
    bool checkpoints_are_stuck;
    bool log_is_stuck;
    bool is_short_of_space;
    struct error failure; /* why it ended */
    bool has_failed;
    Peer__PeerMessage *sent[SENT_MAX]; /* to the peer, but for the core's */
    size_t sent_count;
    uint64_t probe_token; /* of the last one */
    uint64_t last_round;  /* of the core's last message to anybody */
    struct client *client;
    Record__CreateMode create_mode; /* of the nodes that `creating` makes */
    struct {
        enum request_kind kind;
        Client__Code code;
        uint64_t count; /* of COUNT */
        size_t turn;    /* in which it came */
    } replies[REPLIES_MAX];
    size_t reply_count;
    size_t turns;
} lab;

/* --- The port --- */

static inline uint64_t lab_now_us(void *context)
{
    (void)context;
    return lab.now_us;
}

static inline uint64_t lab_wall_ms(void *context)
{
    (void)context;
    return lab.now_us / 1000;
}

static inline void lab_random(void *context, void *bytes, size_t size)
{
    (void)context;
    memset(bytes, 7, size);
}

static inline void lab_set_peers(void *context, const struct node_peer *peers, size_t count)
{
    (void)context;
    (void)peers;
    (void)count;
}

static inline bool lab_send(void *context, raft_id peer, struct bytes message, bool is_late)
{
    Peer__PeerMessage *wire = peer__peer_message__unpack(NULL, message.size, message.data);

    (void)is_late; /* here messages leave at once */
    (void)context;
    EXPECT(wire != NULL);
    if (wire->body_case == PEER__PEER_MESSAGE__BODY_RAFT) {
        lab.last_round = wire->raft->round;
    }
    if (peer != PEER || wire->body_case == PEER__PEER_MESSAGE__BODY_RAFT ||
        lab.sent_count == SENT_MAX) {
        peer__peer_message__free_unpacked(wire, NULL);
    } else {
        lab.sent[lab.sent_count++] = wire;
    }
    return true;
}

static inline void lab_log_submit(void *context, struct log_job *job)
{
    (void)context;
    list_append(&lab.log_jobs, &job->link);
}

static inline void lab_checkpoint_submit(void *context, struct checkpoint_job *job)
{
    (void)context;
    list_append(&lab.checkpoint_jobs, &job->link);
}

static inline enum status
lab_tree_open(void *context, uint64_t generation, struct tree_store **ret_tree, struct error *error)
{
    (void)context;
    (void)generation;
    (void)error;
    *ret_tree = (struct tree_store *)(void *)&lab;
    return STATUS_OK;
}

static inline void lab_tree_close(void *context, struct tree_store *tree, bool remove_files)
{
    (void)context;
    (void)tree;
    (void)remove_files;
}

static inline struct state_source lab_tree_source(void *context, struct tree_store *tree)
{
    (void)context;
    (void)tree;
    return memory_source_port(lab.tree);
}

static inline enum status
lab_tree_renew(void *context, struct tree_store *tree, struct error *error)
{
    (void)context;
    (void)tree;
    (void)error;
    return STATUS_OK;
}

static inline struct tree_meta lab_tree_meta(void *context, struct tree_store *tree)
{
    (void)context;
    (void)tree;
    return (struct tree_meta){.applied_index = 0};
}

static inline enum status lab_tree_condemn(void *context, uint64_t generation, struct error *error)
{
    (void)context;
    (void)generation;
    (void)error;
    return STATUS_OK;
}

static inline enum status lab_tree_doubt(void *context,
                                         uint64_t generation,
                                         const struct tree_doubt *doubt,
                                         struct error *error)
{
    (void)context;
    (void)generation;
    (void)doubt;
    (void)error;
    return STATUS_OK;
}

static inline uint64_t lab_tree_bytes(void *context, const struct tree_store *tree)
{
    (void)context;
    (void)tree;
    return 1 << 20;
}

static inline struct node_space
lab_space(void *context, uint64_t unwritten_records, uint64_t unwritten_bytes)
{
    (void)context;
    (void)unwritten_records;
    (void)unwritten_bytes;
    return (struct node_space){.is_enough = !lab.is_short_of_space};
}

/* Nobody answers on bulk links and probes, and dumps have no place. */
static inline void lab_bulk_open(void *context, raft_id peer)
{
    (void)context;
    (void)peer;
}

static inline bool lab_bulk_send(void *context, raft_id peer, struct bytes message)
{
    (void)context;
    (void)peer;
    (void)message;
    return true;
}

static inline void
lab_probe(void *context, uint64_t token, const char *address, struct bytes message)
{
    (void)context;
    (void)address;
    (void)message;
    lab.probe_token = token;
}

static inline void lab_probe_reply(void *context, uint64_t probe, struct bytes message)
{
    (void)context;
    (void)probe;
    (void)message;
}

static inline enum status
lab_set_cluster(void *context, const uint8_t cluster_id[NODE_CLUSTER_ID_BYTES], struct error *error)
{
    (void)context;
    (void)cluster_id;
    (void)error;
    return STATUS_OK;
}

static inline void
lab_tree_path(void *context, uint64_t generation, char path[DATA_FOLDER_PATH_BYTES_MAX])
{
    (void)context;
    (void)snprintf(path, DATA_FOLDER_PATH_BYTES_MAX, "tree-%" PRIu64, generation);
}

static inline enum status lab_dump_path(void *context,
                                        const char *name,
                                        char path[DATA_FOLDER_PATH_BYTES_MAX],
                                        struct error *error)
{
    (void)context;
    (void)error;
    (void)snprintf(path, DATA_FOLDER_PATH_BYTES_MAX, "dumps/%s", name);
    return STATUS_OK;
}

static inline enum status lab_dump_read(void *context,
                                        const char *path,
                                        uint64_t offset,
                                        void *buffer,
                                        size_t size,
                                        struct error *error)
{
    (void)context;
    (void)offset;
    (void)error;
    (void)path;
    memset(buffer, 0, size);
    return STATUS_OK;
}

static inline enum status lab_dump_write(
    void *context, const char *path, uint64_t offset, struct bytes bytes, struct error *error)
{
    (void)context;
    (void)path;
    (void)offset;
    (void)bytes;
    (void)error;
    return STATUS_OK;
}

static inline void lab_dump_remove(void *context, const char *path)
{
    (void)context;
    (void)path;
}

static inline void lab_fail(void *context, const struct error *error)
{
    (void)context;
    lab.has_failed = true;
    lab.failure = *error;
}

/* --- Disks --- */

static inline void lab_commit(const struct checkpoint_job *job)
{
    struct state_record *records = xcalloc(job->record_count + 1, sizeof *records);

    for (size_t i = 0; i < job->record_count; i++) {
        records[i] = (struct state_record){.key = job->records[i].key,
                                           .value = job->records[i].value,
                                           .removed = job->records[i].removed};
    }
    memory_source_apply(lab.tree, records, job->record_count);
    free(records);
}

static inline void lab_finish_checkpoint_job(struct checkpoint_job *job)
{
    if (job->kind == CHECKPOINT_JOB_COMMIT) {
        lab_commit(job);
    } else if (job->kind == CHECKPOINT_JOB_SCRUB && lab.checkpoint_is_damaged) {
        (void)error_set(&job->error, STATUS_CORRUPT, "a record of the checkpoint is damaged");
    } else if (job->kind == CHECKPOINT_JOB_SCRUB) {
        job->scrubbed.finished = true;
    } else {
        (void)error_set(&job->error, STATUS_IO, "there are no dumps here");
    }
    node_on_checkpoint_done(lab.node, job);
}

static inline void lab_finish_log_job(struct log_job *job)
{
    if (job->kind == LOG_JOB_READ) {
        job->read_status =
            error_set(&job->read_error, lab.log_is_damaged ? STATUS_CORRUPT : STATUS_NOT_FOUND,
                      "an entry of the log is %s", lab.log_is_damaged ? "damaged" : "not there");
    }
    node_on_log_done(lab.node, job);
}

static inline void lab_finish_jobs(void)
{
    struct list *link;

    while (!lab.log_is_stuck && (link = list_take_first(&lab.log_jobs)) != NULL) {
        lab_finish_log_job(CONTAINER_OF(link, struct log_job, link));
    }
    while (!lab.checkpoints_are_stuck && (link = list_take_first(&lab.checkpoint_jobs)) != NULL) {
        lab_finish_checkpoint_job(CONTAINER_OF(link, struct checkpoint_job, link));
    }
}

/* --- Steps --- */

/* A turn, and what the disks have to do after it. */
static inline void turn(void)
{
    lab.turns++;
    lab.now_us += STEP_US;
    (void)node_turn(lab.node);
    lab_finish_jobs();
}

static inline void run(uint64_t us)
{
    for (uint64_t until = lab.now_us + us; lab.now_us < until;) {
        turn();
    }
}

static inline void
lab_on_reply(void *context, const struct request *request, const struct reply *reply)
{
    (void)context;
    CHECK_OP(lab.reply_count, <, REPLIES_MAX);
    lab.replies[lab.reply_count].kind = request->kind;
    lab.replies[lab.reply_count].code = reply->code;
    lab.replies[lab.reply_count].turn = lab.turns;
    if (request->kind == REQUEST_COUNT) {
        lab.replies[lab.reply_count].count = reply->count;
    }
    lab.reply_count++;
}

static inline void lab_on_notice(void *context, Client__NoticeKind kind, Client__Code code)
{
    (void)context;
    (void)kind;
    (void)code;
}

static inline size_t lab_output_bytes(void *context)
{
    (void)context;
    return 0;
}

static inline void submit(struct request *request)
{
    client_submit(lab.client, request);
}

static inline struct request *reading(enum request_kind kind, const char *path)
{
    struct request *request = request_new(kind);

    request->path = arena_copy(&request->arena, bytes_of_text(path));
    return request;
}

static inline struct request *
writing(struct request *request, Record__Operation **operations, size_t count)
{
    Record__Transaction transaction = RECORD__TRANSACTION__INIT;
    Record__Command command = RECORD__COMMAND__INIT;
    uint8_t *packed;

    transaction.n_operations = count;
    transaction.operations = operations;
    command.body_case = RECORD__COMMAND__BODY_TRANSACTION;
    command.transaction = &transaction;
    packed = arena_alloc(&request->arena, record__command__get_packed_size(&command));
    request->write.command = bytes_of(packed, record__command__pack(&command, packed));
    return request;
}

/* One transaction that makes `count` nodes, named by their numbers from `first` on, below `parent`;
 * or `parent` itself if that is 0. */
static inline struct request *creating(const char *parent, size_t first, size_t count)
{
    struct request *request = request_new(REQUEST_WRITE);
    size_t operation_count = count == 0 ? 1 : count;
    Record__Operation **operations =
        arena_alloc(&request->arena, operation_count * sizeof *operations);
    char path[64];

    for (size_t i = 0; i < operation_count; i++) {
        (void)snprintf(path, sizeof path, count == 0 ? "%s" : "%s/%zu", parent, first + i);
        operations[i] = state_lab_make_create(&request->arena, path, "");
        operations[i]->create->mode = lab.create_mode;
    }
    return writing(request, operations, operation_count);
}

static inline struct request *removing(const char *path)
{
    struct request *request = request_new(REQUEST_WRITE);
    Record__Operation *operation = state_lab_make_remove(&request->arena, path, -1);

    return writing(request, &operation, 1);
}

/* A message of the peer; the turn is still to come. */
static inline void hear(const Peer__PeerMessage *message)
{
    struct buffer packed = BUFFER_INIT;

    peer_codec_pack(message, &packed);
    EXPECT_OK(node_on_peer_message(lab.node, PEER, buffer_lend(&packed)));
    buffer_release(&packed);
}

static inline const Peer__PeerMessage *last_sent(Peer__PeerMessage__BodyCase body)
{
    for (size_t i = lab.sent_count; i > 0; i--) {
        if (lab.sent[i - 1]->body_case == body) {
            return lab.sent[i - 1];
        }
    }
    return NULL;
}

/* --- Life --- */

static inline void boot(uint32_t members)
{
    struct raft_config config;
    struct buffer packed = BUFFER_INIT;
    struct log_entry entry = {.index = 1, .term = 1, .type = RAFT_ENTRY_CONFIG};
    struct error error;

    memset(&config, 0, sizeof config);
    for (uint32_t i = 0; i < members; i++) {
        struct raft_member *member = &config.members[config.member_count++];

        member->id = SELF + i;
        member->flags = RAFT_VOTER_NEW;
        memset(member->incarnation, (int)member->id, sizeof member->incarnation);
        (void)snprintf(member->address, sizeof member->address, "host%u:1", (unsigned)member->id);
    }
    config_codec_pack(&config, &packed);
    entry.payload = buffer_lend(&packed);
    EXPECT_OK(node_boot_entry(lab.node, &entry, &error));
    EXPECT_OK(node_start(lab.node, &error));
    buffer_release(&packed);
}

static const struct client_callbacks lab_callbacks = {
    .on_reply = lab_on_reply, .on_notice = lab_on_notice, .output_bytes = lab_output_bytes};

/* A server of a cluster of so many voters. */
static inline void begin(uint32_t members)
{
    const struct node_port port = {.now_us = lab_now_us,
                                   .wall_ms = lab_wall_ms,
                                   .random = lab_random,
                                   .set_peers = lab_set_peers,
                                   .send = lab_send,
                                   .bulk_open = lab_bulk_open,
                                   .bulk_send = lab_bulk_send,
                                   .bulk_close = lab_bulk_open,
                                   .probe = lab_probe,
                                   .probe_reply = lab_probe_reply,
                                   .set_cluster = lab_set_cluster,
                                   .tree_path = lab_tree_path,
                                   .dump_path = lab_dump_path,
                                   .dump_read = lab_dump_read,
                                   .dump_write = lab_dump_write,
                                   .dump_remove = lab_dump_remove,
                                   .log_submit = lab_log_submit,
                                   .checkpoint_submit = lab_checkpoint_submit,
                                   .tree_open = lab_tree_open,
                                   .tree_close = lab_tree_close,
                                   .tree_source = lab_tree_source,
                                   .tree_renew = lab_tree_renew,
                                   .tree_meta = lab_tree_meta,
                                   .tree_condemn = lab_tree_condemn,
                                   .tree_doubt = lab_tree_doubt,
                                   .tree_bytes = lab_tree_bytes,
                                   .space = lab_space,
                                   .fail = lab_fail};
    const struct log_state log = {.term = 1, .last = 1};
    struct node_options options = node_options_default(SELF);
    struct error error;

    log_set_level(LOG_LEVEL_ERROR);
    memset(&lab, 0, sizeof lab);
    list_init(&lab.log_jobs);
    list_init(&lab.checkpoint_jobs);
    lab.now_us = 1000 * 1000;
    lab.tree = memory_source_new();
    memset(options.incarnation, SELF, sizeof options.incarnation);
    options.has_cluster = true;
    options.address = "host1:1";
    options.seed = 1;
    EXPECT_OK(node_new(&options, &port, &log, &lab.node, &error));
    boot(members);
    lab.client = client_open(lab.node, &lab_callbacks, NULL);
}

/* Alone, it elects itself. */
static inline void begin_alone(void)
{
    begin(1);
    for (size_t i = 0; i < 1000 && node_leading_us(lab.node) == 0; i++) {
        turn();
    }
    EXPECT(node_leading_us(lab.node) > 0);
    run(1000 * 1000);
}

static inline void end(void)
{
    client_close(lab.client);
    lab_finish_jobs();
    node_free(lab.node);
    memory_source_free(lab.tree);
    for (size_t i = 0; i < lab.sent_count; i++) {
        peer__peer_message__free_unpacked(lab.sent[i], NULL);
    }
}

#endif

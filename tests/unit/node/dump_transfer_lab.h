/* Servers with real cores that need dumps of each other; files, jobs and bulk links are models.
 * Included once in a test program. */
#ifndef TESTS_UNIT_NODE_DUMP_TRANSFER_LAB_H
#define TESTS_UNIT_NODE_DUMP_TRANSFER_LAB_H

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "base/prng.h"
#include "server/node/config_codec.h"
#include "server/node/dump_transfer.h"
#include "tests/scenario/cluster.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NODES = 4,
    FILES_MAX = 64,
    JOBS_MAX = 16,
    PACKETS_MAX = 256,
    QUEUE_MAX = 6, /* messages that a link holds */
    STEP_US = 5000,
    DUMP_BYTES = 5 * DUMP_CHUNK_BYTES + 777
};

#define SECOND UINT64_C(1000000)

struct file_double {
    bool used;
    char path[64];
    uint8_t *data;
    size_t size;
};

struct tree_double {
    bool open;
    uint64_t generation;
    raft_index index;
    raft_term term;
    raft_index config_index;
    struct buffer config;
};

struct job_double {
    struct checkpoint_job *job;
    raft_id node;
    uint64_t at_us;
};

struct packet {
    raft_id from;
    raft_id to;
    uint8_t *data;
    size_t size;
};

struct node_double {
    raft_id id;
    struct cluster_node *core;
    struct dump_transfer *transfer;
    struct tree_double tree; /* the one built */
    bool has_built;          /* files of the generation exist */
    uint64_t built_generation;
    uint8_t built_header[24];
    size_t installed;
    size_t refused;
    size_t dumps_made;
    size_t reads;
    size_t opens;
    uint64_t written;
    bool disk_is_full;
    bool damage_tree; /* what comes out of the build is something else */
};

static struct cluster *cluster;
static struct node_double nodes[NODES + 1];
static struct file_double files[FILES_MAX];
static struct job_double jobs[JOBS_MAX];
static size_t job_count;
static struct packet packets[PACKETS_MAX];
static size_t packet_count;
static bool link_up[NODES + 1][NODES + 1];     /* opener, other; both ways usable */
static bool link_coming[NODES + 1][NODES + 1]; /* opened, up in the next step */
static bool link_cut[NODES + 1][NODES + 1];
static struct prng prng;
static uint64_t trouble; /* in 1000 */
static uint64_t job_us;
static raft_index dumped_index;
static bool silent[NODES + 1]; /* takes messages and does nothing, but for its core */
static size_t resumed;
static bool second_keeps_its_log; /* node 2 has what the others trimmed */

static inline bool chance(uint64_t in_thousand)
{
    return prng_below(&prng, 1000) < in_thousand;
}

/* Byte `offset` of the dump of the checkpoint at `index`: a header that names it, then noise. */
static inline uint8_t dump_byte(raft_index index, raft_term term, uint64_t offset)
{
    uint8_t header[24];

    if (offset < sizeof header) {
        bytes_store_u64(header, index);
        bytes_store_u64(header + 8, term);
        bytes_store_u64(header + 16, DUMP_BYTES);
        return header[offset];
    }
    return (uint8_t)((offset * 2654435761U) >> 13) ^ (uint8_t)index;
}

static inline struct file_double *find_file(const char *path)
{
    for (size_t i = 0; i < FILES_MAX; i++) {
        if (files[i].used && strcmp(files[i].path, path) == 0) {
            return &files[i];
        }
    }
    return NULL;
}

static inline struct file_double *make_file(const char *path)
{
    size_t size = strlen(path) + 1;
    size_t i = 0;

    CHECK_OP(size, <=, sizeof files[i].path);
    while (files[i].used) {
        i++;
        CHECK_OP(i, <, FILES_MAX);
    }
    files[i] = (struct file_double){.used = true};
    memcpy(files[i].path, path, size);
    return &files[i];
}

static inline size_t file_count(void)
{
    size_t count = 0;

    for (size_t i = 0; i < FILES_MAX; i++) {
        count += files[i].used;
    }
    return count;
}

static inline bool connected(raft_id a, raft_id b)
{
    return link_up[a][b] || link_up[b][a];
}

static inline void bulk_open(void *context, raft_id peer)
{
    struct node_double *node = context;

    EXPECT(!link_up[node->id][peer]);
    EXPECT(!link_coming[node->id][peer]);
    link_coming[node->id][peer] = true;
    node->opens++;
}

static inline bool bulk_send(void *context, raft_id peer, struct bytes message)
{
    struct node_double *node = context;
    size_t queued = 0;

    for (size_t i = 0; i < packet_count; i++) {
        queued += packets[i].from == node->id && packets[i].to == peer;
    }
    if (!connected(node->id, peer) || queued >= QUEUE_MAX || chance(trouble)) {
        return false;
    }
    CHECK_OP(packet_count, <, PACKETS_MAX);
    packets[packet_count] = (struct packet){
        .from = node->id, .to = peer, .data = bytes_copy(message), .size = message.size};
    packet_count++;
    return true;
}

static inline void drop_packets(raft_id a, raft_id b)
{
    size_t kept = 0;

    for (size_t i = 0; i < packet_count; i++) {
        if ((packets[i].from == a && packets[i].to == b) ||
            (packets[i].from == b && packets[i].to == a)) {
            free(packets[i].data);
        } else {
            packets[kept] = packets[i];
            kept++;
        }
    }
    packet_count = kept;
}

/* Both ends notice, but not the one that closed it. */
static inline void break_link(raft_id a, raft_id b, raft_id closer)
{
    bool was = connected(a, b) || link_coming[a][b] || link_coming[b][a];

    link_up[a][b] = link_up[b][a] = link_coming[a][b] = link_coming[b][a] = false;
    drop_packets(a, b);
    if (was && closer != a) {
        dump_transfer_on_bulk_down(nodes[a].transfer, cluster->now, b);
    }
    if (was && closer != b) {
        dump_transfer_on_bulk_down(nodes[b].transfer, cluster->now, a);
    }
}

static inline void bulk_close(void *context, raft_id peer)
{
    struct node_double *node = context;

    break_link(node->id, peer, node->id);
}

static inline void checkpoint_submit(void *context, struct checkpoint_job *job)
{
    struct node_double *node = context;

    CHECK_OP(job_count, <, JOBS_MAX);
    jobs[job_count] =
        (struct job_double){.job = job, .node = node->id, .at_us = cluster->now + job_us};
    job_count++;
}

static inline enum status
tree_open(void *context, uint64_t generation, struct tree_store **ret_tree, struct error *error)
{
    struct node_double *node = context;
    struct tree_double *tree = &node->tree;

    if (chance(trouble)) {
        return error_set(error, STATUS_IO, "cannot open the tree");
    }
    EXPECT(node->has_built);
    EXPECT_EQ(generation, node->built_generation);
    EXPECT(!tree->open);
    tree->open = true;
    tree->generation = generation;
    tree->index = bytes_load_u64(node->built_header) + node->damage_tree;
    tree->term = bytes_load_u64(node->built_header + 8);
    tree->config_index = 1;
    buffer_clear(&tree->config);
    config_codec_pack(raft_config_effective(nodes[1].core->raft), &tree->config);
    *ret_tree = (struct tree_store *)(void *)tree;
    return STATUS_OK;
}

static inline void tree_close(void *context, struct tree_store *store, bool remove_files)
{
    struct node_double *node = context;

    EXPECT((void *)store == (void *)&node->tree);
    EXPECT(node->tree.open);
    node->tree.open = false;
    if (remove_files) {
        node->has_built = false;
    }
}

static inline struct tree_meta tree_meta(void *context, struct tree_store *store)
{
    const struct tree_double *tree = (const struct tree_double *)(void *)store;

    (void)context;
    return (struct tree_meta){.applied_index = tree->index,
                              .applied_term = tree->term,
                              .config_index = tree->config_index,
                              .config = buffer_lend(&tree->config)};
}

static inline void
tree_path(void *context, uint64_t generation, char path[DATA_FOLDER_PATH_BYTES_MAX])
{
    struct node_double *node = context;

    (void)snprintf(path, DATA_FOLDER_PATH_BYTES_MAX, "%u/tree-%u", (unsigned)node->id,
                   (unsigned)generation);
}

static inline enum status dump_path(void *context,
                                    const char *name,
                                    char path[DATA_FOLDER_PATH_BYTES_MAX],
                                    struct error *error)
{
    struct node_double *node = context;

    if (chance(trouble)) {
        return error_set(error, STATUS_IO, "no folder for dumps");
    }
    (void)snprintf(path, DATA_FOLDER_PATH_BYTES_MAX, "%u/%s", (unsigned)node->id, name);
    EXPECT(find_file(path) == NULL);
    return STATUS_OK;
}

static inline enum status dump_read(void *context,
                                    const char *path,
                                    uint64_t offset,
                                    void *buffer,
                                    size_t size,
                                    struct error *error)
{
    struct node_double *node = context;
    const struct file_double *file = find_file(path);

    CHECK(file != NULL);
    EXPECT(offset + size <= file->size);
    node->reads++;
    if (chance(trouble / 4)) {
        return error_set(error, STATUS_IO, "cannot read");
    }
    memcpy(buffer, file->data + offset, size);
    return STATUS_OK;
}

static inline enum status dump_write(
    void *context, const char *path, uint64_t offset, struct bytes bytes, struct error *error)
{
    struct node_double *node = context;
    struct file_double *file = find_file(path);

    if (node->disk_is_full || chance(trouble / 4)) {
        return error_set(error, STATUS_NO_SPACE, "the disk is full");
    }
    if (offset == 0) {
        EXPECT(file == NULL);
        file = make_file(path);
        file->data = xcalloc(1, DUMP_BYTES);
    }
    CHECK(file != NULL);
    EXPECT_EQ(offset, file->size);
    EXPECT(offset + bytes.size <= DUMP_BYTES);
    memcpy(file->data + offset, bytes.data, bytes.size);
    file->size += bytes.size;
    node->written += bytes.size;
    return STATUS_OK;
}

static inline void dump_remove(void *context, const char *path)
{
    struct file_double *file = find_file(path);

    (void)context;
    if (file != NULL) {
        free(file->data);
        file->used = false;
    }
}

static struct dispute sent_dispute;
static struct dispute taken_dispute; /* with the dump that was installed last */
static raft_id no_dump_of;           /* this one, unless it is vouched for */

static inline bool may_replace(const void *context, raft_id sender)
{
    (void)context;
    return sender != no_dump_of;
}

static const struct dump_receiver_options receiver_options = {
    .dump_bytes_max = DUMP_BYTES, .tree_generation = 7, .may_replace = may_replace};

static inline void open_transfer(struct node_double *node)
{
    const struct node_port port = {.context = node,
                                   .bulk_open = bulk_open,
                                   .bulk_send = bulk_send,
                                   .bulk_close = bulk_close,
                                   .checkpoint_submit = checkpoint_submit,
                                   .tree_open = tree_open,
                                   .tree_close = tree_close,
                                   .tree_meta = tree_meta,
                                   .tree_path = tree_path,
                                   .dump_path = dump_path,
                                   .dump_read = dump_read,
                                   .dump_write = dump_write,
                                   .dump_remove = dump_remove};
    const struct dump_sender_options sender = {.self = node->id, .dispute = &sent_dispute};

    node->transfer = dump_transfer_new(&port, node->core->raft, &sender, &receiver_options);
}

/* --- Steps --- */

static inline void run_dump(struct node_double *node, struct checkpoint_job *job)
{
    const struct cluster_disk *disk = node->core->disk;
    struct file_double *file;

    if (node->disk_is_full || chance(trouble * 5)) {
        (void)error_set(&job->error, STATUS_NO_SPACE, "no space for a dump");
        return;
    }
    node->dumps_made++;
    dumped_index = disk->checkpoint;
    job->meta.applied_index = disk->checkpoint;
    job->meta.applied_term = cluster->history[disk->checkpoint].entry.term;
    job->dump_bytes = DUMP_BYTES;
    buffer_put_u64(&job->config, 1);
    file = make_file(job->dump_path);
    file->size = DUMP_BYTES;
    file->data = xmalloc(DUMP_BYTES);
    for (size_t i = 0; i < DUMP_BYTES; i++) {
        file->data[i] = dump_byte(job->meta.applied_index, job->meta.applied_term, i);
    }
}

static inline void run_install(struct node_double *node, struct checkpoint_job *job)
{
    const struct file_double *file = find_file(job->dump_path);
    const char *dash = strrchr(job->tree_path, '-');
    raft_index index;
    raft_term term;

    CHECK(file != NULL);
    CHECK(dash != NULL);
    EXPECT_EQ(file->size, DUMP_BYTES);
    if (chance(trouble * 5)) {
        (void)error_set(&job->error, STATUS_CORRUPT, "record 5 is damaged");
        return;
    }
    index = bytes_load_u64(file->data);
    term = bytes_load_u64(file->data + 8);
    for (size_t i = 0; i < DUMP_BYTES; i++) {
        if (file->data[i] != dump_byte(index, term, i)) {
            EXPECT_EQ(i, DUMP_BYTES);
        }
    }
    node->has_built = true;
    node->built_generation = strtoull(dash + 1, NULL, 10);
    memcpy(node->built_header, file->data, sizeof node->built_header);
}

static inline void run_jobs(void)
{
    for (size_t i = 0; i < job_count;) {
        struct job_double job = jobs[i];

        if (job.at_us > cluster->now) {
            i++;
            continue;
        }
        job_count--;
        memmove(&jobs[i], &jobs[i + 1], (job_count - i) * sizeof *jobs);
        if (job.job->kind == CHECKPOINT_JOB_DUMP) {
            run_dump(&nodes[job.node], job.job);
        } else {
            run_install(&nodes[job.node], job.job);
        }
        dump_transfer_on_job(nodes[job.node].transfer, cluster->now, job.job);
    }
}

static inline void deliver(struct packet *packet)
{
    Peer__PeerMessage *message = peer__peer_message__unpack(NULL, packet->size, packet->data);
    enum status status;

    EXPECT(message != NULL);
    if (message->body_case == PEER__PEER_MESSAGE__BODY_DUMP_WANTED &&
        message->dump_wanted->offset > 0) {
        resumed++;
    }
    if (!silent[packet->to]) {
        status = dump_transfer_on_message(nodes[packet->to].transfer, cluster->now, packet->from,
                                          message);
        EXPECT_OK(status);
    }
    peer__peer_message__free_unpacked(message, NULL);
}

static inline void run_packets(void)
{
    size_t count = packet_count;

    for (size_t i = 0; i < count && packet_count > 0; i++) {
        struct packet packet = packets[0];

        packet_count--;
        memmove(&packets[0], &packets[1], packet_count * sizeof *packets);
        deliver(&packet);
        free(packet.data);
    }
}

static inline void run_links(void)
{
    for (raft_id a = 1; a <= NODES; a++) {
        for (raft_id b = 1; b <= NODES; b++) {
            if (link_coming[a][b]) {
                link_coming[a][b] = false;
                if (link_cut[a][b]) {
                    dump_transfer_on_bulk_down(nodes[a].transfer, cluster->now, b);
                } else {
                    link_up[a][b] = true;
                    dump_transfer_on_bulk_up(nodes[a].transfer, cluster->now, b);
                    if (link_up[a][b]) {
                        dump_transfer_on_bulk_up(nodes[b].transfer, cluster->now, a);
                    }
                }
            }
            if (connected(a, b) && chance(trouble / 2)) {
                break_link(a, b, 0);
            }
        }
    }
}

/* As the node would: install in the core, switch when durable. */
static inline void run_install_of(struct node_double *node)
{
    struct dump_installed installed;

    if (!dump_transfer_take(node->transfer, &installed)) {
        return;
    }
    EXPECT(!dump_transfer_take(node->transfer, &installed));
    EXPECT_EQ(installed.meta.applied_index, bytes_load_u64(node->built_header));
    EXPECT_EQ(installed.generation, node->built_generation);
    taken_dispute = installed.dispute;
    EXPECT(installed.generation > receiver_options.tree_generation);
    EXPECT(installed.sender_term >= installed.meta.applied_term);
    EXPECT_EQ(installed.config.member_count, NODES);
    EXPECT_EQ(installed.meta.applied_index, nodes[1].core->disk->checkpoint);
    if (cluster_dump(cluster, nodes[1].core, node->core) == STATUS_OK) {
        cluster_stabilize(cluster);
        node->installed++;
        tree_close(node, installed.tree, false);
        dump_transfer_finish(node->transfer, cluster->now, true);
    } else {
        node->refused++;
        tree_close(node, installed.tree, true);
        dump_transfer_finish(node->transfer, cluster->now, false);
    }
}

static inline void step(void)
{
    run_links();
    run_packets();
    run_jobs();
    for (raft_id id = 1; id <= NODES; id++) {
        struct node_double *node = &nodes[id];

        if (!silent[id]) {
            run_install_of(node);
            (void)dump_transfer_tick(node->transfer, cluster->now,
                                     (struct tree_store *)(void *)&node->tree);
        }
        cluster_touched(node->core);
    }
    cluster_stabilize(cluster);
    cluster_advance(cluster, cluster->now + STEP_US, true);
}

static inline void run(uint64_t us)
{
    for (uint64_t until = cluster->now + us; cluster->now < until;) {
        step();
    }
}

static inline void cut(raft_id id, bool is_cut)
{
    for (raft_id other = 1; other <= NODES; other++) {
        cluster->cut[id][other] = is_cut && other != id;
        cluster->cut[other][id] = is_cut && other != id;
    }
}

/* Nodes 1 .. 4 form a cluster that node 1 leads and may always lead again; node 4, and node 3 if
 * asked, are too far behind for the log. */
static inline void begin(bool two_behind)
{
    struct raft_options options = raft_options_default(1);
    struct raft_config config;

    log_set_level(LOG_LEVEL_ERROR);
    options.log_entries_max = 1024;
    prng_init(&prng, 1);
    cluster = cluster_new(&options, 1, NULL);
    memset(nodes, 0, sizeof nodes);
    memset(&config, 0, sizeof config);
    memset(silent, 0, sizeof silent);
    sent_dispute.count = 0;
    no_dump_of = 0;
    memset(link_up, 0, sizeof link_up);
    memset(link_coming, 0, sizeof link_coming);
    memset(link_cut, 0, sizeof link_cut);
    trouble = 0;
    job_us = 50000;
    resumed = 0;
    for (raft_id id = 1; id <= NODES; id++) {
        nodes[id].id = id;
        nodes[id].core = cluster_add_node(cluster);
        config.members[id - 1] =
            cluster_member(nodes[id].core, id <= 2 ? RAFT_VOTER_NEW : RAFT_LEARNER);
        open_transfer(&nodes[id]);
    }
    config.member_count = NODES;
    EXPECT_OK(cluster_bootstrap(cluster, nodes[1].core, &config));
    EXPECT_OK(cluster_bootstrap(cluster, nodes[2].core, &config));
    cluster->cut[2][1] = false;
    while (raft_status(nodes[1].core->raft).role != RAFT_LEADER) {
        run(SECOND);
        if (raft_status(nodes[2].core->raft).role == RAFT_LEADER) {
            EXPECT_OK(raft_transfer(nodes[2].core->raft, cluster->now, 1));
            cluster_touched(nodes[2].core);
        }
    }
    cut(4, true);
    cut(3, two_behind);
    run(SECOND);
    EXPECT_OK(cluster_propose(cluster, nodes[1].core, 50, 10));
    run(SECOND);
    for (raft_id id = 1; id <= 3; id++) {
        if (id == 1 || (id == 2 && !second_keeps_its_log) || (id == 3 && !two_behind)) {
            cluster_checkpoint(cluster, nodes[id].core);
            cluster_trim(cluster, nodes[id].core, nodes[id].core->applied);
        }
    }
    EXPECT_OK(cluster_propose(cluster, nodes[1].core, 5, 10));
    run(SECOND);
    cut(3, false);
    cut(4, false);
}

static inline void end(void)
{
    trouble = 0;
    for (size_t i = 0; i < 20000 && job_count > 0; i++) {
        step();
    }
    EXPECT_EQ(job_count, 0);
    for (raft_id id = 1; id <= NODES; id++) {
        dump_transfer_free(nodes[id].transfer);
        buffer_release(&nodes[id].tree.config);
        EXPECT(!nodes[id].tree.open);
    }
    EXPECT_EQ(file_count(), 0);
    for (size_t i = 0; i < packet_count; i++) {
        free(packets[i].data);
    }
    packet_count = 0;
    cluster_free(cluster);
}

static inline bool run_until_installed(raft_id id, uint64_t us)
{
    uint64_t until = cluster->now + us;

    while (nodes[id].installed == 0 && cluster->now < until) {
        step();
    }
    return nodes[id].installed == 1;
}

#endif

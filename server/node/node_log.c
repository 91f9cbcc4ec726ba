#include "server/node/node_log.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/mark.h"
#include "server/node/config_codec.h"
#include "server/node/peer_codec.h"

#include <stdlib.h>
#include <string.h>

enum { KEPT_FOR_DUMP_BYTES_MAX = 256 * 1024 * 1024 };

/* A write under way, and what it lends to the log thread. */
struct write_job {
    struct log_job job;
    struct payload **payloads;
    struct log_witness *witnesses; /* NULL: a write of the core */
};

/* A message that waits for its entries to be read. */
struct read_job {
    struct log_job job;
    struct raft_message message;
};

static struct payload *make_own_payload(struct node *node, raft_index index)
{
    struct raft_entry entry = raft_entry_at(node->raft, index);
    struct buffer packed = BUFFER_INIT;
    struct payload *payload;

    if (entry.type == RAFT_ENTRY_CONFIG) {
        const struct raft_config *config = raft_config_at(node->raft, index);

        CHECK(config != NULL);
        config_codec_pack(config, &packed);
    } else {
        CHECK_OP(entry.type, ==, RAFT_ENTRY_NOOP);
    }
    payload = payload_copy(buffer_lend(&packed));
    buffer_release(&packed);
    return payload;
}

void node_log_cache_own(struct node *node, raft_index end)
{
    while (node->cache.next < end) {
        entry_cache_put(&node->cache, node->cache.next, make_own_payload(node, node->cache.next));
    }
}

static void lend_entries(struct node *node, struct write_job *write, struct raft_range range)
{
    size_t count = (size_t)(range.last - range.first + 1);
    struct log_entry *entries = xcalloc(count, sizeof *entries);

    write->payloads = xcalloc(count, sizeof(struct payload *));
    for (size_t i = 0; i < count; i++) {
        raft_index index = range.first + i;
        struct raft_entry entry = raft_entry_at(node->raft, index);
        struct payload *payload = entry_cache_find(&node->cache, index);

        CHECK(payload != NULL);
        write->payloads[i] = payload_ref(payload);
        entries[i] = (struct log_entry){.index = index,
                                        .term = entry.term,
                                        .type = entry.type,
                                        .payload = payload_lend(payload)};
    }
    write->job.write.entries = entries;
    write->job.write.entry_count = count;
}

static struct write_job *write_job_new(struct node *node)
{
    struct write_job *job = xcalloc(1, sizeof *job);

    list_init(&job->job.link);
    job->job.kind = LOG_JOB_WRITE;
    job->job.context = node;
    return job;
}

static void submit_write(struct node *node, struct write_job *job)
{
    node->log_jobs++;
    node->port.log_submit(node->port.context, &job->job);
}

void node_log_write(struct node *node, const struct raft_write *write)
{
    struct write_job *job = write_job_new(node);

    job->job.seq = write->seq;
    job->job.write.hard_state = write->hard_state;
    job->job.write.term = write->term;
    job->job.write.vote = write->vote;
    if (write->reset) {
        job->job.write.reset = true;
        job->job.write.reset_index = write->reset_index;
        job->job.write.reset_term = write->reset_term;
        job->job.write.tree_generation = node->installed.generation;
        node->installed_seq = write->seq;
    }
    if (write->entries.first <= write->entries.last) {
        node_log_cache_own(node, write->entries.last + 1);
        lend_entries(node, job, write->entries);
    }
    job->job.write.trim = node->log_trim;
    node->log_trim_told = node->log_trim;
    node->written_seq = write->seq;
    submit_write(node, job);
}

void node_log_keep_witnesses(struct node *node)
{
    struct write_job *job = write_job_new(node);

    /* A copy also of none, for the pointer. */
    job->witnesses = xcalloc(node->witnesses.count + 1, sizeof *job->witnesses);
    memcpy(job->witnesses, node->witnesses.witnesses,
           node->witnesses.count * sizeof *job->witnesses);
    job->job.write.witnesses = job->witnesses;
    job->job.write.witness_count = node->witnesses.count;
    node->witness_jobs++;
    submit_write(node, job);
}

/* No write of the core's: the entries are what they were. */
void node_log_switch(struct node *node)
{
    struct write_job *job = write_job_new(node);

    job->job.seq = node->written_seq;
    job->job.write.switch_tree = true;
    job->job.write.tree_generation = node->installed.generation;
    job->job.write.trim = node->installed.meta.applied_index;
    job->job.write.trim_term = node->installed.meta.applied_term;
    submit_write(node, job);
}

void node_log_tell_trim(struct node *node)
{
    struct write_job *job;

    if (node->log_jobs == 0 || node->log_trim <= node->log_trim_told) {
        return;
    }
    MARK(trim_told_without_a_write);
    job = write_job_new(node);
    job->job.seq = node->written_seq;
    job->job.write.trim = node->log_trim;
    node->log_trim_told = node->log_trim;
    submit_write(node, job);
}

static void finish_write(struct node *node, struct write_job *write)
{
    if (write->witnesses != NULL) {
        node->witness_jobs--;
        free(write->witnesses);
        free(write);
        return;
    }
    node->switch_is_durable = node->switch_is_durable || write->job.write.switch_tree;
    for (size_t i = 0; i < write->job.write.entry_count; i++) {
        payload_unref(write->payloads[i]);
    }
    free(write->payloads);
    free((void *)(uintptr_t)write->job.write.entries);
    if (!node->failed) {
        node->durable_seq = write->job.seq;
        if (write->job.write.hard_state) {
            node->durable_term = write->job.write.term;
        }
        raft_persisted(node->raft, node_now(node), write->job.seq);
    }
    free(write);
}

/* --- Messages --- */

static void pack_and_send(struct node *node,
                          const struct raft_message *message,
                          const struct raft_entry *entries,
                          const struct bytes *payloads)
{
    buffer_clear(&node->turn_buffer);
    peer_codec_pack_raft(message, entries, payloads, &node->turn_buffer);
    (void)node->port.send(node->port.context, message->to, buffer_lend(&node->turn_buffer),
                          message->type == RAFT_HEARTBEAT && message->heartbeat.quiet);
}

static void read_then_send(struct node *node, const struct raft_message *message)
{
    struct read_job *job = xcalloc(1, sizeof *job);

    list_init(&job->job.link);
    job->job.kind = LOG_JOB_READ;
    job->job.context = node;
    job->job.first = message->append.previous_index + 1;
    job->job.last = message->append.previous_index + message->append.entry_count;
    job->job.bytes_max = SIZE_MAX;
    job->message = *message;
    node->log_jobs++;
    node->port.log_submit(node->port.context, &job->job);
}

static void send_append(struct node *node, const struct raft_message *message)
{
    struct raft_entry entries[RAFT_MESSAGE_ENTRIES_MAX];
    struct bytes payloads[RAFT_MESSAGE_ENTRIES_MAX];

    for (uint32_t i = 0; i < message->append.entry_count; i++) {
        raft_index index = message->append.previous_index + 1 + i;
        const struct payload *payload = entry_cache_find(&node->cache, index);

        if (payload == NULL) {
            MARK(entries_for_a_lagging_member_read_from_disk);
            read_then_send(node, message);
            return;
        }
        entries[i] = raft_entry_at(node->raft, index);
        payloads[i] = payload_lend(payload);
    }
    pack_and_send(node, message, entries, payloads);
}

void node_log_send(struct node *node, const struct raft_message *message)
{
    if (message->type == RAFT_APPEND) {
        node_log_cache_own(node, message->append.previous_index + message->append.entry_count + 1);
        send_append(node, message);
    } else {
        pack_and_send(node, message, NULL, NULL);
    }
}

static void finish_read(struct node *node, struct read_job *read)
{
    const struct log_job *job = &read->job;
    struct raft_entry entries[RAFT_MESSAGE_ENTRIES_MAX];
    struct bytes payloads[RAFT_MESSAGE_ENTRIES_MAX];

    if (!node->failed && job->read_status == STATUS_IO) {
        node_fail(node, &job->read_error);
    }
    if (!node->failed && job->read_status == STATUS_CORRUPT) {
        struct error error;

        (void)error_set(&error, STATUS_CORRUPT,
                        "log entry %" PRIu64 " or a later one is damaged; remove this member, wipe "
                        "its data folder and add it again",
                        job->first);
        node_damaged(node, &error);
    }
    MARK_IF(!node->failed && job->read_status == STATUS_NOT_FOUND,
            entries_trimmed_before_they_were_read);
    /* Trimmed meanwhile: the message is dropped, as the network may drop any. The core was told of
     * the trim and will have the peer take a dump. */
    if (!node->failed && job->read_status == STATUS_OK &&
        job->entry_count == read->message.append.entry_count) {
        for (size_t i = 0; i < job->entry_count; i++) {
            entries[i] = (struct raft_entry){.term = job->entries[i].term,
                                             .bytes = (uint32_t)job->entries[i].payload.size,
                                             .type = job->entries[i].type};
            payloads[i] = job->entries[i].payload;
        }
        pack_and_send(node, &read->message, entries, payloads);
    }
    buffer_release(&read->job.payloads);
    free(read->job.entries);
    free(read);
}

void node_log_on_done(struct node *node, struct log_job *job)
{
    node->log_jobs--;
    if (job->kind == LOG_JOB_WRITE) {
        finish_write(node, CONTAINER_OF(job, struct write_job, job));
    } else {
        finish_read(node, CONTAINER_OF(job, struct read_job, job));
    }
}

/* --- Trimming --- */

/* The first entry that is kept whatever the checkpoint covers: of the tail, and of what follows the
 * dump that a member gets, who would else be too far behind again when it has it. */
static raft_index tail_start(const struct node *node, raft_index dump_index)
{
    /* Asked anew: a message of this turn may have cut the log off. */
    const struct raft_status status = raft_status(node->raft);
    raft_index index = status.last_index;
    uint64_t bytes = 0;
    uint64_t count = 0;

    while (index > status.log_base) {
        bytes += raft_entry_at(node->raft, index).bytes;
        if ((bytes > node->options.log_tail_bytes_max ||
             count >= node->options.log_tail_entries_max) &&
            (index <= dump_index || bytes > KEPT_FOR_DUMP_BYTES_MAX)) {
            break;
        }
        count++;
        index--;
    }
    return index + 1;
}

static void trim_to(struct node *node, raft_index index)
{
    raft_index target = index < node->checkpointed_index ? index : node->checkpointed_index;

    if (target > node->log_trim) {
        node->log_trim = target;
        raft_trim(node->raft, target);
    }
}

void node_log_trim(struct node *node, raft_index dump_index)
{
    trim_to(node, tail_start(node, dump_index) - 1);
}

bool node_log_is_crowded(const struct node *node)
{
    uint64_t held = node->status.last_index - node->status.log_base;

    return held >= node->options.raft.log_entries_max / 4 * 3;
}

void node_log_make_room(struct node *node)
{
    if (node_log_is_crowded(node)) {
        MARK(crowded_log_trimmed_beyond_its_tail);
        trim_to(node, node->status.last_index - node->options.raft.log_entries_max / 2);
    }
}

#include "server/node/node_scrub.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/mark.h"

#include <inttypes.h>
#include <stdlib.h>

static const struct scrub_pace tree_pace = {
    .interval_us = 500 * 1000, .bytes_min = 1 << 20, .bytes_max = 32 << 20};
static const struct scrub_pace log_pace = {
    .interval_us = 500 * 1000, .bytes_min = 1 << 20, .bytes_max = 8 << 20};
static const struct scrub_pace memory_pace = {
    .interval_us = 10 * 1000, .bytes_min = 64 << 10, .bytes_max = 1 << 20};

static uint64_t earlier(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

/* --- The checkpoint --- */

void node_scrub_weigh(struct bytes key, struct bytes value, uint64_t *count, uint64_t *sum)
{
    struct state_digest share = state_digest_share(key, value);

    *count += share.record_count;
    *sum += share.sum;
}

static uint64_t scrub_tree(struct node *node)
{
    uint64_t due_us = scrub_pass_due(&node->tree_pass, &tree_pace);
    struct checkpoint_job *job;

    if (node->scrub_job != NULL) {
        return UINT64_MAX;
    }
    if (node_now(node) < due_us) {
        return due_us;
    }
    job = xcalloc(1, sizeof *job);
    list_init(&job->link);
    job->kind = CHECKPOINT_JOB_SCRUB;
    job->context = node;
    job->store = node->tree;
    job->weigh = node_scrub_weigh;
    job->scrub_bytes_max = scrub_pass_begin(&node->tree_pass, &tree_pace, node_now(node),
                                            node->port.tree_bytes(node->port.context, node->tree));
    node->scrub_job = job;
    node->port.checkpoint_submit(node->port.context, job);
    return UINT64_MAX;
}

void node_scrub_on_checkpoint_done(struct node *node, struct checkpoint_job *job)
{
    node->scrub_job = NULL;
    if (!node->failed) {
        scrub_pass_end(&node->tree_pass, node_now(node),
                       job->scrubbed.finished || job->error.status != STATUS_OK);
        if (job->error.status == STATUS_CORRUPT) {
            MARK(damage_found_in_the_checkpoint);
            node_damage_found(node, &job->error);
        } else if (job->error.status != STATUS_OK) {
            log_event(LOG_LEVEL_WARN, "scrub_failed", "reason=%s", log_quote(job->error.text));
        }
    }
    free(job);
}

/* --- The log --- */

static uint64_t scrub_log(struct node *node)
{
    uint64_t due_us = scrub_pass_due(&node->log_pass, &log_pace);
    raft_index first =
        node->log_scrubbed > node->status.log_base ? node->log_scrubbed : node->status.log_base;
    struct log_job *job;
    uint64_t bytes;

    if (node->log_scrub_job != NULL) {
        return UINT64_MAX;
    }
    if (node_now(node) < due_us) {
        return due_us;
    }
    /* How many bytes there are nobody knows; the tail is most of them. */
    bytes = scrub_pass_begin(&node->log_pass, &log_pace, node_now(node),
                             node->options.log_tail_bytes_max);
    if (first >= node->status.durable_index) {
        node->log_scrubbed = 0;
        scrub_pass_end(&node->log_pass, node_now(node), true);
        return scrub_pass_due(&node->log_pass, &log_pace);
    }
    job = xcalloc(1, sizeof *job);
    list_init(&job->link);
    job->kind = LOG_JOB_READ;
    job->context = node;
    job->first = first + 1;
    job->last = node->status.durable_index;
    job->bytes_max = (size_t)bytes;
    node->log_scrub_job = job;
    node->port.log_submit(node->port.context, job);
    return UINT64_MAX;
}

static void take_log_slice(struct node *node, const struct log_job *job)
{
    if (job->read_status == STATUS_CORRUPT) {
        MARK(damage_found_in_the_log);
        node->log_scrubbed = 0;
        scrub_pass_end(&node->log_pass, node_now(node), true);
        node_damage_found(node, &job->read_error);
        return;
    }
    /* Trimmed, or cut by a leader: go on at what is there now. Any other failure shows elsewhere.
     */
    if (job->read_status == STATUS_OK && job->entry_count > 0) {
        node->log_scrubbed = job->first + job->entry_count - 1;
    }
    scrub_pass_end(&node->log_pass, node_now(node), job->read_status != STATUS_OK);
}

void node_scrub_on_log_done(struct node *node, struct log_job *job)
{
    node->log_scrub_job = NULL;
    if (!node->failed) {
        take_log_slice(node, job);
    }
    buffer_release(&job->payloads);
    free(job->entries);
    free(job);
}

/* --- Memory --- */

static uint64_t scrub_memory(struct node *node)
{
    uint64_t due_us = scrub_pass_due(&node->memory_pass, &memory_pace);
    struct error error;
    size_t bytes = 0;
    size_t bytes_max;

    if (node_now(node) < due_us) {
        return due_us;
    }
    bytes_max = (size_t)scrub_pass_begin(&node->memory_pass, &memory_pace, node_now(node),
                                         state_memory_bytes(node->state));
    if (state_verify(node->state, &node->memory_position, bytes_max, &bytes, &error) != STATUS_OK) {
        MARK(damage_found_in_memory);
        node->memory_position = 0;
        node_damaged(node, &error);
    }
    scrub_pass_end(&node->memory_pass, node_now(node), node->memory_position == 0);
    return scrub_pass_due(&node->memory_pass, &memory_pace);
}

uint64_t node_scrub_tick(struct node *node)
{
    uint64_t next_us;

    if (node->is_condemned || node->installing || node->draining) {
        return UINT64_MAX;
    }
    next_us = scrub_memory(node);
    if (node->is_condemned || node->failed) {
        return UINT64_MAX;
    }
    next_us = earlier(next_us, scrub_log(node));
    return earlier(next_us, scrub_tree(node));
}

void node_scrub_restart(struct node *node)
{
    node->memory_position = 0;
    node->log_scrubbed = 0;
    node->tree_pass = (struct scrub_pass){.is_running = false};
    node->log_pass = (struct scrub_pass){.is_running = false};
    node->memory_pass = (struct scrub_pass){.is_running = false};
}

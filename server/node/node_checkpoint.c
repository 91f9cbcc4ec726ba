#include "server/node/node_checkpoint.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mark.h"
#include "server/node/node_agreement.h"
#include "server/node/node_log.h"
#include "server/node/node_repair.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    RETRY_COMMIT_US = 1000 * 1000,
    HOLD_INTERVAL_US = 50 * 1000,
    HELD_COUNT_MAX = 4,
    WAITS_MAX = 3
};

/* Whether records, bytes, age, or the length of the log call for a checkpoint. */
static bool is_due(struct node *node)
{
    struct state_dirty dirty = state_dirty(node->state);

    if (state_applied(node->state) <= node->checkpointed_index) {
        return false;
    }
    return dirty.record_count >= node->options.checkpoint_records_max ||
           dirty.bytes >= node->options.checkpoint_bytes_max || node_log_is_crowded(node) ||
           node->entries_since_checkpoint >= node->options.log_tail_entries_max ||
           node->bytes_since_checkpoint >= node->options.log_tail_bytes_max ||
           (dirty.record_count > 0 &&
            node_now(node) - node->checkpointed_us >= node->options.checkpoint_interval_us);
}

/* An incoming dump replaces this generation: nothing more is put into it. */
static bool is_to_be_replaced(const struct node *node)
{
    return node->installing || node->is_condemned || dump_transfer_status(node->dumps).receiving;
}

/* As much is dirty as starts so many checkpoints. */
static bool is_large(struct node *node, uint64_t count)
{
    struct state_dirty dirty = state_dirty(node->state);

    return dirty.record_count >= count * node->options.checkpoint_records_max ||
           dirty.bytes >= count * node->options.checkpoint_bytes_max;
}

/* For a vote on the one before, which the next one replaces. */
static bool is_held(struct node *node)
{
    return node_repair_holds_checkpoint(node) && !node_log_is_crowded(node) &&
           !is_large(node, HELD_COUNT_MAX);
}

enum checkpoint_pace node_checkpoint_pace(struct node *node)
{
    if (!is_large(node, 1)) {
        return CHECKPOINT_KEEPS_UP;
    }
    if (state_dirty(node->state).sealed) {
        return CHECKPOINT_IS_AWAITED;
    }
    return node->commit_job == NULL && is_due(node) && !is_to_be_replaced(node) && !is_held(node)
               ? CHECKPOINT_BEGINS
               : CHECKPOINT_KEEPS_UP;
}

static void submit(struct node *node)
{
    node->commit_waits = false;
    node->port.checkpoint_submit(node->port.context, node->commit_job);
}

static void seal(struct node *node)
{
    struct checkpoint_job *job = xcalloc(1, sizeof *job);
    const struct state_record *records;
    raft_index applied = state_applied(node->state);
    struct state_digest digest = state_digest(node->state);
    size_t count;

    node->sealed = state_seal(node->state);
    records = state_generation_records(node->sealed, &count);
    node->sealed_records = xcalloc(count, sizeof *node->sealed_records);
    for (size_t i = 0; i < count; i++) {
        node->sealed_records[i] = (struct tree_record){
            .key = records[i].key, .value = records[i].value, .removed = records[i].removed};
    }
    buffer_clear(&node->sealed_config);
    buffer_put(&node->sealed_config, buffer_lend(&node->applied_config));
    list_init(&job->link);
    job->kind = CHECKPOINT_JOB_COMMIT;
    job->context = node;
    job->store = node->tree;
    job->records = node->sealed_records;
    job->record_count = count;
    job->meta = (struct tree_meta){.applied_index = applied,
                                   .applied_term = raft_term_at(node->raft, applied),
                                   .config_index = node->applied_config_index,
                                   .config = buffer_lend(&node->sealed_config),
                                   .record_count = digest.record_count,
                                   .record_sum = digest.sum};
    node->commit_job = job;
    node->bytes_since_checkpoint = 0;
    node->entries_since_checkpoint = 0;
    node->checkpointed_us = node_now(node);
    submit(node);
}

uint64_t node_checkpoint_tick(struct node *node)
{
    uint64_t now_us = node_now(node);

    if (node->commit_job != NULL) {
        if (!node->commit_waits || node->installing) {
            return UINT64_MAX;
        }
        if (now_us >= node->retry_commit_us) {
            MARK(checkpoint_tried_again_after_full_disk);
            submit(node);
            return UINT64_MAX;
        }
        return node->retry_commit_us;
    }
    if (is_to_be_replaced(node)) {
        if (is_due(node)) {
            MARK(checkpoint_put_off_for_a_dump);
        }
        return UINT64_MAX;
    }
    if (is_held(node)) {
        return now_us + HOLD_INTERVAL_US;
    }
    if (is_due(node) ||
        (node->wants_checkpoint && state_applied(node->state) > node->checkpointed_index)) {
        seal(node);
        if (node->wants_checkpoint) {
            node->wants_checkpoint = false;
            node_agreement_name(node);
        }
        return UINT64_MAX;
    }
    /* A fresh state has records that no entry made: nothing is due for them. */
    return state_dirty(node->state).record_count > 0 &&
                   state_applied(node->state) > node->checkpointed_index
               ? node->checkpointed_us + node->options.checkpoint_interval_us
               : UINT64_MAX;
}

static void forget_job(struct node *node)
{
    node->commit_waits = false;
    node->commit_wait_count = 0;
    free(node->commit_job);
    node->commit_job = NULL;
    free(node->sealed_records);
    node->sealed_records = NULL;
}

static void finish(struct node *node)
{
    raft_index index = node->commit_job->meta.applied_index;
    size_t count = node->commit_job->record_count;
    struct error error;

    forget_job(node);
    if (node->port.tree_renew(node->port.context, node->tree, &error) != STATUS_OK) {
        node_fail(node, &error);
        return;
    }
    state_generation_end(node->state, node->sealed);
    node->sealed = NULL;
    node->checkpointed_index = index;
    node_log_trim(node, node_repair_dump_index(node));
    log_event(LOG_LEVEL_DEBUG, "checkpoint", "zxid=%" PRIu64 " records=%zu", index, count);
}

void node_checkpoint_on_done(struct node *node, struct checkpoint_job *job)
{
    if (node->failed) {
        forget_job(node);
    } else if (job->error.status == STATUS_OK) {
        finish(node);
    } else if (job->error.status == STATUS_NO_SPACE) {
        if (node->commit_wait_count == 0) {
            log_event(LOG_LEVEL_WARN, "checkpoint_waits", "reason=%s", log_quote(job->error.text));
        }
        node->commit_wait_count++;
        node->commit_waits = true;
        node->retry_commit_us = node_now(node) + RETRY_COMMIT_US;
    } else {
        struct error error = job->error;

        forget_job(node);
        node_fail(node, &error);
    }
}

bool node_checkpoint_is_under_way(const struct node *node)
{
    return node->commit_job != NULL && !node->commit_waits;
}

bool node_checkpoint_has_no_room(const struct node *node)
{
    return node->commit_wait_count >= WAITS_MAX && node->space.is_tree_full;
}

void node_checkpoint_drop(struct node *node)
{
    CHECK(!node_checkpoint_is_under_way(node));
    forget_job(node);
    node->sealed = NULL;
}

void node_checkpoint_release(struct node *node)
{
    forget_job(node);
    buffer_release(&node->sealed_config);
}

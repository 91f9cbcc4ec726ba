#include "server/node/node_sweep.h"

#include "base/log.h"
#include "base/mark.h"
#include "proto/record.pb-c.h"
#include "server/node/node_proposals.h"

/* A sweep that could not be proposed or that came to nothing is tried again. */
enum { RETRY_US = 1000 * 1000 };

/* One is under way at a time. As long as something was removed there may be more: a batch is
 * bounded, and a container may have been the last child of another. */
static void on_swept(void *context, Client__Code code, const struct state_result *result)
{
    struct node *node = context;

    node->is_sweeping = false;
    if (code == CLIENT__CODE__OK && result->change_count > 0) {
        log_event(LOG_LEVEL_DEBUG, "swept", "nodes=%zu", result->change_count);
        node->sweep_us = node_now(node);
    } else if (code != CLIENT__CODE__OK) {
        node->sweep_us = node_now(node) + RETRY_US;
    }
    MARK_IF(code == CLIENT__CODE__OK && result->change_count == 0, sweep_found_nothing_any_more);
}

static void propose(struct node *node)
{
    Record__Command command = RECORD__COMMAND__INIT;
    Record__Sweep sweep = RECORD__SWEEP__INIT;

    sweep.count_max = node->options.sweep_count_max;
    command.body_case = RECORD__COMMAND__BODY_SWEEP;
    command.sweep = &sweep;
    buffer_clear(&node->turn_buffer);
    (void)record__command__pack(
        &command, buffer_extend(&node->turn_buffer, record__command__get_packed_size(&command)));
    node->is_sweeping =
        node_propose(node, BYTES_EMPTY, buffer_lend(&node->turn_buffer), on_swept, node) != NULL;
    if (!node->is_sweeping) {
        on_swept(node, CLIENT__CODE__BUSY, NULL);
    }
}

/* By the stamp that a command would have now. */
static bool has_due(struct node *node)
{
    uint64_t wall_ms = node->port.wall_ms(node->port.context);
    uint64_t applied_ms = state_time_ms(node->state);
    bool has_due = false;
    enum status status =
        state_has_due(node->state, wall_ms > applied_ms ? wall_ms : applied_ms, &has_due);

    if (status != STATUS_OK) {
        struct error error;

        (void)error_set(
            &error, status,
            "cannot look for due nodes: %s while reading the checkpoint; if its disk is "
            "sound, remove this member, wipe its data folder and add it again",
            status_text(status));
        node_damaged(node, &error);
    }
    return has_due;
}

void node_sweep_soon(struct node *node)
{
    node->sweep_us = node_now(node);
}

uint64_t node_sweep_tick(struct node *node)
{
    if (!node_may_place(node) || node->draining) {
        node->sweep_us = 0;
        return UINT64_MAX;
    }
    if (node->sweep_us == 0) {
        node->sweep_us = node_now(node); /* the former leader may have died in the middle */
    }
    if (!node->is_sweeping && node->sweep_us <= node_now(node)) {
        node->sweep_us = node_now(node) + node->options.sweep_interval_us;
        if (has_due(node)) {
            propose(node);
        }
    }
    return node->is_sweeping ? UINT64_MAX : node->sweep_us;
}

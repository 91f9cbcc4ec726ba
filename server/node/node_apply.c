#include "server/node/node_apply.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mark.h"
#include "server/node/config_codec.h"
#include "server/node/node_agreement.h"
#include "server/node/node_checkpoint.h"
#include "server/node/node_clients.h"
#include "server/node/node_proposals.h"
#include "server/node/node_repair.h"
#include "server/node/node_scrub.h"
#include "server/node/node_sessions.h"
#include "server/node/node_sweep.h"

#include <string.h>

enum {
    /* Applied in one turn, so that messages never wait long. The last entry may pass both. */
    TURN_WORK_MAX = 4096, /* state_result.work */
    TURN_BYTES_MAX = 8 * 1024 * 1024
};

/* --- In the place of a damaged state --- */

static enum status open_stand_in(struct node *node, zxid applied, struct error *error)
{
    const struct state_options options = {.applied = applied};

    return state_new(&options, &state_source_empty, &node->state, error);
}

static bool names_other_voter(struct bytes packed, raft_id self)
{
    struct raft_config config;
    bool found = false;

    if (packed.size == 0 || config_codec_unpack(packed, &config) != STATUS_OK) {
        return false;
    }
    for (uint32_t i = 0; i < config.member_count; i++) {
        found = found || (config.members[i].id != self &&
                          raft_config_is_voter(&config, config.members[i].id));
    }
    return found;
}

/* --- Opening --- */

static enum status
open_state(struct node *node, const struct tree_meta *meta, bool at_start, struct error *error)
{
    const struct state_options options = {.cache_bytes_max = node->options.cache_bytes_max,
                                          .hash_seed = node->options.seed};
    const struct state_source source = node->port.tree_source(node->port.context, node->tree);
    enum status status;

    if (at_start && node->options.tree_is_condemned) {
        return open_stand_in(node, meta->applied_index, error);
    }
    status = state_new(&options, &source, &node->state, error);
    if (at_start && status == STATUS_CORRUPT && names_other_voter(meta->config, node->options.id)) {
        (void)error_set(&node->boot_damage, status, "%s", error->text);
        return open_stand_in(node, meta->applied_index, error);
    }
    return status;
}

static enum status open_tree(struct node *node, bool at_start, struct error *error)
{
    struct tree_meta meta;
    enum status status;

    if (node->tree == NULL) {
        status =
            node->port.tree_open(node->port.context, node->tree_generation, &node->tree, error);
        if (status != STATUS_OK) {
            return status;
        }
    }
    meta = node->port.tree_meta(node->port.context, node->tree);
    status = open_state(node, &meta, at_start, error);
    if (status != STATUS_OK) {
        return status;
    }
    if (meta.applied_index != 0 && meta.applied_index != state_applied(node->state)) {
        return error_set(error, STATUS_CORRUPT,
                         "the checkpoint says it ends at index %" PRIu64 ", its state at %" PRIu64
                         "; remove this member, wipe its data folder and add it again",
                         meta.applied_index, state_applied(node->state));
    }
    buffer_clear(&node->applied_config);
    buffer_put(&node->applied_config, meta.config);
    node->applied_config_index = meta.config_index;
    node->checkpointed_index = meta.applied_index;
    node->checkpointed_us = node_now(node);
    node->bytes_since_checkpoint = 0;
    node->entries_since_checkpoint = 0;
    return STATUS_OK;
}

enum status node_apply_open(struct node *node, struct error *error)
{
    return open_tree(node, true, error);
}

void node_apply_close(struct node *node)
{
    state_free(node->state);
    node->state = NULL;
    if (node->tree != NULL) {
        node->port.tree_close(node->port.context, node->tree, false);
        node->tree = NULL;
    }
    buffer_release(&node->applied_config);
}

static void tell_of_changes(struct node *node, zxid at, const struct state_result *result)
{
    history_add(node->history, at, result->changes, result->change_count);
    if (node->observer.on_changes != NULL && result->change_count > 0) {
        node->observer.on_changes(node->observer.context, result->changes, result->change_count);
    }
    for (size_t i = 0; i < result->change_count; i++) {
        if (result->changes[i].kind >= STATE_SESSION_OPENED) {
            node_sessions_on_change(node, &result->changes[i]);
            node_clients_on_session_change(node, &result->changes[i]);
        }
    }
}

/* By the leader alone, and not for every write beyond a limit. */
static void warn_of_quota(struct node *node, struct bytes path)
{
    enum { INTERVAL_US = 1000 * 1000 };

    if (node->led_term != 0 && node_now(node) >= node->quota_warned_us + INTERVAL_US) {
        char *text = arena_text(&node->turn_arena, path);

        node->quota_warned_us = node_now(node);
        log_event(LOG_LEVEL_WARN, "quota_passed", "path=%s", log_quote(text));
        arena_reset(&node->turn_arena);
    }
}

static void fail_to_apply(struct node *node, raft_index index, enum status status)
{
    struct error error;

    (void)error_set(&error, status,
                    "cannot apply entry %" PRIu64
                    ": %s while reading the checkpoint; if its disk is sound, remove this "
                    "member, wipe its data folder and add it again",
                    index, status_text(status));
    node_damaged(node, &error);
}

/* Returns how much work it was. */
static size_t apply_command(
    struct node *node, raft_index index, raft_term term, struct bytes payload, struct arena *arena)
{
    struct state_result result;
    enum status status = state_apply(node->state, index, payload, arena, &result);

    if (status != STATUS_OK) {
        fail_to_apply(node, index, status);
        return 0;
    }
    MARK(command_applied_and_nobody_knows);
    if (result.quota_passed.size > 0) {
        warn_of_quota(node, result.quota_passed);
    }
    if (result.ephemerals_left) {
        node_sweep_soon(node);
    }
    tell_of_changes(node, index, &result);
    node_proposals_applied(node, index, term, payload, &result);
    return result.work;
}

static void apply_config(
    struct node *node, raft_index index, raft_term term, struct bytes payload, struct arena *arena)
{
    struct state_result result;
    enum status status = state_apply_config(node->state, index, payload, arena, &result);

    if (status != STATUS_OK) {
        fail_to_apply(node, index, status);
        return;
    }
    buffer_clear(&node->applied_config);
    buffer_put(&node->applied_config, payload);
    MARK(configuration_applied);
    node->applied_config_index = index;
    tell_of_changes(node, index, &result);
    node_proposals_applied(node, index, term, BYTES_EMPTY, NULL);
}

static void skip(struct node *node, raft_index index, raft_term term)
{
    state_skip(node->state, index);
    history_add(node->history, index, NULL, 0);
    node_proposals_applied(node, index, term, BYTES_EMPTY, NULL);
}

bool node_apply_run(struct node *node)
{
    struct arena arena;
    uint64_t bytes = 0;
    size_t work = 0;
    bool more = false;

    if (node->installing || node->is_condemned) {
        return false;
    }
    arena_init(&arena);
    while (state_applied(node->state) < node->commit_index && !node->failed &&
           !node->is_condemned) {
        raft_index index = state_applied(node->state) + 1;
        struct raft_entry entry = raft_entry_at(node->raft, index);
        struct payload *payload = entry_cache_find(&node->cache, index);
        size_t entry_work = 0;
        enum checkpoint_pace pace;

        if (work >= TURN_WORK_MAX || bytes > TURN_BYTES_MAX) {
            more = true;
            break;
        }
        pace = node_checkpoint_pace(node);
        if (pace != CHECKPOINT_KEEPS_UP) {
            MARK_IF(pace == CHECKPOINT_IS_AWAITED, applying_waits_for_the_checkpoint);
            more = pace == CHECKPOINT_BEGINS;
            break;
        }
        CHECK(payload != NULL);
        payload = payload_ref(payload);
        if (entry.type == RAFT_ENTRY_COMMAND) {
            entry_work = apply_command(node, index, entry.term, payload_lend(payload), &arena);
        } else if (entry.type == RAFT_ENTRY_CONFIG) {
            apply_config(node, index, entry.term, payload_lend(payload), &arena);
        } else {
            skip(node, index, entry.term);
        }
        if (!node->is_condemned) {
            node_agreement_note(node);
        }
        bytes += payload->size;
        node->bytes_since_checkpoint += payload->size;
        node->bytes_since_space_check += payload->size;
        node->entries_since_checkpoint++;
        work += entry_work > 1 ? entry_work : 1;
        payload_unref(payload);
        arena_reset(&arena);
    }
    arena_release(&arena);
    return more;
}

/* --- A dump --- */

static void refuse_installation(struct node *node)
{
    node->port.tree_close(node->port.context, node->installed.tree, true);
    dump_transfer_finish(node->dumps, node_now(node), false);
}

static void switch_to_installed(struct node *node)
{
    struct tree_store *old = node->tree;
    struct error error;
    zxid applied = node->installed.meta.applied_index;

    MARK_IF(node->commit_job != NULL, dump_ends_the_wait_of_a_checkpoint);
    node_checkpoint_drop(node);
    state_free(node->state);
    node->state = NULL;
    node->tree = node->installed.tree;
    node->tree_generation = node->installed.generation;
    node->installing = false;
    node->options.tree_is_condemned = false;
    node->boot_damage.status = STATUS_OK;
    if (open_tree(node, false, &error) != STATUS_OK) {
        node->port.tree_close(node->port.context, old, false);
        node_fail(node, &error);
        return;
    }
    node->port.tree_close(node->port.context, old, true);
    MARK(switched_to_the_generation_of_a_dump);
    node->log_trim = applied;
    raft_trim(node->raft, applied);
    node_scrub_restart(node);
    node_agreement_reset(node);
    history_reset(node->history, applied);
    if (node->observer.on_replaced != NULL) {
        node->observer.on_replaced(node->observer.context);
    }
    node_proposals_skipped(node, applied);
    node_sessions_reload(node);
    node_clients_on_new_state(node);
    dump_transfer_finish(node->dumps, node_now(node), true);
    node_repair_done(node);
    log_event(LOG_LEVEL_INFO, "dump_installed", "zxid=%" PRIu64, applied);
}

static bool is_switched(struct node *node)
{
    if (node->installs_beside_log) {
        return node_repair_switch(node);
    }
    return node->installed_seq != 0 && node->durable_seq >= node->installed_seq;
}

void node_apply_install(struct node *node)
{
    enum status status;
    struct error error;

    if (node->installing) {
        if (is_switched(node)) {
            switch_to_installed(node);
        }
        return;
    }
    /* Jobs on the old generation must have come back before its tree is closed. */
    if (node_checkpoint_is_under_way(node) || node->scrub_job != NULL ||
        dump_transfer_jobs(node->dumps) > 0 || !dump_transfer_take(node->dumps, &node->installed)) {
        MARK_IF(node_checkpoint_is_under_way(node), install_may_wait_for_a_checkpoint);
        MARK_IF(dump_transfer_jobs(node->dumps) > 0, install_may_wait_for_a_dump);
        return;
    }
    if (!node->installed.is_vouched && !node_agreement_gives_way(node, node->installed.sender)) {
        MARK(dump_came_in_while_a_dispute_began);
        refuse_installation(node);
        return;
    }
    if (node_agreement_before_switch(node, &error) != STATUS_OK) {
        node_fail(node, &error);
        return;
    }
    node->installs_beside_log = node_repair_fits(node);
    node->switch_is_written = false;
    node->switch_is_durable = false;
    /* If the log has the entry of the dump, the core takes no more from this than that it is
     * committed. */
    status = raft_install(node->raft, node_now(node), node->installed.meta.applied_index,
                          node->installed.meta.applied_term, node->installed.sender_term,
                          node->installed.meta.config_index, &node->installed.config);
    if (node->installs_beside_log) {
        CHECK_OP(status, !=, STATUS_OK);
        node->installing = true;
        return;
    }
    if (status != STATUS_OK) {
        MARK(built_dump_refused_by_the_core);
        refuse_installation(node);
        return;
    }
    MARK_IF(node->commit_index > state_applied(node->state), dump_replaces_entries_not_applied_yet);
    node->installing = true;
    node->installed_seq = 0;
    entry_cache_reset(&node->cache, node->installed.meta.applied_index + 1);
}

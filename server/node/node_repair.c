#include "server/node/node_repair.h"

#include "base/log.h"
#include "base/mark.h"
#include "server/node/node_agreement.h"
#include "server/node/node_clients.h"
#include "server/node/node_log.h"
#include "server/node/node_proposals.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    ASK_INTERVAL_US = 100 * 1000,
    VOUCH_US = 10 * 1000 * 1000, /* without a majority for so long: try a later checkpoint */
    HOLD_US = 2 * 1000 * 1000,
    KEEP_US = 60 * 1000 * 1000
};

static bool has_other_voter(const struct node *node)
{
    const struct raft_config *config = raft_config_effective(node->raft);

    for (uint32_t i = 0; i < config->member_count; i++) {
        if (config->members[i].id != node->options.id &&
            raft_config_is_voter(config, config->members[i].id)) {
            return true;
        }
    }
    return false;
}

/* --- The damaged one --- */

static void enter(struct node *node)
{
    node->is_condemned = true;
    node->is_outgrown = false;
    node->told.zxid = 0;
    dump_transfer_set_repair(node->dumps,
                             state_applied(node->state) > 0 ? state_applied(node->state) : 1);
}

/* A record that is damaged says nothing against the log. A state that others do not have may come
 * of an entry that they do not have either: nobody must get that as their leader's. */
static void condemn(struct node *node, const struct error *found, bool is_log_suspect)
{
    struct error error;

    MARK(state_condemned);
    (void)snprintf(node->damage, sizeof node->damage, "%s", found->text);
    raft_set_barred(node->raft, is_log_suspect);
    log_event(LOG_LEVEL_ERROR, "state_condemned", "zxid=%" PRIu64 " reason=%s",
              state_applied(node->state), log_quote(found->text));
    if (node->port.tree_condemn(node->port.context, node->tree_generation, &error) != STATUS_OK) {
        node_fail(node, &error);
        return;
    }
    if (is_log_suspect) {
        node->dispute.count = 0; /* a majority has spoken */
    } else if (node_is_disputed(node)) {
        MARK(disputed_state_is_damaged_too);
        log_event(LOG_LEVEL_ERROR, "repair_disputed",
                  "zxid=%" PRIu64 " with=%" PRIu64 " reason=\"it differed from that member before: "
                  "only what a majority holds takes the place of its state\"",
                  state_applied(node->state), node->dispute.dissent[0].id);
    }
    enter(node);
    node_proposals_refuse_queued(node, CLIENT__CODE__STOPPING);
    node_clients_notify(node, CLIENT__NOTICE_KIND__GOING_AWAY, CLIENT__CODE__STOPPING);
    node->introduced_us = 0; /* the others hear of it at once */
}

void node_repair_on_damage(struct node *node, const struct error *error)
{
    if (node->failed || node->is_condemned) {
        return;
    }
    if (error->status == STATUS_CORRUPT && has_other_voter(node)) {
        condemn(node, error, false);
    } else {
        node_fail(node, error);
    }
}

void node_repair_on_difference(struct node *node, const struct error *error)
{
    if (!node->failed && !node->is_condemned) {
        condemn(node, error, true);
    }
}

void node_repair_on_discovery(struct node *node, const struct error *error)
{
    if (node->failed || node->is_condemned) {
        return;
    }
    if (has_other_voter(node)) {
        condemn(node, error, false);
    } else if (strcmp(node->damage, error->text) != 0) {
        MARK(damage_found_and_nobody_to_ask);
        (void)snprintf(node->damage, sizeof node->damage, "%s", error->text);
        log_event(LOG_LEVEL_ERROR, "damaged", "reason=%s", log_quote(error->text));
    }
}

void node_repair_start(struct node *node)
{
    if (node->options.tree_is_condemned) {
        MARK(repair_goes_on_after_a_restart);
        (void)snprintf(node->damage, sizeof node->damage,
                       "its state was found damaged before it was started");
        log_event(LOG_LEVEL_WARN, "repair_goes_on", "zxid=%" PRIu64, state_applied(node->state));
        raft_set_barred(node->raft, true); /* what was found is not known any more */
        enter(node);
    } else if (node->boot_damage.status != STATUS_OK) {
        condemn(node, &node->boot_damage, false);
    }
}

bool node_repair_fits(const struct node *node)
{
    raft_index index = node->installed.meta.applied_index;

    return (node->is_condemned || node->is_outgrown) && node->status.role != RAFT_LEADER &&
           index >= state_applied(node->state) &&
           raft_term_at(node->raft, index) == node->installed.meta.applied_term;
}

bool node_repair_switch(struct node *node)
{
    if (!node->switch_is_written && node->commit_index >= node->installed.meta.applied_index) {
        node_log_switch(node);
        node->switch_is_written = true;
    }
    return node->switch_is_durable;
}

void node_repair_done(struct node *node)
{
    if (!node->is_condemned) {
        return;
    }
    MARK(state_repaired);
    node->is_condemned = false;
    node->damage[0] = '\0';
    raft_set_barred(node->raft, false);
    dump_transfer_set_repair(node->dumps, 0);
    log_event(LOG_LEVEL_INFO, "state_repaired", "zxid=%" PRIu64, state_applied(node->state));
    node->introduced_us = 0;
}

/* --- The leader --- */

/* Of the dump that it asks for, or what is later; 0 = it asks for none. */
static zxid asked_zxid(const struct node *node, raft_id id)
{
    const struct member_report *report = node_linked_report(node, id);

    if (report == NULL) {
        return 0;
    }
    return report->repair_from != 0 ? report->repair_from : report->replace_from;
}

static bool asks_for_dump(const struct node *node, raft_id id)
{
    return asked_zxid(node, id) != 0;
}

static bool is_far_behind(const struct node *node, raft_id id)
{
    struct raft_peer_status status;

    return raft_peer_status(node->raft, id, &status) == STATUS_OK &&
           status.state == RAFT_PROGRESS_SNAPSHOT;
}

/* Who is away gets nothing now: no checkpoint is held for it. */
static bool lags(const struct node *node, raft_id id)
{
    return node_linked_report(node, id) != NULL && is_far_behind(node, id);
}

/* Whose state is disputed may be the one that is right: nothing but what a majority holds is put in
 * its place. */
static bool waits_for_a_majority(const struct node *node, raft_id id)
{
    return is_far_behind(node, id) && !node_agreement_may_replace(node, id);
}

static bool may_vouch(raft_id id, const void *context)
{
    const struct node *node = context;

    return id == node->options.id ||
           (node_linked_report(node, id) != NULL && !asks_for_dump(node, id) && !lags(node, id));
}

/* Also who is damaged gets no other dump than one of a majority, which there may not be. */
bool node_repair_holds_back(const struct node *node, raft_id id)
{
    bool is_voted_on = !node_is_disputed(node) &&
                       raft_config_is_quorum(raft_config_effective(node->raft), may_vouch, node);

    return node->vouched_zxid == 0 && (waits_for_a_majority(node, id) ||
                                       (asks_for_dump(node, id) && lags(node, id) && !is_voted_on));
}

/* The index that a dump must have, for all who want one; 0 = nobody does. Who has no room for what
 * there is asks for a later one, and holds nobody up meanwhile. */
static zxid needed_zxid(const struct node *node)
{
    const struct raft_config *config = raft_config_effective(node->raft);
    zxid needed = 0;
    zxid needed_for_room = 0;

    for (uint32_t i = 0; i < config->member_count; i++) {
        const struct member_report *report = node_linked_report(node, config->members[i].id);
        zxid from = report == NULL                    ? 0
                    : report->repair_from != 0        ? report->repair_from
                    : is_far_behind(node, report->id) ? node->status.log_base
                                                      : 0;

        needed = from > needed ? from : needed;
        if (report != NULL && report->replace_from > needed_for_room &&
            report->replace_from <= state_applied(node->state)) {
            needed_for_room = report->replace_from;
        }
    }
    return needed != 0 ? needed : needed_for_room;
}

/* The state may have become another since its digest was told, and the checkpoint of that. */
static bool is_agreed(const struct node *node)
{
    struct tree_meta meta = node->port.tree_meta(node->port.context, node->tree);
    struct state_digest digest = {.record_count = meta.record_count, .sum = meta.record_sum};

    return node->agreed_zxid == node->named_zxid && meta.applied_index == node->named_zxid &&
           agreement_is_same(digest, node->agreed_digest);
}

/* Name the index of the checkpoint, made anew if need be, and see whether a majority has what is
 * there. */
static void ask_for_voices(struct node *node, zxid needed)
{
    bool is_named = node->named_term == node->status.term && node->named_zxid >= needed &&
                    node->named_zxid >= node->checkpointed_index &&
                    node_now(node) - node->named_us < VOUCH_US;

    if (state_applied(node->state) < needed || node->commit_job != NULL || node->wants_checkpoint) {
        return;
    }
    if (!is_named && state_applied(node->state) == node->checkpointed_index) {
        node_agreement_name(node);
    } else if (!is_named) {
        node->wants_checkpoint = true; /* which names its index */
    } else if (is_agreed(node)) {
        MARK(checkpoint_vouched_for_by_a_majority);
        node->vouched_zxid = node->named_zxid;
        dump_transfer_make_vouched(node->dumps, node_now(node), node->tree, node->vouched_zxid);
    }
}

static void serve_repairs(struct node *node)
{
    const struct raft_config *config = raft_config_effective(node->raft);

    for (uint32_t i = 0; i < config->member_count; i++) {
        raft_id id = config->members[i].id;

        if (asks_for_dump(node, id) || waits_for_a_majority(node, id)) {
            bool is_late_enough = asked_zxid(node, id) <= node->vouched_zxid;

            dump_transfer_repair(node->dumps, node_now(node), id,
                                 is_late_enough ? node->vouched_zxid : 0);
        }
    }
}

uint64_t node_repair_tick(struct node *node)
{
    bool leads = node->status.role == RAFT_LEADER && !node->is_condemned;
    zxid needed = leads ? needed_zxid(node) : 0;

    if (needed == 0) {
        node->dumps_wanted_us = 0;
        node->vouched_zxid = 0;
        node->wants_checkpoint = false;
        return UINT64_MAX;
    }
    if (node->dumps_wanted_us == 0) {
        node->dumps_wanted_us = node_now(node);
    }
    if (node->vouched_zxid < needed ||
        !dump_transfer_has_vouched(node->dumps, node->vouched_zxid)) {
        node->vouched_zxid = 0;
        ask_for_voices(node, needed);
    } else {
        node->dumps_wanted_us = node_now(node);
    }
    serve_repairs(node);
    return node_now(node) + ASK_INTERVAL_US;
}

bool node_repair_holds_checkpoint(struct node *node)
{
    return node->dumps_wanted_us != 0 && node->vouched_zxid == 0 &&
           node->named_term == node->status.term && node->named_zxid == node->checkpointed_index &&
           node_now(node) - node->named_us < HOLD_US;
}

raft_index node_repair_dump_index(struct node *node)
{
    const struct raft_config *config = raft_config_effective(node->raft);
    bool is_wanted = false;

    if (node->dumps_wanted_us == 0 || node->named_term != node->status.term ||
        node_now(node) - node->named_us > KEEP_US) {
        return UINT64_MAX;
    }
    for (uint32_t i = 0; i < config->member_count; i++) {
        raft_id id = config->members[i].id;

        is_wanted = is_wanted || lags(node, id) || asks_for_dump(node, id);
    }
    if (!is_wanted) {
        return UINT64_MAX;
    }
    return node->vouched_zxid != 0 ? node->vouched_zxid : node->named_zxid;
}

struct tree_store *node_repair_unvouched(const struct node *node)
{
    bool has_waited = node->now_us - node->dumps_wanted_us >= 2 * VOUCH_US;

    if (node->dumps_wanted_us == 0 || node->is_condemned || node->installing) {
        return NULL;
    }
    return has_waited || !raft_config_is_quorum(raft_config_effective(node->raft), may_vouch, node)
               ? node->tree
               : NULL;
}

#include "raft/raft_membership.h"

#include "base/check.h"
#include "base/mark.h"
#include "raft/raft_config.h"
#include "raft/raft_config_list.h"
#include "raft/raft_log.h"
#include "raft/raft_progress.h"
#include "raft/raft_transfer.h"

#include <string.h>

static bool has_room(const struct raft *raft)
{
    return raft_log_room(raft) > 0 && raft_config_list_has_room(raft, raft->log.last + 1);
}

static bool is_settled(const struct raft *raft)
{
    return raft->commit >= raft->lead.noop_index && raft_config_list_effective_is_committed(raft) &&
           !raft_transfer_is_running(raft);
}

static raft_index append_config(struct raft *raft, const struct raft_config *config)
{
    struct raft_entry entry = {
        .term = raft->term, .type = RAFT_ENTRY_CONFIG, .bytes = raft_config_entry_bytes(config)};
    raft_index index = raft_log_append(raft, &entry);
    raft_config_list_push(raft, index, config);
    raft_progress_follow_config(raft);
    raft_progress_log_grew(raft);
    /* New voters get the time to be heard. */
    raft->lead.grace_at = raft->now;
    return index;
}

static enum status may_change(const struct raft *raft)
{
    if (raft->role != RAFT_LEADER) {
        return STATUS_NOT_LEADER;
    }
    if (!is_settled(raft) || raft_config_list_effective(raft)->joint || !has_room(raft)) {
        MARK_IF(raft->commit < raft->lead.noop_index, change_refused_before_the_noop_commits);
        MARK_IF(!raft_config_list_effective_is_committed(raft),
                change_refused_while_one_is_pending);
        MARK_IF(raft_transfer_is_running(raft), change_refused_during_transfer);
        MARK_IF(!has_room(raft), change_refused_for_log_room);
        return STATUS_BUSY;
    }
    return STATUS_OK;
}

static enum status
append_legal(struct raft *raft, const struct raft_config *config, raft_index *ret_index)
{
    enum status status = raft_config_validate(config);
    if (status == STATUS_OK) {
        *ret_index = append_config(raft, config);
    }
    return status;
}

static bool is_same_member(const struct raft_member *left, const struct raft_member *right)
{
    return left->id == right->id && strcmp(left->address, right->address) == 0 &&
           memcmp(left->incarnation, right->incarnation, sizeof left->incarnation) == 0;
}

static bool is_terminated(const struct raft_member *member)
{
    return strnlen(member->address, sizeof member->address) < sizeof member->address;
}

enum status raft_membership_add_learner(struct raft *raft,
                                        const struct raft_member *member,
                                        raft_index *ret_index)
{
    enum status status = may_change(raft);
    if (status != STATUS_OK) {
        return status;
    }
    if (!is_terminated(member)) {
        return STATUS_INVALID;
    }
    const struct raft_config *present = raft_config_list_effective(raft);
    const struct raft_member *known = raft_config_find(present, member->id);
    bool is_known = known != NULL && is_same_member(known, member);
    if (is_known && ((member->flags & RAFT_PROMOTE) == 0 || known->flags != RAFT_LEARNER)) {
        *ret_index = raft_config_list_effective_index(raft);
        return STATUS_OK;
    }
    struct raft_config config;
    if (is_known) {
        MARK(learner_shall_become_a_voter_after_all);
        raft_config_with_promotion(present, member->id, &config);
        return append_legal(raft, &config, ret_index);
    }
    status = raft_config_with_learner(present, member, &config);
    return status == STATUS_OK ? append_legal(raft, &config, ret_index) : status;
}

enum status raft_membership_remove_learner(struct raft *raft, raft_id id, raft_index *ret_index)
{
    enum status status = may_change(raft);
    if (status != STATUS_OK) {
        return status;
    }
    struct raft_config config;
    status = raft_config_without_learner(raft_config_list_effective(raft), id, &config);
    return status == STATUS_OK ? append_legal(raft, &config, ret_index) : status;
}

static bool new_voters_are_caught_up(const struct raft *raft, const struct raft_config *config)
{
    for (uint32_t i = 0; i < config->member_count; i++) {
        const struct raft_member *member = &config->members[i];
        if ((member->flags & RAFT_VOTER_NEW) == 0 || (member->flags & RAFT_VOTER_OLD) != 0 ||
            member->id == raft->options.id) {
            continue;
        }
        if (!raft_progress_is_caught_up(raft, raft_progress_of(raft, member->id))) {
            MARK(new_voter_is_not_caught_up);
            return false;
        }
    }
    return true;
}

enum status raft_membership_change_voters(struct raft *raft,
                                          const struct raft_voter_change *change,
                                          raft_index *ret_index)
{
    enum status status = may_change(raft);
    if (status != STATUS_OK) {
        return status;
    }
    const struct raft_config *present = raft_config_list_effective(raft);
    struct raft_config config;
    status = raft_config_with_voters(present, change->voters, change->count,
                                     change->keep_as_learners, &config);
    if (status != STATUS_OK) {
        return status;
    }
    if (raft_config_has_voters(present, change->voters, change->count)) {
        MARK(change_of_voters_is_done_already);
        *ret_index = raft_config_list_effective_index(raft);
        return STATUS_OK;
    }
    if (!change->force && !new_voters_are_caught_up(raft, &config)) {
        return STATUS_CONFLICT;
    }
    return append_legal(raft, &config, ret_index);
}

/* Only of this term: the leader of an earlier one may have committed it and appended the next. */
static bool may_take_back(const struct raft *raft)
{
    raft_index index = raft_config_list_effective_index(raft);
    return raft->role == RAFT_LEADER && raft_config_list_effective(raft)->joint &&
           !raft_config_list_effective_is_committed(raft) &&
           raft_log_term(raft, index) == raft->term && raft_config_list_previous(raft) != NULL;
}

enum status raft_membership_cancel(struct raft *raft, raft_index *ret_index)
{
    if (raft->role != RAFT_LEADER) {
        return STATUS_NOT_LEADER;
    }
    const struct raft_config *present = raft_config_list_effective(raft);
    if (present->joint && !may_take_back(raft)) {
        MARK(change_past_the_point_of_return);
        return STATUS_CONFLICT;
    }
    struct raft_config config;
    raft_config_without_promotions(present->joint ? raft_config_list_previous(raft) : present,
                                   &config);
    if (raft_config_equal(&config, present) && raft_config_list_effective_is_committed(raft)) {
        *ret_index = raft_config_list_effective_index(raft);
        return STATUS_OK;
    }
    if (!has_room(raft) || (!present->joint && !is_settled(raft))) {
        return STATUS_BUSY;
    }
    MARK_IF(present->joint, joint_taken_back_by_command);
    return append_legal(raft, &config, ret_index);
}

void raft_membership_take_back(struct raft *raft)
{
    if (may_take_back(raft) && has_room(raft)) {
        struct raft_config config;
        raft_config_copy(&config, raft_config_list_previous(raft));
        MARK(joint_taken_back_as_new_voters_are_silent);
        append_config(raft, &config);
    }
}

static void promote(struct raft *raft, const struct raft_config *present)
{
    raft_id voters[RAFT_VOTERS_MAX];
    uint32_t old = raft->voters.counts[RAFT_HALF_NEW];
    uint32_t count = old;
    memcpy(voters, raft->voters.ids[RAFT_HALF_NEW], old * sizeof voters[0]);
    for (uint32_t i = 0; i < present->member_count && count < RAFT_VOTERS_MAX; i++) {
        const struct raft_member *member = &present->members[i];
        if ((member->flags & RAFT_PROMOTE) == 0 || member->id == raft->options.id) {
            continue;
        }
        if (raft_progress_is_caught_up(raft, raft_progress_of(raft, member->id))) {
            voters[count++] = member->id;
        }
    }
    if (count > old && has_room(raft)) {
        struct raft_config config;
        CHECK(raft_config_with_voters(present, voters, count, false, &config) == STATUS_OK);
        MARK(learner_promoted);
        append_config(raft, &config);
    }
}

void raft_membership_settle(struct raft *raft)
{
    const struct raft_config *present = raft_config_list_effective(raft);
    if (!is_settled(raft)) {
        return;
    }
    if (!present->joint) {
        if (!raft_config_is_voter(present, raft->options.id)) {
            raft_transfer_retire(raft);
        } else {
            promote(raft, present);
        }
        return;
    }
    MARK_IF(!has_room(raft), leaving_joint_waits_for_room);
    if (has_room(raft)) {
        struct raft_config config;
        raft_config_leave_joint(present, &config);
        MARK_IF(raft_config_list_effective_index(raft) < raft->lead.noop_index,
                joint_left_by_a_new_leader);
        MARK_IF(!raft_config_stays_voter(present, raft->options.id),
                joint_left_by_a_leaving_leader);
        append_config(raft, &config);
    }
}

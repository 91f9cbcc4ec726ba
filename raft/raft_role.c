#include "raft/raft_role.h"

#include "base/check.h"
#include "base/mark.h"
#include "raft/raft_config_list.h"
#include "raft/raft_layout.h"
#include "raft/raft_log.h"
#include "raft/raft_outbox.h"
#include "raft/raft_progress.h"
#include "raft/raft_read.h"
#include "raft/raft_writes.h"

#include <string.h>

void raft_role_rearm(struct raft *raft, raft_time low, raft_time high)
{
    raft_time span = high > low ? high - low : 1;
    raft->election.deadline = raft->now + low + prng_below(&raft->prng, span);
}

void raft_role_rearm_full(struct raft *raft)
{
    raft_time timeout = raft->options.election_timeout_us;
    raft_role_rearm(raft, timeout, 2 * timeout);
}

/* Reads wait for one leader in one term. */
static void set_leader(struct raft *raft, raft_id leader)
{
    if (raft->leader != leader) {
        raft_read_fail_all(raft);
        raft->leader = leader;
    }
}

static void set_term(struct raft *raft, raft_term term)
{
    CHECK_OP(term, >, raft->term);
    MARK_IF(raft->held.count > 0, held_messages_dropped_with_their_term);
    MARK_IF(raft->ack.verified > raft_writes_durable_index(raft), ack_held_while_term_changed);
    MARK_IF(raft->writes.hard_dirty, term_raised_twice_before_a_flush);
    MARK_IF(!raft_writes_hard_state_is_durable(raft), term_raised_while_one_is_written);
    raft->term = term;
    raft->vote = 0;
    memset(&raft->ack, 0, sizeof raft->ack);
    raft_outbox_drop(raft);
    raft_writes_touch_hard_state(raft);
}

static void leave_leadership(struct raft *raft)
{
    if (raft->role == RAFT_LEADER) {
        MARK_IF(raft->commit < raft->lead.noop_index, leader_steps_down_before_its_noop_commits);
        MARK_IF(!raft_config_list_effective_is_committed(raft),
                leader_steps_down_with_pending_configuration);
        MARK_IF(raft_config_list_effective(raft)->joint, leader_steps_down_in_joint);
        MARK_IF(raft->lead.timeout_now_sent, leader_steps_down_after_timeout_now);
        raft_progress_clear(raft);
        memset(&raft->lead, 0, sizeof raft->lead);
    }
}

static void clear_campaign(struct raft *raft)
{
    raft->election.granted = 0;
    raft->election.denied = 0;
    raft->election.requests_due = 0;
    raft->election.requested = false;
    raft->election.transfer = false;
}

void raft_become_follower(struct raft *raft, raft_term term)
{
    CHECK_OP(term, >=, raft->term);
    leave_leadership(raft);
    raft->role = RAFT_FOLLOWER;
    set_leader(raft, 0);
    clear_campaign(raft);
    if (term > raft->term) {
        set_term(raft, term);
    }
    raft_role_rearm_full(raft);
}

void raft_become_pre_candidate(struct raft *raft)
{
    CHECK(raft->role != RAFT_LEADER);
    MARK_IF(raft->role == RAFT_PRE_CANDIDATE, prevote_round_repeated);
    MARK_IF(raft->role == RAFT_CANDIDATE, candidate_falls_back_to_prevote);
    raft->role = RAFT_PRE_CANDIDATE;
    set_leader(raft, 0);
    clear_campaign(raft);
    raft->election.round++;
    raft_role_rearm_full(raft);
}

void raft_become_candidate(struct raft *raft, bool transfer)
{
    CHECK(raft->role == RAFT_PRE_CANDIDATE || (transfer && raft->role == RAFT_FOLLOWER));
    raft->role = RAFT_CANDIDATE;
    set_leader(raft, 0);
    clear_campaign(raft);
    set_term(raft, raft->term + 1);
    raft->vote = raft->options.id;
    raft->election.round++;
    raft->election.transfer = transfer;
    raft_role_rearm_full(raft);
}

static uint64_t uncommitted_bytes(const struct raft *raft)
{
    uint64_t bytes = 0;
    for (raft_index i = raft->commit + 1; i <= raft->log.last; i++) {
        const struct raft_entry *entry = raft_layout_entry_const(raft, i);
        bytes += entry->type == RAFT_ENTRY_COMMAND ? entry->bytes : 0;
    }
    return bytes;
}

void raft_become_leader(struct raft *raft)
{
    CHECK(raft->role == RAFT_CANDIDATE);
    CHECK(raft_writes_hard_state_is_durable(raft));
    MARK_IF(!raft_config_list_effective_is_committed(raft), elected_with_pending_configuration);
    MARK_IF(raft_config_list_effective(raft)->joint, elected_while_joint);
    MARK_IF(raft->election.denied != 0, elected_against_refusals);
    MARK_IF(raft_log_room(raft) <= raft_log_reserve(raft), elected_with_a_crowded_log);
    raft->role = RAFT_LEADER;
    set_leader(raft, raft->options.id);
    clear_campaign(raft);
    memset(&raft->lead, 0, sizeof raft->lead);
    raft->lead.grace_at = raft->now;
    raft->lead.heartbeat_deadline = raft->now + raft->options.heartbeat_us;
    raft->lead.uncommitted_bytes = uncommitted_bytes(raft);
    /* Before the NOOP, so that the first probe of each peer carries it. */
    raft_progress_clear(raft);
    raft_progress_follow_config(raft);
    struct raft_entry noop = {.term = raft->term, .type = RAFT_ENTRY_NOOP};
    raft->lead.noop_index = raft_log_append(raft, &noop);
    raft_progress_log_grew(raft);
}

void raft_role_follow(struct raft *raft, raft_id leader)
{
    if (raft->role != RAFT_FOLLOWER) {
        MARK_IF(raft->role == RAFT_PRE_CANDIDATE, pre_candidate_hears_a_leader);
        MARK_IF(raft->role == RAFT_CANDIDATE, candidate_hears_a_leader);
        raft_become_follower(raft, raft->term);
    }
    set_leader(raft, leader);
    raft->election.heard_at = raft->now;
    raft_role_rearm_full(raft);
}

void raft_role_forget_leader(struct raft *raft)
{
    CHECK(raft->role == RAFT_FOLLOWER);
    set_leader(raft, 0);
}

#include "raft/raft_transfer.h"

#include "base/check.h"
#include "base/mark.h"
#include "raft/raft_config.h"
#include "raft/raft_config_list.h"
#include "raft/raft_election.h"
#include "raft/raft_log.h"
#include "raft/raft_outbox.h"
#include "raft/raft_progress.h"
#include "raft/raft_role.h"
#include "raft/raft_writes.h"

raft_id raft_transfer_best_target(const struct raft *raft)
{
    const struct raft_config *config = raft_config_list_effective(raft);
    const struct raft_peer *best = NULL;
    for (uint32_t i = 0; i < config->member_count; i++) {
        raft_id id = config->members[i].id;
        const struct raft_peer *peer = raft_progress_find_const(raft, id);
        if (peer != NULL && raft_config_stays_voter(config, id) &&
            raft_progress_is_active(raft, peer) && (best == NULL || peer->match > best->match)) {
            best = peer;
        }
    }
    return best != NULL ? best->id : 0;
}

void raft_transfer_begin(struct raft *raft, raft_id target)
{
    raft->lead.transfer_target = target;
    raft->lead.transfer_deadline = raft->now + raft->options.election_timeout_us;
    raft->lead.timeout_now_due = false;
    raft->lead.timeout_now_sent = false;
}

void raft_transfer_retire(struct raft *raft)
{
    raft->lead.retiring = true;
    raft_transfer_begin(raft, raft_transfer_best_target(raft));
}

void raft_transfer_abort(struct raft *raft)
{
    raft->lead.transfer_target = 0;
    raft->lead.timeout_now_due = false;
    raft->lead.timeout_now_sent = false;
}

bool raft_transfer_is_running(const struct raft *raft)
{
    return raft->lead.transfer_target != 0 || raft->lead.retiring;
}

void raft_transfer_settle(struct raft *raft)
{
    const struct raft_peer *peer = raft_progress_find(raft, raft->lead.transfer_target);
    MARK_IF(peer != NULL && peer->match < raft->log.last, transfer_waits_for_its_target);
    if (peer != NULL && !raft->lead.timeout_now_sent && peer->match == raft->log.last) {
        raft->lead.timeout_now_due = true;
    }
}

raft_time raft_transfer_deadline(const struct raft *raft)
{
    return raft_transfer_is_running(raft) ? raft->lead.transfer_deadline : UINT64_MAX;
}

void raft_transfer_tick(struct raft *raft)
{
    if (raft->now < raft_transfer_deadline(raft)) {
        if (raft->lead.transfer_target != 0 && raft->lead.timeout_now_sent &&
            raft->now >= raft->lead.timeout_now_at + raft->options.heartbeat_us) {
            raft->lead.timeout_now_due = true; /* it may be lost */
            MARK(timeout_now_repeated);
        }
        return;
    }
    if (raft->lead.retiring) {
        MARK(leader_retires_unreplaced);
        raft_become_follower(raft, raft->term);
    } else {
        MARK(transfer_timed_out);
        raft_transfer_abort(raft);
    }
}

void raft_transfer_flush(struct raft *raft, struct raft_output *output)
{
    if (!raft->lead.timeout_now_due) {
        return;
    }
    struct raft_message message =
        raft_outbox_message(raft, RAFT_TIMEOUT_NOW, raft->lead.transfer_target);
    message.timeout_now.last_index = raft->log.last;
    message.timeout_now.last_term = raft_log_last_term(raft);
    if (raft_outbox_send(output, &message)) {
        raft->lead.timeout_now_due = false;
        raft->lead.timeout_now_sent = true;
        raft->lead.timeout_now_at = raft->now;
    }
}

void raft_transfer_refuse(struct raft *raft, const struct raft_message *message)
{
    struct raft_message answer =
        raft_outbox_message(raft, RAFT_TIMEOUT_NOW_RESPONSE, message->from);
    raft_outbox_hold(raft, &answer);
}

/* The leader's last entry must be on this disk: then this log wins where the leader's would. */
static bool is_ready(const struct raft *raft, const struct raft_message *message)
{
    raft_index last = message->timeout_now.last_index;
    return raft->role == RAFT_FOLLOWER && raft->leader == message->from &&
           raft_election_may_campaign(raft) && raft_writes_hard_state_is_durable(raft) &&
           raft_log_term(raft, last) == message->timeout_now.last_term &&
           last <= raft_writes_durable_index(raft);
}

void raft_transfer_on_timeout_now(struct raft *raft, const struct raft_message *message)
{
    if (!is_ready(raft, message)) {
        MARK_IF(message->timeout_now.last_index > raft_writes_durable_index(raft),
                timeout_now_before_entries_are_durable);
        MARK_IF(raft->role != RAFT_FOLLOWER, timeout_now_while_campaigning);
        raft_transfer_refuse(raft, message);
        return;
    }
    /* The acceptance carries the old term, which is durable; the new one is not yet. */
    struct raft_message answer =
        raft_outbox_message(raft, RAFT_TIMEOUT_NOW_RESPONSE, message->from);
    answer.timeout_now_response.accepted = true;
    raft_seq durable = raft->writes.hard_seq;
    raft_election_start_transfer(raft);
    raft_outbox_hold_until(raft, &answer, durable);
}

void raft_transfer_on_response(struct raft *raft, const struct raft_message *message)
{
    if (raft->role == RAFT_LEADER && message->from == raft->lead.transfer_target &&
        !message->timeout_now_response.accepted) {
        MARK(transfer_refused_by_its_target);
        raft_transfer_abort(raft);
    }
}

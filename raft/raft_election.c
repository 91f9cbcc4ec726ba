#include "raft/raft_election.h"

#include "base/check.h"
#include "base/mark.h"
#include "raft/raft_config_list.h"
#include "raft/raft_log.h"
#include "raft/raft_outbox.h"
#include "raft/raft_quorum.h"
#include "raft/raft_role.h"
#include "raft/raft_writes.h"

bool raft_election_may_campaign(const struct raft *raft)
{
    MARK_IF(raft->installing, campaign_barred_by_an_install);
    MARK_IF(raft_log_room(raft) == 0, campaign_barred_by_a_full_log);
    /* A leader must be able to append its NOOP. */
    MARK_IF(raft->barred, campaign_barred_by_the_driver);
    return !raft->installing && !raft->barred && raft_log_room(raft) > 0 &&
           raft_config_list_self_may_lead(raft);
}

static uint32_t member_bit(const struct raft *raft, raft_id id)
{
    const struct raft_config *config = raft_config_list_effective(raft);
    const struct raft_member *member = raft_config_find(config, id);
    if (member == NULL || (member->flags & (RAFT_VOTER_OLD | RAFT_VOTER_NEW)) == 0) {
        return 0;
    }
    return UINT32_C(1) << (member - config->members);
}

static uint32_t voter_bits(const struct raft *raft)
{
    const struct raft_config *config = raft_config_list_effective(raft);
    uint32_t bits = 0;
    for (uint32_t i = 0; i < config->member_count; i++) {
        bits |= member_bit(raft, config->members[i].id);
    }
    return bits;
}

static void release_requests(struct raft *raft)
{
    uint32_t self = member_bit(raft, raft->options.id);
    raft->election.requested = true;
    raft->election.granted = self;
    raft->election.requests_due = voter_bits(raft) & ~self;
}

void raft_election_start(struct raft *raft)
{
    raft_become_pre_candidate(raft);
    release_requests(raft);
}

void raft_election_start_transfer(struct raft *raft)
{
    raft_become_candidate(raft, true);
}

struct ballot {
    const struct raft *raft;
    uint32_t bits;
};

static uint64_t is_in_ballot(raft_id id, const void *context)
{
    const struct ballot *ballot = context;
    return (ballot->bits & member_bit(ballot->raft, id)) != 0 ? 1 : 0;
}

static bool has_won(const struct raft *raft)
{
    struct ballot ballot = {.raft = raft, .bits = raft->election.granted};
    return raft_quorum_reached(&raft->voters, is_in_ballot, &ballot) == 1;
}

static bool cannot_win(const struct raft *raft)
{
    struct ballot ballot = {.raft = raft, .bits = ~raft->election.denied};
    return raft_quorum_reached(&raft->voters, is_in_ballot, &ballot) == 0;
}

void raft_election_settle(struct raft *raft)
{
    if (raft->role == RAFT_PRE_CANDIDATE && has_won(raft)) {
        raft_become_candidate(raft, false);
    }
    if (raft->role != RAFT_CANDIDATE) {
        return;
    }
    if (!raft->election.requested) {
        /* The disk writes in order, so with the vote the advertised end of the log is durable. */
        if (!raft_writes_hard_state_is_durable(raft)) {
            MARK(vote_request_held_for_the_disk);
            return;
        }
        release_requests(raft);
    }
    if (has_won(raft)) {
        raft_become_leader(raft);
    } else if (cannot_win(raft)) {
        MARK(election_lost_by_refusals);
        /* A tie or a stronger candidate. Leave time for the other to be heard. */
        raft_time timeout = raft->options.election_timeout_us;
        raft_become_follower(raft, raft->term);
        raft_role_rearm(raft, timeout / 4, timeout);
    }
}

static struct raft_message request_to(const struct raft *raft, raft_id id)
{
    bool real = raft->role == RAFT_CANDIDATE;
    struct raft_message message = raft_outbox_message(raft, real ? RAFT_VOTE : RAFT_PREVOTE, id);
    message.term = real ? raft->term : raft->term + 1;
    message.vote.last_index = raft->log.last;
    message.vote.last_term = raft_log_last_term(raft);
    message.vote.round = raft->election.round;
    message.vote.transfer = raft->election.transfer;
    return message;
}

void raft_election_flush(struct raft *raft, struct raft_output *output)
{
    if (raft->election.requests_due == 0 || !raft_writes_hard_state_is_durable(raft)) {
        MARK_IF(raft->election.requests_due != 0, prevote_request_held_for_the_disk);
        return;
    }
    const struct raft_config *config = raft_config_list_effective(raft);
    for (uint32_t i = 0; i < config->member_count; i++) {
        uint32_t bit = UINT32_C(1) << i;
        if ((raft->election.requests_due & bit) == 0) {
            continue;
        }
        struct raft_message message = request_to(raft, config->members[i].id);
        raft_outbox_send_first(output, &message);
        raft->election.requests_due &= ~bit;
    }
}

/* Within an election timeout of a leader's message nobody may disturb it. A leader is one as long
 * as a quorum answers it. */
static bool is_loyal(const struct raft *raft)
{
    if (raft->role == RAFT_LEADER) {
        return true;
    }
    return raft->leader != 0 &&
           raft->now < raft->election.heard_at + raft->options.election_timeout_us;
}

static bool is_stranger(const struct raft *raft, raft_id id)
{
    raft_index index;
    return raft_config_list_effective(raft)->member_count > 0 &&
           raft_config_find(raft_config_list_effective(raft), id) == NULL &&
           raft_config_find(raft_config_committed(raft, &index), id) == NULL;
}

bool raft_election_is_deaf_to(const struct raft *raft, raft_id id)
{
    return is_loyal(raft) && is_stranger(raft, id);
}

static void answer(struct raft *raft,
                   const struct raft_message *request,
                   enum raft_message_type type,
                   bool granted)
{
    struct raft_message message = raft_outbox_message(raft, type, request->from);
    if (granted) {
        message.term = request->term;
    }
    message.vote_response.round = request->vote.round;
    message.vote_response.granted = granted;
    raft_outbox_hold(raft, &message);
}

static bool log_is_good(const struct raft *raft, const struct raft_message *request)
{
    return raft_log_is_up_to_date(raft, request->vote.last_index, request->vote.last_term);
}

/* A refusal carries the own term. Who asks for a term that is already taken learns of it that way
 * and asks for a later one: so a long log of a low term and a high term with a short log come
 * together. */
void raft_election_on_prevote(struct raft *raft, const struct raft_message *message)
{
    if (is_loyal(raft)) {
        MARK_IF(raft->role == RAFT_LEADER, prevote_ignored_by_leader);
        MARK_IF(raft->role != RAFT_LEADER, prevote_ignored_by_loyal_node);
        return;
    }
    bool granted = message->term > raft->term && log_is_good(raft, message);
    MARK_IF(message->term <= raft->term, prevote_refused_for_its_term);
    MARK_IF(!log_is_good(raft, message), prevote_refused_for_its_log);
    answer(raft, message, RAFT_PREVOTE_RESPONSE, granted);
}

void raft_election_on_vote(struct raft *raft, const struct raft_message *message)
{
    bool is_transfer = message->vote.transfer && !is_stranger(raft, message->from);
    if (!is_transfer && is_loyal(raft)) {
        MARK(vote_request_ignored_by_loyal_node);
        return;
    }
    if (message->term > raft->term) {
        raft_become_follower(raft, message->term);
    }
    bool granted = message->term == raft->term && raft->leader == 0 &&
                   (raft->vote == 0 || raft->vote == message->from) && log_is_good(raft, message);
    MARK_IF(message->term == raft->term && raft->leader != 0, vote_refused_as_a_leader_is_known);
    MARK_IF(message->term == raft->term && raft->vote != 0 && raft->vote != message->from,
            vote_refused_as_given_away);
    MARK_IF(message->term == raft->term && !log_is_good(raft, message), vote_refused_for_its_log);
    if (granted) {
        MARK_IF(raft->vote == message->from, vote_granted_again);
        MARK_IF(raft->role == RAFT_PRE_CANDIDATE, vote_granted_by_pre_candidate);
        MARK_IF(member_bit(raft, message->from) == 0, vote_granted_to_no_voter);
        /* Also ends an own attempt at a pre-vote. */
        raft_become_follower(raft, raft->term);
        if (raft->vote == 0) {
            raft->vote = message->from;
            raft_writes_touch_hard_state(raft);
        }
    }
    answer(raft, message, RAFT_VOTE_RESPONSE, granted);
}

void raft_election_on_response(struct raft *raft, const struct raft_message *message)
{
    enum raft_role asked =
        message->type == RAFT_VOTE_RESPONSE ? RAFT_CANDIDATE : RAFT_PRE_CANDIDATE;
    if (raft->role != asked || !raft->election.requested ||
        message->vote_response.round != raft->election.round) {
        MARK_IF(raft->role == RAFT_LEADER, vote_answer_after_winning);
        MARK_IF(raft->role == RAFT_FOLLOWER && message->vote_response.granted,
                vote_granted_after_step_down);
        MARK_IF(raft->role == asked, vote_answer_of_an_earlier_round);
        return;
    }
    uint32_t bit = member_bit(raft, message->from);
    MARK_IF((raft->election.granted & bit) != 0, vote_counted_once_though_answered_twice);
    if (message->vote_response.granted) {
        raft->election.granted |= bit & ~raft->election.denied;
    } else {
        raft->election.denied |= bit & ~raft->election.granted;
    }
}

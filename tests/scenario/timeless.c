#include "tests/scenario/timeless.h"

#include "base/check.h"
#include "raft/raft_config.h"
#include "raft/raft_config_list.h"
#include "raft/raft_election.h"
#include "raft/raft_layout.h"
#include "raft/raft_transfer.h"

#include <string.h>

const char *timeless_timer_name(enum timeless_timer timer)
{
    static const char *const names[TIMELESS_TIMER_COUNT] = {
        [TIMELESS_ELECTION] = "election",   [TIMELESS_CAMPAIGN] = "campaign",
        [TIMELESS_HEARTBEAT] = "heartbeat", [TIMELESS_QUORUM] = "quorum",
        [TIMELESS_TRANSFER] = "transfer",   [TIMELESS_READS] = "reads",
    };
    CHECK_OP(timer, <, TIMELESS_TIMER_COUNT);
    return names[timer];
}

bool timeless_may_expire(const struct raft *raft, enum timeless_timer timer)
{
    bool leads = raft->role == RAFT_LEADER;
    switch (timer) {
    case TIMELESS_ELECTION:
    case TIMELESS_CAMPAIGN:
        return !leads && raft_election_may_campaign(raft);
    case TIMELESS_HEARTBEAT:
    case TIMELESS_QUORUM:
        return leads;
    case TIMELESS_TRANSFER:
        return leads && raft_transfer_is_running(raft);
    case TIMELESS_READS:
        return raft->role == RAFT_FOLLOWER && raft->reads.finished < raft->reads.count;
    case TIMELESS_TIMER_COUNT:
        break;
    }
    return false;
}

/* Every voter of the effective configuration, which the order of its members numbers. */
static void grant_all(struct raft *raft)
{
    const struct raft_config *config = raft_config_list_effective(raft);
    for (uint32_t i = 0; i < config->member_count; i++) {
        if (raft_config_is_voter(config, config->members[i].id)) {
            raft->election.granted |= UINT32_C(1) << i;
        }
    }
    raft->election.requests_due = 0;
}

void timeless_expire(struct raft *raft, enum timeless_timer timer)
{
    /* Before the earliest moment that counts as long ago. */
    raft_time past = raft->now - 4 * raft->options.election_timeout_us;
    switch (timer) {
    case TIMELESS_ELECTION:
    case TIMELESS_CAMPAIGN:
        raft->election.round = 0;
        raft->election.deadline = raft->now;
        break;
    case TIMELESS_HEARTBEAT:
        raft->lead.heartbeat_deadline = raft->now;
        break;
    case TIMELESS_QUORUM:
        raft->lead.grace_at = past;
        for (size_t i = 0; i < RAFT_PEERS_MAX; i++) {
            raft->peers[i].heard_at = raft->peers[i].id != 0 ? past : 0;
        }
        break;
    case TIMELESS_TRANSFER:
        raft->lead.transfer_deadline = raft->now;
        break;
    case TIMELESS_READS:
        for (uint32_t i = raft->reads.finished; i < raft->reads.count; i++) {
            raft_layout_read(raft, i)->deadline = raft->now;
        }
        break;
    case TIMELESS_TIMER_COUNT:
        CHECK(false);
    }
    raft_tick(raft, raft->now);
    if (timer == TIMELESS_CAMPAIGN && raft->role == RAFT_PRE_CANDIDATE) {
        grant_all(raft);
        raft_persisted(raft, raft->now, 0); /* an input that says nothing new */
    }
}

static void forget_leadership(struct raft *raft)
{
    struct raft_leadership *lead = &raft->lead;
    raft_time timeout = raft->options.election_timeout_us;
    lead->heartbeat_deadline = raft->now + raft->options.heartbeat_us;
    lead->grace_at = raft->now;
    lead->transfer_deadline = raft_transfer_is_running(raft) ? raft->now + timeout : 0;
    lead->timeout_now_at = 0;
    for (size_t i = 0; i < RAFT_PEERS_MAX; i++) {
        struct raft_peer *peer = &raft->peers[i];
        if (peer->id == 0) {
            continue;
        }
        peer->heard_at = raft->now;
        peer->sent_at = 0;
        peer->checked_at = 0;
        peer->caught_up = true;
        peer->catch_up_target = 0;
        peer->catch_up_start = raft->now;
        peer->catch_up_rounds = 0;
        peer->dump_retry_at = 0;
        peer->departing_deadline =
            peer->departing_deadline != 0 ? raft->now + timeout : peer->departing_deadline;
    }
}

void timeless_forget(struct raft *raft)
{
    raft_time timeout = raft->options.election_timeout_us;
    prng_init(&raft->prng, 1);
    raft->election.deadline = raft->now + 2 * timeout;
    raft->election.heard_at = 0;
    /* A round tells answers to two campaigns of one node apart. Two in one term can only be
     * pre-votes, and those promise nothing: it may mistake one for the other. */
    if (raft->role != RAFT_PRE_CANDIDATE && raft->role != RAFT_CANDIDATE) {
        raft->election.round = 0;
    }
    raft->ack.refused_at = 0;
    if (raft->role == RAFT_LEADER) {
        forget_leadership(raft);
    }
    for (uint32_t i = raft->reads.finished; i < raft->reads.count; i++) {
        raft_layout_read(raft, i)->deadline = raft->now + timeout;
    }
}

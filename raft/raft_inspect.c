/* The inspection functions of raft.h. */
#include "raft/raft.h"

#include "base/check.h"
#include "raft/raft_config_list.h"
#include "raft/raft_layout.h"
#include "raft/raft_log.h"
#include "raft/raft_progress.h"
#include "raft/raft_writes.h"

struct raft_status raft_status(const struct raft *raft)
{
    return (struct raft_status){
        .role = raft->role,
        .term = raft->term,
        .vote = raft->vote,
        .leader = raft->leader,
        .transfer_target = raft->lead.transfer_target,
        .log_base = raft->log.base,
        .last_index = raft->log.last,
        .last_term = raft_log_last_term(raft),
        .durable_index = raft_writes_durable_index(raft),
        .commit_index = raft->commit,
        .config_index = raft_config_list_effective_index(raft),
        .config_committed = raft_config_list_effective_is_committed(raft),
        .committed_in_term = raft->role == RAFT_LEADER && raft->commit >= raft->lead.noop_index,
        .uncommitted_bytes = raft->lead.uncommitted_bytes,
    };
}

enum status raft_peer_status(const struct raft *raft, raft_id peer, struct raft_peer_status *ret)
{
    if (raft->role != RAFT_LEADER) {
        return STATUS_NOT_LEADER;
    }
    const struct raft_peer *found = raft_progress_find_const(raft, peer);
    if (found == NULL || found->departing) {
        return STATUS_NOT_FOUND;
    }
    *ret = (struct raft_peer_status){
        .id = found->id,
        .state = found->state,
        .match = found->match,
        .next = found->next,
        .active = raft_progress_is_active(raft, found),
        .caught_up = raft_progress_is_caught_up(raft, found),
        .rounds = found->catch_up_rounds,
        .round_target = found->catch_up_target,
        .dump_wanted = raft_progress_wants_dump(raft, found),
        .inflight_count = found->inflight_count,
        .inflight_bytes = found->inflight_bytes,
    };
    return STATUS_OK;
}

struct raft_entry raft_entry_at(const struct raft *raft, raft_index index)
{
    CHECK_OP(index, >, raft->log.base);
    CHECK_OP(index, <=, raft->log.last);
    return *raft_layout_entry_const(raft, index);
}

raft_term raft_term_at(const struct raft *raft, raft_index index)
{
    return raft_log_term(raft, index);
}

const char *raft_role_name(enum raft_role role)
{
    switch (role) {
    case RAFT_FOLLOWER:
        return "follower";
    case RAFT_PRE_CANDIDATE:
        return "pre-candidate";
    case RAFT_CANDIDATE:
        return "candidate";
    case RAFT_LEADER:
        return "leader";
    }
    return "unknown";
}

const char *raft_message_name(enum raft_message_type type)
{
    static const char *const names[] = {
        [RAFT_PREVOTE] = "PREVOTE",
        [RAFT_PREVOTE_RESPONSE] = "PREVOTE_RESPONSE",
        [RAFT_VOTE] = "VOTE",
        [RAFT_VOTE_RESPONSE] = "VOTE_RESPONSE",
        [RAFT_APPEND] = "APPEND",
        [RAFT_APPEND_RESPONSE] = "APPEND_RESPONSE",
        [RAFT_HEARTBEAT] = "HEARTBEAT",
        [RAFT_HEARTBEAT_RESPONSE] = "HEARTBEAT_RESPONSE",
        [RAFT_TIMEOUT_NOW] = "TIMEOUT_NOW",
        [RAFT_TIMEOUT_NOW_RESPONSE] = "TIMEOUT_NOW_RESPONSE",
        [RAFT_READ_INDEX] = "READ_INDEX",
        [RAFT_READ_INDEX_RESPONSE] = "READ_INDEX_RESPONSE",
    };
    bool known = type >= RAFT_PREVOTE && type <= RAFT_READ_INDEX_RESPONSE;
    return known ? names[type] : "UNKNOWN";
}

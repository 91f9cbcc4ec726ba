#include "raft/raft_follower.h"

#include "base/check.h"
#include "base/mark.h"
#include "raft/raft_config.h"
#include "raft/raft_config_list.h"
#include "raft/raft_log.h"
#include "raft/raft_outbox.h"
#include "raft/raft_role.h"
#include "raft/raft_writes.h"

static void note_read_round(struct raft *raft, uint64_t round)
{
    if (round > raft->ack.read_round) {
        raft->ack.read_round = round;
        raft->ack.due = true;
    }
}

static bool previous_matches(const struct raft *raft, const struct raft_message *message)
{
    raft_index previous = message->append.previous_index;
    /* What is before the base is committed: any leader of this term has the same. */
    return previous < raft->log.base ||
           (previous <= raft->log.last &&
            raft_log_term(raft, previous) == message->append.previous_term);
}

static void refuse(struct raft *raft, const struct raft_message *message)
{
    /* A leader has every committed entry; anything else means that safety is already lost. */
    CHECK_OP(message->append.previous_index, >, raft->commit);
    MARK_IF(message->append.previous_index > raft->log.last, append_refused_beyond_the_end);
    MARK_IF(message->append.previous_index <= raft->log.last, append_refused_for_a_conflict);
    struct raft_message answer = raft_outbox_message(raft, RAFT_APPEND_RESPONSE, message->from);
    raft_index hint =
        raft_log_find_term(raft, message->append.previous_index, message->append.previous_term);
    answer.append_response.index = message->append.previous_index;
    answer.append_response.hint_index = hint;
    answer.append_response.hint_term = raft_log_term(raft, hint);
    answer.append_response.read_round = raft->ack.read_round;
    raft_outbox_hold(raft, &answer);
}

static bool is_present(const struct raft *raft, raft_index index, raft_term term)
{
    return index <= raft->log.base ||
           (index <= raft->log.last && raft_log_term(raft, index) == term);
}

/* Commands leave some slots to NOOPs and configurations: the longest log must be able to lead, and
 * a leader appends a NOOP. In place of a conflicting entry there is always room. */
static bool has_room(const struct raft *raft,
                     raft_index index,
                     const struct raft_entry *entry,
                     const struct raft_config *config)
{
    uint32_t kept = entry->type == RAFT_ENTRY_COMMAND ? raft_log_reserve(raft) / 2 : 0;
    return (index <= raft->log.last || raft_log_room(raft) > kept) &&
           (config == NULL || raft_config_list_has_room(raft, index));
}

static void cut_conflict(struct raft *raft, raft_index index)
{
    CHECK_OP(index, >, raft->commit);
    MARK_IF(index > raft_writes_durable_index(raft), truncate_before_it_was_written);
    MARK_IF(index < raft->log.last, truncate_several_entries);
    MARK_IF(raft_config_list_effective_index(raft) >= index, truncate_across_configuration);
    MARK_IF(raft_config_list_effective_index(raft) >= index &&
                raft_config_list_effective(raft)->joint,
            truncate_across_joint_configuration);
    raft_log_truncate(raft, index - 1);
    raft_config_list_truncate(raft, index - 1);
}

static void
append_entry(struct raft *raft, const struct raft_entry *entry, const struct raft_config *config)
{
    struct raft_entry copy = *entry;
    if (config != NULL) {
        copy.bytes = raft_config_entry_bytes(config);
    }
    raft_index index = raft_log_append(raft, &copy);
    if (config != NULL) {
        raft_config_list_push(raft, index, config);
    }
}

/* A leader has every committed entry at its place, and never changes what it sent in its term. */
static bool contradicts_log(const struct raft *raft, const struct raft_message *message)
{
    raft_index previous = message->append.previous_index;
    raft_index first = previous >= raft->log.base ? previous : raft->log.base;
    raft_index last = previous + message->append.entry_count;
    raft_index settled = raft->commit;
    if (message->term == raft->term && raft->ack.verified > settled) {
        settled = raft->ack.verified;
    }
    for (raft_index index = first; index <= last && index <= settled; index++) {
        raft_term term = index == previous ? message->append.previous_term
                                           : message->append.entries[index - previous - 1].term;
        if (raft_log_term(raft, index) != term) {
            return true;
        }
    }
    return false;
}

bool raft_follower_contradicts(const struct raft *raft, const struct raft_message *message)
{
    bool is_append = message->type == RAFT_APPEND;
    if (message->term < raft->term || (!is_append && message->type != RAFT_HEARTBEAT)) {
        return false;
    }
    bool is_second_leader =
        message->term == raft->term &&
        (raft->role == RAFT_LEADER || (raft->leader != 0 && raft->leader != message->from));
    return is_second_leader || (is_append && contradicts_log(raft, message));
}

/* Entries that are already there stay untouched; only the first true conflict cuts the log, and
 * only when its replacement has room: a cut log always ends with an entry that the disk will
 * write. Returns how many of the entries the log now holds: all, unless a ring is full. */
static uint32_t
store_entries(struct raft *raft, const struct raft_message *message, struct raft_range *ret_stored)
{
    uint32_t configs = 0;
    for (uint32_t i = 0; i < message->append.entry_count; i++) {
        const struct raft_entry *entry = &message->append.entries[i];
        const struct raft_config *config = NULL;
        if (entry->type == RAFT_ENTRY_CONFIG) {
            config = message->append.configs[configs++];
        }
        raft_index index = message->append.previous_index + 1 + i;
        if (is_present(raft, index, entry->term)) {
            continue;
        }
        if (!has_room(raft, index, entry, config)) {
            MARK_IF(config == NULL, append_cut_by_a_full_log);
            MARK_IF(config != NULL, append_cut_by_a_full_configuration_list);
            return i;
        }
        if (index <= raft->log.last) {
            cut_conflict(raft, index);
        }
        append_entry(raft, entry, config);
        if (ret_stored->last < ret_stored->first) {
            ret_stored->first = index;
        }
        ret_stored->last = index;
    }
    return message->append.entry_count;
}

static void advance_commit(struct raft *raft, raft_index commit)
{
    if (commit > raft->commit) {
        CHECK_OP(commit, <=, raft->log.last);
        raft->commit = commit;
    }
}

/* Commands find no room, and the leader knows of everything that is here. A refusal would make it
 * send at once, in vain, what follows: it gets one in a heartbeat interval. */
static bool must_be_patient(const struct raft *raft)
{
    return raft_log_room(raft) <= raft_log_reserve(raft) / 2 &&
           raft->ack.verified == raft->log.last &&
           raft->now < raft->ack.refused_at + raft->options.heartbeat_us;
}

void raft_follower_on_append(struct raft *raft,
                             const struct raft_message *message,
                             struct raft_range *ret_stored)
{
    /* Two leaders in one term. */
    CHECK(raft->role != RAFT_LEADER && (raft->leader == 0 || raft->leader == message->from));
    raft_role_follow(raft, message->from);
    note_read_round(raft, message->append.read_round);
    if (!previous_matches(raft, message)) {
        MARK_IF(must_be_patient(raft), append_refusal_withheld_by_a_full_log);
        if (!must_be_patient(raft)) {
            refuse(raft, message);
            raft->ack.refused_at = raft->now;
        }
        return;
    }
    uint32_t stored = store_entries(raft, message, ret_stored);
    raft_index verified = message->append.previous_index + stored;
    raft_index commit = message->append.commit;
    MARK_IF(commit > verified, commit_limited_to_what_is_verified);
    MARK_IF(message->append.previous_index < raft->log.base, append_begins_below_the_base);
    MARK_IF(message->append.entry_count > 0 && ret_stored->last < ret_stored->first,
            append_of_what_is_there);
    MARK_IF(verified < raft->log.last && raft->log.last > raft->ack.verified,
            append_leaves_an_unverified_tail);
    advance_commit(raft, commit < verified ? commit : verified);
    /* What this node knows to be committed was committed in this term or before, so this leader
     * has it: no need to be sent it again. */
    if (verified < raft->commit) {
        MARK(verified_raised_to_own_commit);
        verified = raft->commit;
    }
    if (verified > raft->ack.verified) {
        raft->ack.verified = verified;
    }
    /* What found no room is sent again when the leader looks after it, not at once. */
    if (stored == message->append.entry_count && verified <= raft_writes_durable_index(raft)) {
        raft->ack.due = true;
    }
}

void raft_follower_on_heartbeat(struct raft *raft, const struct raft_message *message)
{
    CHECK(raft->role != RAFT_LEADER && (raft->leader == 0 || raft->leader == message->from));
    raft_role_follow(raft, message->from);
    if (message->heartbeat.read_round > raft->ack.read_round) {
        raft->ack.read_round = message->heartbeat.read_round;
    }
    /* The leader names no more than this node acknowledged. Beyond the log it would be an
     * acknowledgement that this disk does not know of: nothing to act on. */
    if (message->heartbeat.commit <= raft->log.last) {
        MARK_IF(message->heartbeat.commit > raft->commit, commit_learned_by_heartbeat);
        advance_commit(raft, message->heartbeat.commit);
    }
    if (message->heartbeat.quiet) {
        return;
    }
    struct raft_message answer = raft_outbox_message(raft, RAFT_HEARTBEAT_RESPONSE, message->from);
    answer.heartbeat_response.read_round = raft->ack.read_round;
    raft_outbox_hold(raft, &answer);
}

void raft_follower_refuse_old_leader(struct raft *raft, const struct raft_message *message)
{
    bool append = message->type == RAFT_APPEND;
    MARK(former_leader_told_the_term);
    struct raft_message answer = raft_outbox_message(
        raft, append ? RAFT_APPEND_RESPONSE : RAFT_HEARTBEAT_RESPONSE, message->from);
    if (append) {
        answer.append_response.index = message->append.previous_index;
    }
    raft_outbox_hold(raft, &answer);
}

enum status raft_follower_install(struct raft *raft,
                                  raft_index index,
                                  raft_term term,
                                  raft_index config_index,
                                  const struct raft_config *config)
{
    CHECK_OP(index, >, raft->commit);
    if (raft_log_term(raft, index) == term) {
        MARK(install_of_what_the_log_holds);
        advance_commit(raft, index);
        return STATUS_CONFLICT;
    }
    MARK_IF(index < raft->log.last, install_sweeps_a_longer_log);
    MARK_IF(raft->writes.count > 0, install_while_entries_are_written);
    MARK_IF(!raft_config_list_effective_is_committed(raft), install_replaces_pending_configuration);
    raft_log_reset(raft, index, term);
    raft_config_list_reset(raft, config_index, config);
    raft->commit = index;
    /* Committed in this term or before: the leader of this term, whoever it is, has it. */
    raft->ack.verified = index;
    raft->ack.due = false;
    return STATUS_OK;
}

void raft_follower_flush(struct raft *raft, struct raft_output *output)
{
    struct raft_ack *ack = &raft->ack;
    MARK_IF(ack->due && !raft_writes_hard_state_is_durable(raft), ack_held_while_term_is_written);
    if (raft->role != RAFT_FOLLOWER || raft->leader == 0 ||
        !raft_writes_hard_state_is_durable(raft)) {
        return;
    }
    raft_index durable = raft_writes_durable_index(raft);
    raft_index index = ack->verified < durable ? ack->verified : durable;
    MARK_IF(ack->verified > durable && durable > ack->acked, ack_of_the_durable_part);
    if (!ack->due && index <= ack->acked) {
        return;
    }
    struct raft_message message = raft_outbox_message(raft, RAFT_APPEND_RESPONSE, raft->leader);
    message.append_response.ok = true;
    message.append_response.index = index;
    message.append_response.read_round = ack->read_round;
    raft_outbox_send_first(output, &message);
    ack->due = false;
    ack->acked = index > ack->acked ? index : ack->acked;
}

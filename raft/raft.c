#include "raft/raft.h"

#include "base/check.h"
#include "base/mark.h"
#include "raft/raft_config.h"
#include "raft/raft_config_list.h"
#include "raft/raft_election.h"
#include "raft/raft_follower.h"
#include "raft/raft_layout.h"
#include "raft/raft_log.h"
#include "raft/raft_membership.h"
#include "raft/raft_outbox.h"
#include "raft/raft_progress.h"
#include "raft/raft_read.h"
#include "raft/raft_replication.h"
#include "raft/raft_role.h"
#include "raft/raft_transfer.h"
#include "raft/raft_writes.h"

#include <string.h>

/* --- Life --- */

struct raft_options raft_options_default(raft_id id)
{
    return (struct raft_options){
        .id = id,
        .heartbeat_us = 50 * 1000,
        .election_timeout_us = 500 * 1000,
        .log_entries_max = 1 << 18,
        .entry_bytes_max = 8 << 20,
        .message_entries_max = RAFT_MESSAGE_ENTRIES_MAX,
        .message_bytes_max = 1 << 20,
        .inflight_messages_max = 64,
        .inflight_bytes_max = 16 << 20,
        .uncommitted_bytes_max = 64 << 20,
        .reads_max = 4096,
    };
}

static void check_options(const struct raft_options *options)
{
    CHECK(options->id != 0);
    CHECK_OP(options->log_entries_max, >=, 8);
    CHECK((options->log_entries_max & (options->log_entries_max - 1)) == 0);
    CHECK_OP(options->heartbeat_us, >, 0);
    CHECK_OP(options->heartbeat_us, <, options->election_timeout_us);
    CHECK_OP(options->message_entries_max, >, 0);
    CHECK_OP(options->message_entries_max, <=, RAFT_MESSAGE_ENTRIES_MAX);
    CHECK_OP(options->inflight_messages_max, >, 0);
    CHECK_OP(options->inflight_messages_max, <=, RAFT_INFLIGHT_MESSAGES_MAX);
    CHECK_OP(options->inflight_bytes_max, >, 0);
    CHECK_OP(options->reads_max, >, 0);
    CHECK_OP(options->reads_max, <=, RAFT_READS_MAX);
}

size_t raft_size(const struct raft_options *options)
{
    check_options(options);
    return raft_layout_bytes(options);
}

struct raft *raft_init(void *memory, const struct raft_options *options)
{
    CHECK((uintptr_t)memory % sizeof(uint64_t) == 0);
    check_options(options);
    struct raft *raft = memory;
    raft->options = *options;
    prng_init(&raft->prng, options->seed);
    /* Numbers that tie answers to questions must not come again after a restart. */
    raft->election.round = prng_next(&raft->prng) >> 2;
    raft->reads.batch = prng_next(&raft->prng) >> 2;
    return raft;
}

enum status raft_boot(struct raft *raft, const struct raft_boot *boot)
{
    CHECK(!raft->started);
    bool has_config = boot->config.member_count != 0;
    if (boot->log_base > boot->applied_index || boot->config_index > boot->applied_index ||
        boot->log_base_term > boot->term || (boot->log_base == 0) != (boot->log_base_term == 0) ||
        boot->term >= RAFT_NUMBER_MAX || boot->applied_index >= RAFT_NUMBER_MAX ||
        has_config != (boot->config_index != 0) ||
        (has_config && raft_config_validate(&boot->config) != STATUS_OK)) {
        return STATUS_CORRUPT;
    }
    raft->term = boot->term;
    raft->vote = boot->vote;
    raft->log.base = boot->log_base;
    raft->log.base_term = boot->log_base_term;
    raft->log.last = boot->log_base;
    raft->commit = boot->applied_index;
    raft->commit_durable = boot->applied_index;
    raft->commit_shown = boot->applied_index;
    raft_config_list_reset(raft, boot->config_index, &boot->config);
    return STATUS_OK;
}

static bool boot_entry_is_legal(const struct raft *raft,
                                const struct raft_entry *entry,
                                const struct raft_config *config)
{
    bool needs_config = entry->type == RAFT_ENTRY_CONFIG;
    return entry->term >= raft_log_last_term(raft) && entry->term > 0 &&
           entry->term <= raft->term && entry->type >= RAFT_ENTRY_COMMAND &&
           entry->type <= RAFT_ENTRY_CONFIG && needs_config == (config != NULL) &&
           (config == NULL || raft_config_validate(config) == STATUS_OK);
}

/* A leader appends a configuration only when the one before it is committed, or to take a joint one
 * back. So one in the log proves that its predecessor is committed, however little of that was
 * applied here before the restart, unless it takes it back. */
static enum status boot_config(struct raft *raft, const struct raft_config *config)
{
    raft_index index = raft->log.last;
    raft_index present = raft_config_list_effective_index(raft);
    if (index < present) {
        MARK(boot_configuration_older_than_the_checkpoint);
        return STATUS_OK;
    }
    if (index == present) {
        bool same = raft_config_equal(raft_config_list_effective(raft), config);
        return same ? STATUS_OK : STATUS_CORRUPT;
    }
    bool takes_back = raft_config_takes_back(config, raft_config_list_effective(raft));
    MARK_IF(takes_back, boot_configuration_that_was_taken_back);
    if (present > raft->commit && !takes_back) {
        MARK(boot_configuration_proves_the_one_before);
        raft->commit = present;
    }
    raft_config_list_push(raft, index, config);
    return STATUS_OK;
}

enum status
raft_boot_entry(struct raft *raft, const struct raft_entry *entry, const struct raft_config *config)
{
    CHECK(!raft->started);
    if (!boot_entry_is_legal(raft, entry, config)) {
        return STATUS_CORRUPT;
    }
    if (raft_log_room(raft) == 0) {
        return STATUS_LIMIT;
    }
    struct raft_entry copy = *entry;
    if (config != NULL) {
        copy.bytes = raft_config_entry_bytes(config);
    }
    raft_log_append(raft, &copy);
    raft->writes.dirty_lowest = 0; /* it comes from the disk */
    return config != NULL ? boot_config(raft, config) : STATUS_OK;
}

static bool is_only_voter(const struct raft *raft)
{
    return raft->voters.counts[RAFT_HALF_OLD] == 0 && raft->voters.counts[RAFT_HALF_NEW] == 1 &&
           raft->voters.ids[RAFT_HALF_NEW][0] == raft->options.id;
}

enum status raft_start(struct raft *raft, raft_time now)
{
    CHECK(!raft->started && raft->configs.count > 0);
    if (raft->log.last < raft->commit_durable) {
        return STATUS_CORRUPT;
    }
    raft->now = now;
    raft->started = true;
    raft_role_rearm_full(raft);
    if (is_only_voter(raft)) {
        raft->election.deadline = now;
    }
    return STATUS_OK;
}

/* --- What every input ends with --- */

/* All that follows from the state alone, so that no input can forget a consequence. */
static void settle(struct raft *raft)
{
    raft_election_settle(raft);
    if (raft->role == RAFT_LEADER) {
        raft_replication_settle(raft);
        raft_membership_settle(raft);
        raft_transfer_settle(raft);
        raft_read_settle(raft);
    }
    /* What is applied becomes durable on its own. It must never be ahead of the term in which this
     * node learned that it is committed: after a crash, a leader of an earlier term could still
     * count this node for other entries. */
    raft_index durable = raft_writes_durable_index(raft);
    raft_index commit = raft->commit < durable ? raft->commit : durable;
    MARK_IF(commit > raft->commit_durable && !raft_writes_hard_state_is_durable(raft),
            commit_held_while_term_is_written);
    if (commit > raft->commit_durable && raft_writes_hard_state_is_durable(raft)) {
        raft->commit_durable = commit;
    }
}

static void begin_input(struct raft *raft, raft_time now)
{
    CHECK(raft->started);
    if (now > raft->now) {
        raft->now = now;
    }
}

/* --- Inputs --- */

enum status raft_bootstrap(struct raft *raft, const struct raft_config *config)
{
    CHECK(raft->started);
    if (raft->term != 0 || raft->log.last != 0) {
        return STATUS_CONFLICT;
    }
    if (raft_config_validate(config) != STATUS_OK || config->joint) {
        return STATUS_INVALID;
    }
    raft->term = 1;
    raft_writes_touch_hard_state(raft);
    struct raft_entry entry = {
        .term = 1, .type = RAFT_ENTRY_CONFIG, .bytes = raft_config_entry_bytes(config)};
    raft_config_list_push(raft, raft_log_append(raft, &entry), config);
    raft_role_rearm(raft, 0, raft->options.election_timeout_us);
    settle(raft);
    return STATUS_OK;
}

void raft_tick(struct raft *raft, raft_time now)
{
    begin_input(raft, now);
    if (raft->role == RAFT_LEADER) {
        if (raft_replication_hears_only_old_half(raft)) {
            raft_membership_take_back(raft);
        }
        raft_replication_tick(raft);
    }
    if (raft->role == RAFT_LEADER) {
        raft_transfer_tick(raft);
    } else if (raft->now >= raft->election.deadline) {
        if (raft_election_may_campaign(raft)) {
            raft_election_start(raft);
        } else {
            MARK(election_due_but_not_allowed);
            raft_become_follower(raft, raft->term);
        }
    }
    if (raft->role == RAFT_FOLLOWER) {
        raft_read_expire(raft);
    }
    settle(raft);
}

static void answer_earlier_term(struct raft *raft, const struct raft_message *message)
{
    switch (message->type) {
    case RAFT_APPEND:
    case RAFT_HEARTBEAT:
        raft_follower_refuse_old_leader(raft, message);
        break;
    case RAFT_TIMEOUT_NOW:
        MARK(timeout_now_comes_after_its_term);
        raft_transfer_refuse(raft, message);
        break;
    case RAFT_READ_INDEX:
        raft_read_refuse(raft, message);
        break;
    case RAFT_PREVOTE:
    case RAFT_PREVOTE_RESPONSE:
    case RAFT_VOTE:
    case RAFT_VOTE_RESPONSE:
    case RAFT_APPEND_RESPONSE:
    case RAFT_HEARTBEAT_RESPONSE:
    case RAFT_TIMEOUT_NOW_RESPONSE:
    case RAFT_READ_INDEX_RESPONSE:
        MARK(answer_of_an_earlier_term);
        break;
    }
}

static void receive_in_term(struct raft *raft,
                            const struct raft_message *message,
                            struct raft_range *ret_stored)
{
    switch (message->type) {
    case RAFT_PREVOTE:
    case RAFT_VOTE:
        CHECK(false); /* have their own rules about terms */
        break;
    case RAFT_PREVOTE_RESPONSE:
    case RAFT_VOTE_RESPONSE:
        raft_election_on_response(raft, message);
        break;
    case RAFT_APPEND:
        raft_follower_on_append(raft, message, ret_stored);
        break;
    case RAFT_APPEND_RESPONSE:
        raft_replication_on_append_response(raft, message);
        break;
    case RAFT_HEARTBEAT:
        raft_follower_on_heartbeat(raft, message);
        break;
    case RAFT_HEARTBEAT_RESPONSE:
        raft_replication_on_heartbeat_response(raft, message);
        break;
    case RAFT_TIMEOUT_NOW:
        raft_transfer_on_timeout_now(raft, message);
        break;
    case RAFT_TIMEOUT_NOW_RESPONSE:
        raft_transfer_on_response(raft, message);
        break;
    case RAFT_READ_INDEX:
        raft_read_on_request(raft, message);
        break;
    case RAFT_READ_INDEX_RESPONSE:
        raft_read_on_response(raft, message);
        break;
    }
}

/* The one place that compares terms: no handler after it sees another than the present one. Only
 * requests for votes have their own rules, and the grant of a pre-vote is for a term that nobody
 * is in yet. */
static void
receive(struct raft *raft, const struct raft_message *message, struct raft_range *ret_stored)
{
    if (message->type == RAFT_PREVOTE) {
        raft_election_on_prevote(raft, message);
        return;
    }
    if (message->type == RAFT_VOTE) {
        raft_election_on_vote(raft, message);
        return;
    }
    if (message->type == RAFT_PREVOTE_RESPONSE && message->vote_response.granted) {
        MARK_IF(message->term != raft->term + 1, prevote_granted_for_another_term);
        if (message->term == raft->term + 1) {
            raft_election_on_response(raft, message);
        }
        return;
    }
    if (message->term > raft->term && raft_election_is_deaf_to(raft, message->from)) {
        MARK(higher_term_of_a_stranger_ignored);
        return;
    }
    if (message->term > raft->term) {
        MARK_IF(raft->role == RAFT_LEADER, leader_meets_a_higher_term);
        MARK_IF(raft->role == RAFT_CANDIDATE, candidate_meets_a_higher_term);
        MARK_IF(raft->role == RAFT_PRE_CANDIDATE, prevote_refusal_raises_the_term);
        raft_become_follower(raft, message->term);
    }
    if (message->term < raft->term) {
        answer_earlier_term(raft, message);
        return;
    }
    receive_in_term(raft, message, ret_stored);
}

bool raft_term_is_credible(const struct raft *raft, raft_term term)
{
    return term <= raft->term || term - raft->term <= RAFT_TERM_STEP_MAX;
}

bool raft_contradicts(const struct raft *raft, const struct raft_message *message)
{
    return raft_follower_contradicts(raft, message);
}

void raft_receive(struct raft *raft,
                  raft_time now,
                  const struct raft_message *message,
                  struct raft_range *ret_stored)
{
    begin_input(raft, now);
    *ret_stored = (struct raft_range){.first = 1, .last = 0};
    MARK_IF(!raft_term_is_credible(raft, message->term), message_of_a_term_beyond_belief);
    if (message->to == raft->options.id && message->from != raft->options.id &&
        raft_term_is_credible(raft, message->term)) {
        receive(raft, message, ret_stored);
        settle(raft);
    }
}

static enum status may_propose(const struct raft *raft, const uint32_t *command_bytes, size_t count)
{
    if (raft->role != RAFT_LEADER) {
        return STATUS_NOT_LEADER;
    }
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (command_bytes[i] > raft->options.entry_bytes_max) {
            return STATUS_LIMIT;
        }
        bytes += command_bytes[i];
    }
    uint64_t waiting = raft->lead.uncommitted_bytes;
    /* Alone, any legal batch passes: what is larger than the limit must not wait for ever. */
    bool too_many_bytes = waiting > 0 && waiting + bytes > raft->options.uncommitted_bytes_max;
    bool too_many = count + raft_log_reserve(raft) > raft_log_room(raft);
    MARK_IF(waiting == 0 && bytes > raft->options.uncommitted_bytes_max,
            proposal_alone_above_the_limit);
    MARK_IF(too_many_bytes, proposal_refused_for_uncommitted_bytes);
    MARK_IF(too_many, proposal_refused_for_log_room);
    MARK_IF(raft_transfer_is_running(raft), proposal_refused_during_transfer);
    return too_many_bytes || too_many || raft_transfer_is_running(raft) ? STATUS_BUSY : STATUS_OK;
}

enum status raft_propose(struct raft *raft,
                         raft_time now,
                         const uint32_t *command_bytes,
                         size_t count,
                         raft_index *ret_first,
                         raft_term *ret_term)
{
    CHECK_OP(count, >, 0);
    begin_input(raft, now);
    enum status status = may_propose(raft, command_bytes, count);
    if (status != STATUS_OK) {
        return status;
    }
    *ret_first = raft->log.last + 1;
    *ret_term = raft->term;
    for (size_t i = 0; i < count; i++) {
        struct raft_entry entry = {
            .term = raft->term, .bytes = command_bytes[i], .type = RAFT_ENTRY_COMMAND};
        raft_log_append(raft, &entry);
        raft->lead.uncommitted_bytes += command_bytes[i];
    }
    raft_progress_log_grew(raft);
    settle(raft);
    return STATUS_OK;
}

enum status raft_read(struct raft *raft, raft_time now, uint64_t token)
{
    begin_input(raft, now);
    bool can_ask = raft->role == RAFT_FOLLOWER && raft->leader != 0;
    bool can_answer = raft->role == RAFT_LEADER && !raft_transfer_is_running(raft);
    if (!can_ask && !can_answer) {
        MARK_IF(raft->role == RAFT_LEADER, read_refused_during_transfer);
        return STATUS_UNAVAILABLE;
    }
    if (!raft_read_has_room(raft)) {
        MARK(read_refused_for_full_queue);
        return STATUS_BUSY;
    }
    raft_read_push(raft, 0, token);
    settle(raft);
    return STATUS_OK;
}

void raft_persisted(struct raft *raft, raft_time now, raft_seq seq)
{
    begin_input(raft, now);
    raft_writes_finished(raft, seq);
    settle(raft);
}

static void leader_lost_peer(struct raft *raft, raft_id id)
{
    struct raft_peer *peer = raft_progress_find(raft, id);
    if (peer != NULL && peer->state == RAFT_PROGRESS_REPLICATE) {
        MARK_IF(peer->inflight_count > 0, connection_lost_with_entries_in_flight);
        raft_progress_become_probe(raft, peer, peer->match + 1);
    } else if (peer != NULL && peer->state == RAFT_PROGRESS_PROBE) {
        peer->probe_sent = false;
        peer->probe_plain = true;
    }
    if (id == raft->lead.transfer_target) {
        MARK(connection_to_transfer_target_lost);
        raft_transfer_abort(raft);
    }
}

void raft_peer_down(struct raft *raft, raft_time now, raft_id peer)
{
    begin_input(raft, now);
    if (raft->role == RAFT_LEADER) {
        leader_lost_peer(raft, peer);
    } else if (raft->role == RAFT_FOLLOWER && peer != 0 && raft->leader == peer) {
        MARK(connection_to_leader_lost);
        raft_role_forget_leader(raft);
        raft_role_rearm(raft, 0, raft->options.election_timeout_us / 4);
    }
    settle(raft);
}

enum status raft_add_learner(struct raft *raft,
                             raft_time now,
                             const struct raft_member *member,
                             raft_index *ret_index)
{
    begin_input(raft, now);
    enum status status = raft_membership_add_learner(raft, member, ret_index);
    settle(raft);
    return status;
}

enum status raft_remove_learner(struct raft *raft, raft_time now, raft_id id, raft_index *ret_index)
{
    begin_input(raft, now);
    enum status status = raft_membership_remove_learner(raft, id, ret_index);
    settle(raft);
    return status;
}

enum status raft_change_voters(struct raft *raft,
                               raft_time now,
                               const raft_id *voters,
                               size_t count,
                               bool keep_as_learners,
                               bool force,
                               raft_index *ret_index)
{
    begin_input(raft, now);
    struct raft_voter_change change = {
        .voters = voters, .count = count, .keep_as_learners = keep_as_learners, .force = force};
    enum status status = raft_membership_change_voters(raft, &change, ret_index);
    settle(raft);
    return status;
}

enum status raft_cancel_change(struct raft *raft, raft_time now, raft_index *ret_index)
{
    begin_input(raft, now);
    enum status status = raft_membership_cancel(raft, ret_index);
    settle(raft);
    return status;
}

static enum status may_transfer(const struct raft *raft, raft_id target)
{
    if (raft->role != RAFT_LEADER) {
        return STATUS_NOT_LEADER;
    }
    if (raft->lead.transfer_target != 0 && raft->lead.transfer_target == target) {
        return STATUS_OK;
    }
    if (raft_transfer_is_running(raft)) {
        return STATUS_BUSY;
    }
    if (target == 0) {
        return raft_transfer_best_target(raft) != 0 ? STATUS_OK : STATUS_UNAVAILABLE;
    }
    if (!raft_config_is_voter(raft_config_list_effective(raft), target)) {
        return STATUS_INVALID;
    }
    const struct raft_peer *peer = raft_progress_find_const(raft, target);
    bool reachable = peer != NULL && raft_progress_is_active(raft, peer);
    return reachable || target == raft->options.id ? STATUS_OK : STATUS_UNAVAILABLE;
}

enum status raft_transfer(struct raft *raft, raft_time now, raft_id target)
{
    begin_input(raft, now);
    enum status status = may_transfer(raft, target);
    if (status == STATUS_OK && target != raft->options.id && !raft_transfer_is_running(raft)) {
        raft_transfer_begin(raft, target != 0 ? target : raft_transfer_best_target(raft));
    }
    settle(raft);
    return status;
}

/* --- Log base and dumps --- */

void raft_trim(struct raft *raft, raft_index index)
{
    CHECK(raft->started);
    if (index > raft->log.base) {
        CHECK_OP(index, <=, raft->commit_durable);
        MARK_IF(index == raft->log.last, log_trimmed_to_its_end);
        raft_log_trim(raft, index);
    }
}

static struct raft_peer *peer_in_snapshot(struct raft *raft, raft_id id)
{
    struct raft_peer *peer = raft_progress_find(raft, id);
    bool fits = raft->role == RAFT_LEADER && peer != NULL && peer->state == RAFT_PROGRESS_SNAPSHOT;
    return fits ? peer : NULL;
}

void raft_dump_sent(struct raft *raft, raft_time now, raft_id peer, raft_index dump_index)
{
    begin_input(raft, now);
    struct raft_peer *found = peer_in_snapshot(raft, peer);
    MARK_IF(found == NULL, dump_sent_to_a_peer_that_needs_none);
    MARK_IF(found != NULL && dump_index < raft->log.base, dump_sent_but_log_trimmed_beyond);
    if (found != NULL && dump_index >= raft->log.base && dump_index <= raft->log.last &&
        dump_index >= found->match) {
        raft_progress_become_probe(raft, found, dump_index + 1);
    }
    settle(raft);
}

void raft_dump_failed(struct raft *raft, raft_time now, raft_id peer)
{
    begin_input(raft, now);
    struct raft_peer *found = peer_in_snapshot(raft, peer);
    if (found != NULL) {
        MARK(dump_failed_and_delayed);
        found->dump_retry_at = raft->now + raft->options.election_timeout_us;
    }
    settle(raft);
}

void raft_set_installing(struct raft *raft, bool installing)
{
    raft->installing = installing;
}

void raft_set_barred(struct raft *raft, bool barred)
{
    raft->barred = barred;
}

enum status raft_install(struct raft *raft,
                         raft_time now,
                         raft_index index,
                         raft_term term,
                         raft_term sender_term,
                         raft_index config_index,
                         const struct raft_config *config)
{
    begin_input(raft, now);
    if (term == 0 || term > sender_term || sender_term >= RAFT_NUMBER_MAX || index == 0 ||
        index >= RAFT_NUMBER_MAX || config_index == 0 || config_index > index ||
        !raft_term_is_credible(raft, sender_term) || raft_config_validate(config) != STATUS_OK) {
        return STATUS_INVALID;
    }
    if (raft->role == RAFT_LEADER || index <= raft->commit) {
        MARK_IF(raft->role == RAFT_LEADER, install_refused_by_leader);
        return STATUS_CONFLICT;
    }
    if (sender_term > raft->term) {
        MARK(install_from_a_newer_leader);
        raft_become_follower(raft, sender_term);
    } else if (raft->role != RAFT_FOLLOWER) {
        MARK(install_ends_a_campaign);
        raft_become_follower(raft, raft->term);
    }
    enum status status = raft_follower_install(raft, index, term, config_index, config);
    settle(raft);
    return status;
}

/* --- Output --- */

static raft_time next_deadline(const struct raft *raft)
{
    if (raft->role == RAFT_LEADER) {
        raft_time replication = raft_replication_deadline(raft);
        raft_time transfer = raft_transfer_deadline(raft);
        return transfer < replication ? transfer : replication;
    }
    raft_time reads = raft_read_deadline(raft);
    return reads < raft->election.deadline ? reads : raft->election.deadline;
}

void raft_flush(struct raft *raft, raft_time now, struct raft_output *output)
{
    begin_input(raft, now);
    settle(raft);
    output->message_count = 0;
    output->read_count = 0;
    output->more = false;
    raft_writes_flush(raft, &output->write);
    raft_outbox_release(raft, output);
    raft_follower_flush(raft, output);
    raft_election_flush(raft, output);
    if (raft->role == RAFT_LEADER) {
        raft_read_begin_round(raft);
        raft_replication_flush(raft, output);
        raft_transfer_flush(raft, output);
    }
    raft_read_flush(raft, output);
    MARK_IF(raft->commit_durable > raft_writes_durable_index(raft), commit_swept_by_an_install);
    /* Not what an install has just swept out of the log before the driver could apply it. */
    if (raft->commit_durable <= raft_writes_durable_index(raft)) {
        raft->commit_shown = raft->commit_durable;
    }
    output->commit_index = raft->commit_shown;
    output->next_deadline = next_deadline(raft);
}

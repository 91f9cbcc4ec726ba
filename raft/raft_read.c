#include "raft/raft_read.h"

#include "base/check.h"
#include "base/mark.h"
#include "raft/raft_config.h"
#include "raft/raft_config_list.h"
#include "raft/raft_layout.h"
#include "raft/raft_outbox.h"
#include "raft/raft_progress.h"
#include "raft/raft_quorum.h"
#include "raft/raft_writes.h"

bool raft_read_has_room(const struct raft *raft)
{
    return raft->reads.count < raft->options.reads_max;
}

void raft_read_push(struct raft *raft, raft_id requester, uint64_t token)
{
    CHECK(raft_read_has_room(raft));
    struct raft_waiting_read *read = raft_layout_read(raft, raft->reads.count++);
    *read = (struct raft_waiting_read){
        .token = token,
        .requester = requester,
        .deadline = raft->now + raft->options.election_timeout_us,
    };
}

void raft_read_fail_all(struct raft *raft)
{
    /* Those that are finished were confirmed while the leader still was one. */
    while (raft->reads.finished < raft->reads.count) {
        MARK(read_failed_with_its_leader);
        raft_layout_read(raft, raft->reads.finished++)->ok = false;
    }
}

/* The front of the reads that still wait; NULL if none. */
static struct raft_waiting_read *first_waiting(struct raft *raft)
{
    if (raft->reads.finished == raft->reads.count) {
        return NULL;
    }
    return raft_layout_read(raft, raft->reads.finished);
}

/* Finish the front one and return the next. */
static struct raft_waiting_read *
finish(struct raft *raft, struct raft_waiting_read *read, bool ok, raft_index index)
{
    read->ok = ok;
    read->index = index;
    raft->reads.finished++;
    return first_waiting(raft);
}

static uint64_t echoed_round(raft_id id, const void *context)
{
    const struct raft *raft = context;
    if (id == raft->options.id) {
        return UINT64_MAX;
    }
    return raft_progress_of(raft, id)->read_echo;
}

/* Reads without a round are at the end of the queue. */
static void join_next_round(struct raft *raft)
{
    for (uint32_t i = raft->reads.count; i > raft->reads.finished; i--) {
        struct raft_waiting_read *read = raft_layout_read(raft, i - 1);
        if (read->round != 0) {
            return;
        }
        read->round = raft->lead.read_round + 1;
        read->index = raft->commit;
    }
}

void raft_read_settle(struct raft *raft)
{
    CHECK(raft->role == RAFT_LEADER);
    struct raft_waiting_read *read = first_waiting(raft);
    if (read == NULL || raft->commit < raft->lead.noop_index) {
        MARK_IF(read != NULL, read_waits_for_the_noop);
        return;
    }
    join_next_round(raft);
    uint64_t reached = raft_quorum_reached(&raft->voters, echoed_round, raft);
    while (read != NULL && read->round <= reached) {
        read = finish(raft, read, true, read->index);
    }
}

void raft_read_begin_round(struct raft *raft)
{
    if (raft->reads.finished == raft->reads.count) {
        return;
    }
    const struct raft_waiting_read *last = raft_layout_read(raft, raft->reads.count - 1);
    if (last->round <= raft->lead.read_round) {
        return;
    }
    uint64_t reached = raft_quorum_reached(&raft->voters, echoed_round, raft);
    MARK_IF(raft->lead.read_round - reached >= RAFT_READ_ROUNDS_MAX, read_rounds_all_under_way);
    if (raft->lead.read_round - reached < RAFT_READ_ROUNDS_MAX) {
        raft->lead.read_round++;
    }
}

void raft_read_expire(struct raft *raft)
{
    struct raft_waiting_read *read = first_waiting(raft);
    while (read != NULL && raft->now >= read->deadline) {
        MARK(read_expired_at_a_follower);
        read = finish(raft, read, false, 0);
    }
}

raft_time raft_read_deadline(const struct raft *raft)
{
    if (raft->reads.finished == raft->reads.count) {
        return UINT64_MAX;
    }
    return raft_layout_read_const(raft, raft->reads.finished)->deadline;
}

void raft_read_refuse(struct raft *raft, const struct raft_message *message)
{
    struct raft_message answer = raft_outbox_message(raft, RAFT_READ_INDEX_RESPONSE, message->from);
    answer.read_index_response.token = message->read_index.token;
    raft_outbox_hold(raft, &answer);
}

void raft_read_on_request(struct raft *raft, const struct raft_message *message)
{
    const struct raft_config *config = raft_config_list_effective(raft);
    if (raft->role != RAFT_LEADER || raft->lead.transfer_target != 0 || raft->lead.retiring ||
        raft_config_find(config, message->from) == NULL || !raft_read_has_room(raft)) {
        MARK_IF(raft->role != RAFT_LEADER, read_asked_of_no_leader);
        MARK_IF(raft->role == RAFT_LEADER && raft_config_find(config, message->from) == NULL,
                read_asked_by_no_member);
        MARK_IF(!raft_read_has_room(raft), read_of_follower_refused_for_full_queue);
        raft_read_refuse(raft, message);
        return;
    }
    raft_read_push(raft, message->from, message->read_index.token);
}

void raft_read_on_response(struct raft *raft, const struct raft_message *message)
{
    if (raft->role != RAFT_FOLLOWER || message->from != raft->leader) {
        return;
    }
    uint64_t batch = message->read_index_response.token;
    struct raft_waiting_read *read = first_waiting(raft);
    MARK_IF(read == NULL, read_answer_comes_too_late);
    while (read != NULL && read->round != 0 && read->round <= batch && batch <= raft->reads.batch) {
        read =
            finish(raft, read, message->read_index_response.ok, message->read_index_response.index);
    }
}

/* All reads that were not asked for yet travel as one request. */
static void ask_leader(struct raft *raft, struct raft_output *output)
{
    struct raft_reads *reads = &raft->reads;
    uint32_t first = reads->count;
    while (first > reads->finished && raft_layout_read(raft, first - 1)->round == 0) {
        first--;
    }
    if (first == reads->count || raft->leader == 0 || !raft_writes_hard_state_is_durable(raft)) {
        MARK_IF(first != reads->count, read_request_held_for_the_disk);
        return;
    }
    struct raft_message message = raft_outbox_message(raft, RAFT_READ_INDEX, raft->leader);
    message.read_index.token = reads->batch + 1;
    raft_outbox_send_first(output, &message);
    reads->batch++;
    for (uint32_t i = first; i < reads->count; i++) {
        raft_layout_read(raft, i)->round = reads->batch;
    }
}

static bool
hand_out(struct raft *raft, const struct raft_waiting_read *read, struct raft_output *output)
{
    if (read->requester == 0) {
        if (output->read_count == RAFT_OUTPUT_READS_MAX) {
            MARK(finished_reads_wait_for_the_next_flush);
            output->more = true;
            return false;
        }
        output->reads[output->read_count++] = (struct raft_finished_read){
            .token = read->token, .ok = read->ok, .index = read->ok ? read->index : 0};
        return true;
    }
    /* A node that asked a former leader finds out by itself. */
    if (raft->role != RAFT_LEADER) {
        MARK(read_of_follower_dropped_on_step_down);
        return true;
    }
    struct raft_message message =
        raft_outbox_message(raft, RAFT_READ_INDEX_RESPONSE, read->requester);
    message.read_index_response.token = read->token;
    message.read_index_response.ok = read->ok;
    message.read_index_response.index = read->ok ? read->index : 0;
    return raft_outbox_send(output, &message);
}

void raft_read_flush(struct raft *raft, struct raft_output *output)
{
    struct raft_reads *reads = &raft->reads;
    while (reads->finished > 0 && hand_out(raft, raft_layout_read(raft, 0), output)) {
        reads->first = (reads->first + 1) % raft->options.reads_max;
        reads->finished--;
        reads->count--;
    }
    if (raft->role == RAFT_FOLLOWER) {
        ask_leader(raft, output);
    }
}

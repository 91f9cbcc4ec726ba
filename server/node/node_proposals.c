#include "server/node/node_proposals.h"

#include "base/block.h"
#include "base/check.h"
#include "base/mark.h"
#include "proto/record.pb-c.h"
#include "server/node/node_log.h"
#include "server/node/peer_codec.h"

#include <string.h>

enum {
    STAMP_BYTES = 8,
    PLACE_COUNT_MAX = 512,               /* proposals given to the core in one call */
    FORWARD_COUNT_MAX = 1024,            /* commands in one Forward */
    FORWARD_BYTES_MAX = 4 * 1024 * 1024, /* a Forward ends after the command that exceeds it */
    QUEUED_COUNT_MAX = 65536,
    QUEUED_BYTES_MAX = 64 * 1024 * 1024,
    UNAPPLIED_BYTES_MAX = 16 * 1024 * 1024,
    UNAPPLIED_COUNT_MIN = 64, /* or the records of two checkpoints */
    RETRY_US = 10 * 1000      /* after the leader was busy */
};

struct proposal {
    struct list link;
    struct payload *payload; /* the entry: room for the stamp, then the command */
    uint64_t *under_way;     /* the node's sum of all */
    raft_term term;
    raft_index index;
    uint64_t deadline_us;
    bool abandoned;
    proposal_done *done;
    void *context;
};

static struct proposal *proposal_of(struct list *link)
{
    return CONTAINER_OF(link, struct proposal, link);
}

static struct bytes command_of(const struct proposal *proposal)
{
    return bytes_of(proposal->payload->data + STAMP_BYTES, proposal->payload->size - STAMP_BYTES);
}

void node_proposals_init(struct node *node)
{
    list_init(&node->queued);
    list_init(&node->forwarded);
    list_init(&node->placed);
    apply_lag_init(&node->apply_lag);
}

static void proposal_free(struct proposal *proposal)
{
    *proposal->under_way -= proposal->payload->size;
    list_remove(&proposal->link);
    payload_unref(proposal->payload);
    block_free(proposal, sizeof *proposal);
}

static void leave_queue(struct node *node, struct proposal *proposal)
{
    node->queued_count--;
    node->queued_bytes -= proposal->payload->size;
    list_remove(&proposal->link);
}

static void enter_queue(struct node *node, struct proposal *proposal, bool at_front)
{
    node->queued_count++;
    node->queued_bytes += proposal->payload->size;
    if (at_front) {
        list_prepend(&node->queued, &proposal->link);
    } else {
        list_append(&node->queued, &proposal->link);
    }
}

/* End a proposal that is in `forwarded` or `placed`, or in no list. */
static void finish(struct proposal *proposal, Client__Code code, const struct state_result *result)
{
    list_remove(&proposal->link);
    if (!proposal->abandoned) {
        proposal->done(proposal->context, code, result);
    }
    proposal_free(proposal);
}

void node_proposals_release(struct node *node)
{
    struct list *lists[] = {&node->placed, &node->forwarded, &node->queued};

    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        while (!list_is_empty(lists[i])) {
            finish(proposal_of(lists[i]->next), CLIENT__CODE__STOPPING, NULL);
        }
    }
}

struct proposal *node_propose(struct node *node,
                              struct bytes prefix,
                              struct bytes command,
                              proposal_done *done,
                              void *context)
{
    size_t size = STAMP_BYTES + prefix.size + command.size;
    struct proposal *proposal;

    if (node->queued_count >= QUEUED_COUNT_MAX || node->queued_bytes + size > QUEUED_BYTES_MAX) {
        return NULL;
    }
    proposal = block_new(sizeof *proposal);
    *proposal = (struct proposal){.done = done, .context = context};
    list_init(&proposal->link);
    proposal->payload = payload_new(size);
    memset(proposal->payload->data, 0, STAMP_BYTES);
    if (prefix.size > 0) {
        memcpy(proposal->payload->data + STAMP_BYTES, prefix.data, prefix.size);
    }
    if (command.size > 0) {
        memcpy(proposal->payload->data + STAMP_BYTES + prefix.size, command.data, command.size);
    }
    proposal->deadline_us = node_now(node) + node->options.request_timeout_us;
    proposal->under_way = &node->proposed_bytes;
    node->proposed_bytes += size;
    enter_queue(node, proposal, false);
    return proposal;
}

uint64_t node_proposed_bytes(const struct node *node)
{
    return node->proposed_bytes;
}

void proposal_abandon(struct proposal *proposal)
{
    proposal->abandoned = true;
}

/* --- Placing, on the leader --- */

bool node_may_place(const struct node *node)
{
    return node->led_term != 0 && node->led_term == node->status.term &&
           state_applied(node->state) >= node->led_from;
}

/* The leader's clock, never falling from one entry to the next. */
static uint64_t next_stamp(struct node *node)
{
    uint64_t wall_ms = node->port.wall_ms(node->port.context);
    uint64_t applied_ms = state_time_ms(node->state);

    if (node->last_stamp_ms < applied_ms) {
        node->last_stamp_ms = applied_ms;
    }
    if (node->last_stamp_ms < wall_ms) {
        node->last_stamp_ms = wall_ms;
    }
    return node->last_stamp_ms;
}

/* Whether a command makes the disks fuller: everything but removals and the ends of sessions. */
static bool needs_space(struct bytes command)
{
    Record__Command *message = record__command__unpack(NULL, command.size, command.data);
    bool needs = true;

    if (message == NULL) {
        return true;
    }
    if (message->body_case == RECORD__COMMAND__BODY_OPERATION) {
        needs = message->operation->kind_case != RECORD__OPERATION__KIND_REMOVE;
    } else if (message->body_case == RECORD__COMMAND__BODY_TRANSACTION) {
        needs = false;
        for (size_t i = 0; i < message->transaction->n_operations; i++) {
            needs |=
                message->transaction->operations[i]->kind_case == RECORD__OPERATION__KIND_CREATE ||
                message->transaction->operations[i]->kind_case == RECORD__OPERATION__KIND_SET ||
                message->transaction->operations[i]->kind_case == RECORD__OPERATION__KIND_SET_ACL;
        }
    } else {
        needs = false;
    }
    record__command__free_unpacked(message, NULL);
    return needs;
}

static void note_size(struct node_proposal_sizes *sizes, uint32_t size)
{
    sizes->least = sizes->last == 0 || size < sizes->least ? size : sizes->least;
    sizes->most = size > sizes->most ? size : sizes->most;
    sizes->last = size;
}

/* What is committed waits to be applied as long as a checkpoint takes, in memory, and those who
 * asked for it have long given up when there is too much. Only who places knows to stop: clients of
 * the others are answered by these. */
static bool is_applied_in_time(const struct node *node, size_t count)
{
    struct raft_status status = raft_status(node->raft);
    uint64_t unapplied_count = node->commit_index - state_applied(node->state);

    return (unapplied_count < UNAPPLIED_COUNT_MIN ||
            unapplied_count < 2 * node->options.checkpoint_records_max) &&
           node->cache.bytes <= node->options.entry_cache_bytes_max + status.uncommitted_bytes +
                                    UNAPPLIED_BYTES_MAX &&
           apply_lag_permits(&node->apply_lag,
                             status.last_index - state_applied(node->state) + count);
}

/* Put `count` stamped payloads at the end of the leader's log. The references stay the caller's. */
static enum status place(struct node *node,
                         struct payload *const *payloads,
                         size_t count,
                         raft_index *ret_first,
                         raft_term *ret_term)
{
    uint32_t sizes[PLACE_COUNT_MAX];
    uint64_t stamp_ms = next_stamp(node);
    enum status status;

    CHECK_OP(count, <=, PLACE_COUNT_MAX);
    if (!is_applied_in_time(node, count)) {
        MARK(nothing_placed_before_more_is_applied);
        return STATUS_BUSY;
    }
    for (size_t i = 0; i < count; i++) {
        bytes_store_u64(payloads[i]->data, stamp_ms);
        sizes[i] = payloads[i]->size;
    }
    status = raft_propose(node->raft, node_now(node), sizes, count, ret_first, ret_term);
    if (status == STATUS_OK) {
        /* The core may have appended an entry of its own since the last flush. */
        node_log_cache_own(node, *ret_first);
    }
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        entry_cache_put(&node->cache, *ret_first + i, payload_ref(payloads[i]));
        note_size(&node->proposal_sizes, sizes[i]);
    }
    return status;
}

/* Refuse what needs space while there is none. */
static void refuse_growth(struct node *node)
{
    LIST_FOR_EACH (link, &node->queued) {
        struct proposal *proposal = proposal_of(link);

        if (needs_space(command_of(proposal))) {
            MARK(write_refused_for_space);
            leave_queue(node, proposal);
            finish(proposal, CLIENT__CODE__NO_SPACE, NULL);
        }
    }
}

/* Up to PLACE_COUNT_MAX from the front of the queue; false when no more can be placed now. */
static bool place_some(struct node *node)
{
    struct payload *payloads[PLACE_COUNT_MAX];
    size_t count = 0;
    raft_index first;
    raft_term term;

    LIST_FOR_EACH (link, &node->queued) {
        payloads[count++] = proposal_of(link)->payload;
        if (count == PLACE_COUNT_MAX) {
            break;
        }
    }
    /* The core takes all or nothing: when the whole does not fit, its first half may. */
    while (count > 0 && place(node, payloads, count, &first, &term) != STATUS_OK) {
        MARK(placed_in_part_as_the_core_is_busy);
        count /= 2;
    }
    for (size_t i = 0; i < count; i++) {
        struct proposal *proposal = proposal_of(node->queued.next);

        leave_queue(node, proposal);
        proposal->index = first + i;
        proposal->term = term;
        list_append(&node->placed, &proposal->link);
    }
    return count > 0;
}

/* The other half is what it may have to wait for once it is placed. */
static bool has_waited_half_its_time(struct node *node, const struct proposal *proposal)
{
    return proposal->deadline_us < node_now(node) + node->options.request_timeout_us / 2;
}

static void refuse_late(struct node *node)
{
    while (!list_is_empty(&node->queued) &&
           has_waited_half_its_time(node, proposal_of(node->queued.next))) {
        struct proposal *proposal = proposal_of(node->queued.next);

        MARK(write_refused_as_applying_lags);
        leave_queue(node, proposal);
        finish(proposal, CLIENT__CODE__BUSY, NULL);
    }
}

static void place_queued(struct node *node)
{
    if (!node->space.is_enough) {
        refuse_growth(node);
    }
    if (apply_lag_is_bounded(&node->apply_lag)) {
        refuse_late(node);
    }
    while (!list_is_empty(&node->queued)) {
        if (!place_some(node)) {
            node->retry_us = node_now(node) + RETRY_US;
            return;
        }
    }
}

/* --- Forwarding, on the others --- */

static void forward_queued(struct node *node, raft_id leader)
{
    Peer__PeerMessage outer = PEER__PEER_MESSAGE__INIT;
    Peer__Forward forward = PEER__FORWARD__INIT;
    ProtobufCBinaryData commands[FORWARD_COUNT_MAX];
    size_t bytes = 0;

    forward.commands = commands;
    LIST_FOR_EACH (link, &node->queued) {
        struct payload *payload = proposal_of(link)->payload;

        commands[forward.n_commands].data = payload->data + STAMP_BYTES;
        commands[forward.n_commands].len = payload->size - STAMP_BYTES;
        bytes += payload->size;
        forward.n_commands++;
        if (forward.n_commands == FORWARD_COUNT_MAX || bytes > FORWARD_BYTES_MAX) {
            break;
        }
    }
    forward.id = ++node->forward_id;
    outer.body_case = PEER__PEER_MESSAGE__BODY_FORWARD;
    outer.forward = &forward;
    buffer_clear(&node->turn_buffer);
    peer_codec_pack(&outer, &node->turn_buffer);
    if (!node->port.send(node->port.context, leader, buffer_lend(&node->turn_buffer), false)) {
        MARK(forward_not_sent);
        node->retry_us = node_now(node) + RETRY_US;
        return;
    }
    node->forwarded_to = leader;
    for (size_t i = 0; i < forward.n_commands; i++) {
        struct proposal *proposal = proposal_of(node->queued.next);

        leave_queue(node, proposal);
        list_append(&node->forwarded, &proposal->link);
    }
}

void node_proposals_flush(struct node *node)
{
    raft_id leader = node->status.leader;

    if (list_is_empty(&node->queued) || node_now(node) < node->retry_us) {
        return;
    }
    if (leader == node->options.id) {
        if (node_may_place(node)) {
            place_queued(node);
        }
    } else if (leader != 0 && list_is_empty(&node->forwarded)) {
        forward_queued(node, leader);
    }
}

/* The leader cannot read it, and never will: the others wait for nothing. */
static void refuse_unreadable(struct proposal *proposal)
{
    enum op_error error = state_command_check(command_of(proposal));

    MARK(forwarded_write_refused_as_unreadable);
    finish(proposal, error == OP_OK ? CLIENT__CODE__UNREADABLE : (Client__Code)error, NULL);
}

void node_proposals_on_forwarded(struct node *node, raft_id peer, const Peer__Forwarded *forwarded)
{
    struct list *last = NULL;
    raft_index index = forwarded->first_index;
    uint32_t accepted = forwarded->accepted;

    if (peer != node->forwarded_to || forwarded->id != node->forward_id) {
        MARK(answer_to_an_earlier_forward);
        return;
    }
    while (accepted > 0 && !list_is_empty(&node->forwarded)) {
        struct proposal *proposal = proposal_of(node->forwarded.next);

        if (index <= state_applied(node->state)) {
            MARK(entry_overtook_the_answer_to_its_forward);
            /* The entry overtook this answer; its result is gone. */
            finish(proposal, CLIENT__CODE__UNKNOWN_OUTCOME, NULL);
        } else {
            proposal->index = index;
            proposal->term = forwarded->term;
            list_remove(&proposal->link);
            list_append(&node->placed, &proposal->link);
        }
        index++;
        accepted--;
    }
    if (forwarded->code == CLIENT__CODE__UNREADABLE && !list_is_empty(&node->forwarded)) {
        refuse_unreadable(proposal_of(node->forwarded.next));
    }
    /* The rest was refused before anything happened: it goes back to the front, in order; what the
     * disks have no room for is answered. */
    while (!list_is_empty(&node->forwarded)) {
        struct proposal *proposal = proposal_of(node->forwarded.previous);

        if (forwarded->code == CLIENT__CODE__NO_SPACE && needs_space(command_of(proposal))) {
            MARK(forwarded_write_refused_for_space);
            finish(proposal, CLIENT__CODE__NO_SPACE, NULL);
            continue;
        }
        if (proposal->deadline_us <= node_now(node)) {
            finish(proposal, CLIENT__CODE__NO_LEADER, NULL);
            continue;
        }
        if (forwarded->code == CLIENT__CODE__BUSY && has_waited_half_its_time(node, proposal)) {
            MARK(write_refused_as_the_leader_is_busy);
            finish(proposal, CLIENT__CODE__BUSY, NULL);
            continue;
        }
        MARK(forward_refused_and_queued_again);
        list_remove(&proposal->link);
        enter_queue(node, proposal, true);
        last = &proposal->link;
    }
    if (last != NULL) {
        node->retry_us = node_now(node) + RETRY_US;
    }
    node->forwarded_to = 0;
}

static void answer_forward(struct node *node,
                           raft_id peer,
                           uint64_t id,
                           raft_index first,
                           raft_term term,
                           size_t accepted,
                           Client__Code code)
{
    Peer__PeerMessage outer = PEER__PEER_MESSAGE__INIT;
    Peer__Forwarded forwarded = PEER__FORWARDED__INIT;

    forwarded.id = id;
    forwarded.first_index = first;
    forwarded.term = term;
    forwarded.accepted = (uint32_t)accepted;
    forwarded.code = (uint32_t)code;
    outer.body_case = PEER__PEER_MESSAGE__BODY_FORWARDED;
    outer.forwarded = &forwarded;
    buffer_clear(&node->turn_buffer);
    peer_codec_pack(&outer, &node->turn_buffer);
    (void)node->port.send(node->port.context, peer, buffer_lend(&node->turn_buffer), false);
}

/* Place one run of commands; the number placed. */
static size_t place_forwarded(struct node *node,
                              const ProtobufCBinaryData *commands,
                              size_t count,
                              raft_index *ret_first,
                              raft_term *ret_term,
                              Client__Code *ret_code)
{
    struct payload *payloads[PLACE_COUNT_MAX];
    size_t made = 0;
    size_t placed = 0;

    while (made < count && made < PLACE_COUNT_MAX) {
        struct bytes command = bytes_of(commands[made].data, commands[made].len);

        if (state_command_check(command) != OP_OK) {
            *ret_code = CLIENT__CODE__UNREADABLE;
            break;
        }
        if (!node->space.is_enough && needs_space(command)) {
            *ret_code = CLIENT__CODE__NO_SPACE;
            break;
        }
        payloads[made] = payload_new(STAMP_BYTES + command.size);
        memcpy(payloads[made]->data + STAMP_BYTES, command.data, command.size);
        made++;
    }
    placed = made;
    while (placed > 0 && place(node, payloads, placed, ret_first, ret_term) != STATUS_OK) {
        MARK(forward_accepted_in_part);
        placed /= 2;
        *ret_code = CLIENT__CODE__BUSY;
    }
    for (size_t i = 0; i < made; i++) {
        payload_unref(payloads[i]);
    }
    return placed;
}

void node_proposals_on_forward(struct node *node, raft_id peer, const Peer__Forward *forward)
{
    raft_index first = 0;
    raft_term term = 0;
    size_t accepted = 0;
    Client__Code code = CLIENT__CODE__OK;

    if (!node_may_place(node) || node->draining) {
        MARK_IF(node->led_term == 0, forward_to_who_leads_no_more);
        MARK_IF(node->led_term != 0 && !node->draining, forward_before_the_leader_applied_its_past);
        answer_forward(node, peer, forward->id, 0, 0, 0, CLIENT__CODE__NO_LEADER);
        return;
    }
    while (accepted < forward->n_commands && code == CLIENT__CODE__OK) {
        raft_index run_first = 0;
        size_t run = place_forwarded(node, forward->commands + accepted,
                                     forward->n_commands - accepted, &run_first, &term, &code);
        if (run == 0) {
            break;
        }
        if (accepted == 0) {
            first = run_first;
        }
        accepted += run;
    }
    answer_forward(node, peer, forward->id, first, term, accepted, code);
}

/* --- Ends --- */

/* A leader may lie about the place: what stands there is somebody else's, and so is the result. */
static bool is_entry_of(const struct proposal *proposal, struct bytes payload)
{
    return payload.size == proposal->payload->size &&
           (payload.data == proposal->payload->data ||
            bytes_equal(bytes_of(payload.data + STAMP_BYTES, payload.size - STAMP_BYTES),
                        command_of(proposal)));
}

void node_proposals_applied(struct node *node,
                            raft_index index,
                            raft_term term,
                            struct bytes payload,
                            const struct state_result *result)
{
    while (!list_is_empty(&node->placed)) {
        struct proposal *proposal = proposal_of(node->placed.next);

        if (proposal->index < index) {
            /* Its entry passed without being seen here. */
            finish(proposal, CLIENT__CODE__UNKNOWN_OUTCOME, NULL);
        } else if (proposal->term < term) {
            MARK(proposal_truncated_by_a_later_term);
            /* A committed entry of a later term lies at or before the place: what was placed there
             * in an earlier term can never be committed. Clients rely on NO_LEADER meaning that. */
            finish(proposal, CLIENT__CODE__NO_LEADER, NULL);
        } else if (proposal->term == term && proposal->index == index) {
            bool is_own = result != NULL && is_entry_of(proposal, payload);

            MARK_IF(!is_own, place_of_a_proposal_is_anothers);
            finish(proposal, is_own ? CLIENT__CODE__OK : CLIENT__CODE__UNKNOWN_OUTCOME,
                   is_own ? result : NULL);
            return;
        } else {
            return;
        }
    }
}

void node_proposals_skipped(struct node *node, raft_index index)
{
    LIST_FOR_EACH (link, &node->placed) {
        if (proposal_of(link)->index <= index) {
            MARK(proposal_skipped_by_a_dump);
            finish(proposal_of(link), CLIENT__CODE__UNKNOWN_OUTCOME, NULL);
        }
    }
}

void node_proposals_leader_lost(struct node *node, raft_id peer)
{
    if (node->forwarded_to != peer) {
        return;
    }
    node->forwarded_to = 0;
    MARK_IF(!list_is_empty(&node->forwarded), leader_lost_with_a_forward_under_way);
    while (!list_is_empty(&node->forwarded)) {
        finish(proposal_of(node->forwarded.next), CLIENT__CODE__UNKNOWN_OUTCOME, NULL);
    }
}

static void expire_list(struct node *node, struct list *list, Client__Code code)
{
    while (!list_is_empty(list)) {
        struct proposal *proposal = proposal_of(list->next);

        if (proposal->deadline_us > node_now(node)) {
            return;
        }
        MARK_IF(list == &node->placed, placed_proposal_timed_out);
        if (list == &node->queued) {
            leave_queue(node, proposal);
        }
        finish(proposal, code, NULL);
    }
}

/* Those that expire stay where they are: the leader's answer counts the commands of the Forward
 * from its first. When it is late for all of them it is not waited for. */
static uint64_t expire_forwarded(struct node *node)
{
    LIST_FOR_EACH (link, &node->forwarded) {
        struct proposal *proposal = proposal_of(link);

        if (proposal->deadline_us > node_now(node)) {
            return proposal->deadline_us;
        }
        if (!proposal->abandoned) {
            MARK(forwarded_proposal_timed_out);
            proposal->abandoned = true;
            proposal->done(proposal->context, CLIENT__CODE__UNKNOWN_OUTCOME, NULL);
        }
    }
    while (!list_is_empty(&node->forwarded)) {
        proposal_free(proposal_of(node->forwarded.next));
    }
    node->forwarded_to = 0;
    return UINT64_MAX;
}

void node_proposals_refuse_queued(struct node *node, Client__Code code)
{
    while (!list_is_empty(&node->queued)) {
        struct proposal *proposal = proposal_of(node->queued.next);

        leave_queue(node, proposal);
        finish(proposal, code, NULL);
    }
}

uint64_t node_proposals_expire(struct node *node)
{
    const struct list *lists[] = {&node->placed, &node->queued};
    uint64_t next_us;

    /* The oldest first, so that the answers of one client stay in order. */
    expire_list(node, &node->placed, CLIENT__CODE__UNKNOWN_OUTCOME);
    next_us = expire_forwarded(node);
    expire_list(node, &node->queued, CLIENT__CODE__NO_LEADER);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (!list_is_empty(lists[i])) {
            uint64_t deadline_us = proposal_of(lists[i]->next)->deadline_us;
            next_us = deadline_us < next_us ? deadline_us : next_us;
        }
    }
    if (!list_is_empty(&node->queued) && node->retry_us > node_now(node) &&
        node->retry_us < next_us) {
        next_us = node->retry_us;
    }
    return next_us;
}

bool node_proposals_are_idle(const struct node *node)
{
    return list_is_empty(&node->queued) && list_is_empty(&node->forwarded) &&
           list_is_empty(&node->placed);
}

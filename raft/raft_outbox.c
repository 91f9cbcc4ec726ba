#include "raft/raft_outbox.h"

#include "base/check.h"
#include "base/mark.h"
#include <string.h>

/* Held ones, a request for a vote from each member, an acknowledgement, a READ_INDEX. */
_Static_assert(RAFT_HELD_MAX + RAFT_MEMBERS_MAX + 2 <= RAFT_OUTPUT_MESSAGES_MAX,
               "what leaves first always fits into one output");

struct raft_message
raft_outbox_message(const struct raft *raft, enum raft_message_type type, raft_id to)
{
    struct raft_message message;
    memset(&message, 0, sizeof message);
    message.type = type;
    message.from = raft->options.id;
    message.to = to;
    message.term = raft->term;
    return message;
}

static struct raft_held_message *find_slot(struct raft_held *held,
                                           const struct raft_message *message)
{
    for (uint32_t i = 0; i < held->count; i++) {
        const struct raft_message *other = &held->items[i].message;
        /* Each refused read has a token of its own; none replaces another. */
        if (other->type == message->type && other->to == message->to &&
            message->type != RAFT_READ_INDEX_RESPONSE) {
            MARK(held_message_replaced);
            return &held->items[i];
        }
    }
    return held->count < RAFT_HELD_MAX ? &held->items[held->count++] : NULL;
}

void raft_outbox_hold_until(struct raft *raft, const struct raft_message *message, raft_seq seq)
{
    struct raft_held_message *slot = find_slot(&raft->held, message);
    MARK_IF(slot == NULL, held_messages_full);
    if (slot != NULL) {
        slot->wait = seq;
        slot->message = *message;
    }
}

void raft_outbox_hold(struct raft *raft, const struct raft_message *message)
{
    raft_outbox_hold_until(raft, message, raft->writes.hard_seq);
}

void raft_outbox_drop(struct raft *raft)
{
    raft->held.count = 0;
}

void raft_outbox_release(struct raft *raft, struct raft_output *output)
{
    struct raft_held *held = &raft->held;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < held->count; i++) {
        bool ready = held->items[i].wait <= raft->writes.done_seq;
        MARK_IF(!ready && held->items[i].message.type == RAFT_VOTE_RESPONSE,
                vote_held_for_the_disk);
        MARK_IF(!ready && held->items[i].message.type == RAFT_APPEND_RESPONSE,
                refusal_held_for_the_disk);
        if (ready) {
            raft_outbox_send_first(output, &held->items[i].message);
        } else {
            held->items[kept++] = held->items[i];
        }
    }
    held->count = kept;
}

bool raft_outbox_send(struct raft_output *output, const struct raft_message *message)
{
    if (output->message_count == RAFT_OUTPUT_MESSAGES_MAX) {
        output->more = true;
        return false;
    }
    output->messages[output->message_count++] = *message;
    return true;
}

void raft_outbox_send_first(struct raft_output *output, const struct raft_message *message)
{
    CHECK(raft_outbox_send(output, message));
}

/* Messages on their way out. An answer is held until the write that it promises is durable; a
 * newer one of the same type to the same node replaces it, a new term drops it, and dropping one
 * is always safe. */
#ifndef RAFT_RAFT_OUTBOX_H
#define RAFT_RAFT_OUTBOX_H

#include "raft/raft_internal.h"

/* Zeroed, with sender, receiver and the present term. */
struct raft_message
raft_outbox_message(const struct raft *raft, enum raft_message_type type, raft_id to);
/* Hold until the present hard state is durable. */
void raft_outbox_hold(struct raft *raft, const struct raft_message *message);
/* Hold until the write `seq` is durable. */
void raft_outbox_hold_until(struct raft *raft, const struct raft_message *message, raft_seq seq);
void raft_outbox_drop(struct raft *raft);
/* Move out what may leave. */
void raft_outbox_release(struct raft *raft, struct raft_output *output);

/* False, and `more` set, when the output is full. */
bool raft_outbox_send(struct raft_output *output, const struct raft_message *message);
/* The same for what leaves before anything of replication: the output has room for all of it. */
void raft_outbox_send_first(struct raft_output *output, const struct raft_message *message);

#endif

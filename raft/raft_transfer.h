/* Leadership transfer (3.10 of the dissertation), also by a leader that its own configuration
 * removed (4.2.2). */
#ifndef RAFT_RAFT_TRANSFER_H
#define RAFT_RAFT_TRANSFER_H

#include "raft/raft_internal.h"

/* The reachable voter that is furthest ahead; 0 if none. */
raft_id raft_transfer_best_target(const struct raft *raft);
void raft_transfer_begin(struct raft *raft, raft_id target);
/* This node is no voter of a committed configuration: hand over, then step down. */
void raft_transfer_retire(struct raft *raft);
void raft_transfer_abort(struct raft *raft);
/* No proposals, reads, or changes meanwhile. */
bool raft_transfer_is_running(const struct raft *raft);

/* Let the target go once it has every entry. */
void raft_transfer_settle(struct raft *raft);
void raft_transfer_tick(struct raft *raft);
raft_time raft_transfer_deadline(const struct raft *raft);
void raft_transfer_flush(struct raft *raft, struct raft_output *output);

/* Follower: campaign, or refuse so that the leader resumes. */
void raft_transfer_on_timeout_now(struct raft *raft, const struct raft_message *message);
void raft_transfer_refuse(struct raft *raft, const struct raft_message *message);
void raft_transfer_on_response(struct raft *raft, const struct raft_message *message);

#endif

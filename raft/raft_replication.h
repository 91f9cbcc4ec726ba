/* The sending end of replication (5.3, 5.4.2): what a leader sends to whom, and what is committed.
 */
#ifndef RAFT_RAFT_REPLICATION_H
#define RAFT_RAFT_REPLICATION_H

#include "raft/raft_internal.h"

/* Responses of the present term. */
void raft_replication_on_append_response(struct raft *raft, const struct raft_message *message);
void raft_replication_on_heartbeat_response(struct raft *raft, const struct raft_message *message);

/* Advance commit to what a quorum of each half has on disk, if that is of this term. */
void raft_replication_settle(struct raft *raft);
/* A quorum of the old voters was heard within an election timeout, one of the new ones was not. */
bool raft_replication_hears_only_old_half(const struct raft *raft);
/* Heartbeats that are due, and stepping down when no quorum was heard for an election timeout. */
void raft_replication_tick(struct raft *raft);
raft_time raft_replication_deadline(const struct raft *raft);
void raft_replication_flush(struct raft *raft, struct raft_output *output);

#endif

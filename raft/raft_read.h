/* ReadIndex (6.4). On a leader a read notes the commit index and joins the next read round; when a
 * quorum of each half has echoed that round in this term, the leader was leader after the read
 * came, and the noted index is safe. A follower asks its leader: one READ_INDEX for all reads that
 * came since the last flush; an answer also settles all earlier reads. */
#ifndef RAFT_RAFT_READ_H
#define RAFT_RAFT_READ_H

#include "raft/raft_internal.h"

bool raft_read_has_room(const struct raft *raft);
void raft_read_push(struct raft *raft, raft_id requester, uint64_t token);
/* The leader is gone, or another: nothing that still waits can be answered. */
void raft_read_fail_all(struct raft *raft);

/* Leader: let reads join the next round once the NOOP is committed, and confirm those whose round
 * a quorum echoed. */
void raft_read_settle(struct raft *raft);
/* Leader, at the flush: begin the next round if reads wait for it. */
void raft_read_begin_round(struct raft *raft);
/* Follower: fail reads that waited an election timeout. */
void raft_read_expire(struct raft *raft);
/* Follower: when raft_read_expire has something to do; UINT64_MAX if never. */
raft_time raft_read_deadline(const struct raft *raft);

void raft_read_on_request(struct raft *raft, const struct raft_message *message);
void raft_read_on_response(struct raft *raft, const struct raft_message *message);
/* Refuse a READ_INDEX. */
void raft_read_refuse(struct raft *raft, const struct raft_message *message);

void raft_read_flush(struct raft *raft, struct raft_output *output);

#endif

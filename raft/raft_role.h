/* The roles, and nothing else that changes them:
 *
 *     FOLLOWER ------timeout-----> PRE_CANDIDATE --pre-votes--> CANDIDATE --votes--> LEADER
 *        |                                                          ^
 *        +----------------------TIMEOUT_NOW-------------------------+
 *     any --higher term, or a leader of this term heard, or (leader) no quorum--> FOLLOWER */
#ifndef RAFT_RAFT_ROLE_H
#define RAFT_RAFT_ROLE_H

#include "raft/raft_internal.h"

/* Enter `term` (>= the present one) without a known leader. The vote is cleared only if the term
 * rises. */
void raft_become_follower(struct raft *raft, raft_term term);
/* Forgets the leader, keeps term and vote. */
void raft_become_pre_candidate(struct raft *raft);
/* Enters the next term and votes for itself. */
void raft_become_candidate(struct raft *raft, bool transfer);
/* Appends a NOOP: only an entry of its own term lets a leader commit (5.4.2). */
void raft_become_leader(struct raft *raft);

/* A leader of this term was heard. */
void raft_role_follow(struct raft *raft, raft_id leader);
void raft_role_forget_leader(struct raft *raft);
/* Draw the next election deadline from [now + low, now + high). */
void raft_role_rearm(struct raft *raft, raft_time low, raft_time high);
/* The same from [T, 2T). */
void raft_role_rearm_full(struct raft *raft);

#endif

/* Campaigns and votes (5.2, 5.4.1, 9.6, 4.2.3). Pre-votes promise nothing and change nothing, not
 * even a timer. A vote, also the own one, counts only when the hard state that records it is
 * durable. Any node votes, whatever its own configuration says; only voters of the candidate's
 * configuration are counted. */
#ifndef RAFT_RAFT_ELECTION_H
#define RAFT_RAFT_ELECTION_H

#include "raft/raft_internal.h"

bool raft_election_may_campaign(const struct raft *raft);
void raft_election_start(struct raft *raft);
/* Without pre-vote: the leader asked for it. */
void raft_election_start_transfer(struct raft *raft);
/* Release requests, count votes, change role. */
void raft_election_settle(struct raft *raft);
void raft_election_flush(struct raft *raft, struct raft_output *output);

/* Does this node hear a leader, while `id` is in none of its configurations? Whoever that is may
 * not end the leadership by a higher term. It may be a leader that is news to this node, of members
 * whose entry has not come here: then the one that is heard falls silent within an election
 * timeout, as with votes (4.2.3). */
bool raft_election_is_deaf_to(const struct raft *raft, raft_id id);

/* Requests of any term; responses of the present term, or granted pre-votes for the next. */
void raft_election_on_prevote(struct raft *raft, const struct raft_message *message);
void raft_election_on_vote(struct raft *raft, const struct raft_message *message);
void raft_election_on_response(struct raft *raft, const struct raft_message *message);

#endif

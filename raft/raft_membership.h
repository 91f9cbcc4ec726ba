/* Changes of the configuration by the leader (chapter 4). One at a time: the next is accepted only
 * when the last one is committed and uniform, and after a commit in this term. */
#ifndef RAFT_RAFT_MEMBERSHIP_H
#define RAFT_RAFT_MEMBERSHIP_H

#include "raft/raft_internal.h"

struct raft_voter_change {
    const raft_id *voters;
    size_t count;
    bool keep_as_learners;
    bool force;
};

/* As the functions in raft.h. */
enum status raft_membership_add_learner(struct raft *raft,
                                        const struct raft_member *member,
                                        raft_index *ret_index);
enum status raft_membership_remove_learner(struct raft *raft, raft_id id, raft_index *ret_index);
enum status raft_membership_change_voters(struct raft *raft,
                                          const struct raft_voter_change *change,
                                          raft_index *ret_index);

enum status raft_membership_cancel(struct raft *raft, raft_index *ret_index);

/* Take back an uncommitted joint configuration whose new voters fell silent (see raft.h). Without
 * effect if that is not possible. */
void raft_membership_take_back(struct raft *raft);

/* Leave a committed joint configuration; retire when a committed one has no vote for this node;
 * promote learners that shall be and are caught up.
 * Derived from the present state alone, so a new leader does what the old one left undone, and
 * nothing is done twice. */
void raft_membership_settle(struct raft *raft);

#endif

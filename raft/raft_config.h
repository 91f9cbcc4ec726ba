/* The algebra of configurations: what each change makes of one. Knows nothing of logs or roles.
 * Reading functions are public, in raft.h. */
#ifndef RAFT_RAFT_CONFIG_H
#define RAFT_RAFT_CONFIG_H

#include "raft/raft_internal.h"

struct raft_voters raft_config_voters(const struct raft_config *config);
/* Whether id votes once the present change is over: in half NEW. */
bool raft_config_stays_voter(const struct raft_config *config, raft_id id);

/* A canonical copy: members beyond the count and padding bytes are zero. */
void raft_config_copy(struct raft_config *to, const struct raft_config *from);
bool raft_config_equal(const struct raft_config *left, const struct raft_config *right);
/* What a CONFIG entry counts in limits: an upper estimate of any sensible encoding. */
uint32_t raft_config_entry_bytes(const struct raft_config *config);

/* Each makes `to` from the uniform `from`; `to` is canonical, but may break a limit that
 * raft_config_validate knows. */

/* STATUS_EXISTS, STATUS_INVALID if there is no room. */
MUST_CHECK enum status raft_config_with_learner(const struct raft_config *from,
                                                const struct raft_member *member,
                                                struct raft_config *to);
/* The learner `id`, if it is one, shall become a voter; no learner shall. */
void raft_config_with_promotion(const struct raft_config *from, raft_id id, struct raft_config *to);
void raft_config_without_promotions(const struct raft_config *from, struct raft_config *to);
/* STATUS_NOT_FOUND, STATUS_INVALID for a voter. */
MUST_CHECK enum status
raft_config_without_learner(const struct raft_config *from, raft_id id, struct raft_config *to);
/* The joint configuration on the way to exactly `voters`. STATUS_INVALID for a bad list,
 * STATUS_NOT_FOUND if one is no member. */
MUST_CHECK enum status raft_config_with_voters(const struct raft_config *from,
                                               const raft_id *voters,
                                               size_t count,
                                               bool keep_as_learners,
                                               struct raft_config *to);
/* The uniform configuration that the joint `from` leads to. */
void raft_config_leave_joint(const struct raft_config *from, struct raft_config *to);
/* Whether `config`, which follows `joint` in a log, takes it back. What follows otherwise has its
 * new voters, and those are never the same as the old ones. */
bool raft_config_takes_back(const struct raft_config *config, const struct raft_config *joint);
/* Whether the voters of the uniform `config` are exactly these ids. */
bool raft_config_has_voters(const struct raft_config *config, const raft_id *voters, size_t count);

#endif

/* Which configuration holds: always the newest in the log, committed or not. Cutting the log cuts
 * this list, so a rolled back configuration cannot survive anywhere. */
#ifndef RAFT_RAFT_CONFIG_LIST_H
#define RAFT_RAFT_CONFIG_LIST_H

#include "raft/raft_internal.h"

void raft_config_list_reset(struct raft *raft, raft_index index, const struct raft_config *config);
/* Whether one can be put at `index`, after those before it, without losing one that is still
 * needed. */
bool raft_config_list_has_room(const struct raft *raft, raft_index index);
void raft_config_list_push(struct raft *raft, raft_index index, const struct raft_config *config);
/* Drop those after `last`. */
void raft_config_list_truncate(struct raft *raft, raft_index last);

const struct raft_config *raft_config_list_effective(const struct raft *raft);
raft_index raft_config_list_effective_index(const struct raft *raft);
bool raft_config_list_effective_is_committed(const struct raft *raft);
/* The one before the effective one; NULL if it is not kept. */
const struct raft_config *raft_config_list_previous(const struct raft *raft);
/* Whether this node votes in a configuration that is, or may become, the committed one. Such a
 * node may have to lead so that its own removal can commit (4.2.2); one that was removed by a
 * committed configuration never campaigns. A record of another incarnation is not this node. */
bool raft_config_list_self_may_lead(const struct raft *raft);

#endif

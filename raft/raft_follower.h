/* The receiving end of replication (5.3): APPEND, HEARTBEAT, acknowledgements, dumps. */
#ifndef RAFT_RAFT_FOLLOWER_H
#define RAFT_RAFT_FOLLOWER_H

#include "raft/raft_internal.h"

/* See raft_contradicts. */
bool raft_follower_contradicts(const struct raft *raft, const struct raft_message *message);

/* Both are messages of the present term. */
void raft_follower_on_append(struct raft *raft,
                             const struct raft_message *message,
                             struct raft_range *ret_stored);
void raft_follower_on_heartbeat(struct raft *raft, const struct raft_message *message);
/* Tell a leader of an earlier term that it is over. */
void raft_follower_refuse_old_leader(struct raft *raft, const struct raft_message *message);

/* See raft_install; `config` is legal. */
enum status raft_follower_install(struct raft *raft,
                                  raft_index index,
                                  raft_term term,
                                  raft_index config_index,
                                  const struct raft_config *config);

/* Send the acknowledgement that is due, for no more than what is durable. */
void raft_follower_flush(struct raft *raft, struct raft_output *output);

#endif

/* What must become durable, and how far it is. One rule guards against every overwriting race:
 * the durable index lies below the lowest index touched by any write not known to be finished. */
#ifndef RAFT_RAFT_WRITES_H
#define RAFT_RAFT_WRITES_H

#include "raft/raft_internal.h"

/* Term or vote changed. */
void raft_writes_touch_hard_state(struct raft *raft);
/* Entry `index` was appended, or the log was cut so that it is the first to be rewritten. */
void raft_writes_touch_entry(struct raft *raft, raft_index index);
/* The log was replaced by a dump: nothing counts as durable until that is written. */
void raft_writes_touch_reset(struct raft *raft);

bool raft_writes_hard_state_is_durable(const struct raft *raft);
/* Entries up to here are durable and equal to the log in memory. */
raft_index raft_writes_durable_index(const struct raft *raft);
/* The lowest entry that the next write will hold; UINT64_MAX if none. */
raft_index raft_writes_next_lowest(const struct raft *raft);

/* Turn what is dirty into one write; seq 0 if nothing is. */
void raft_writes_flush(struct raft *raft, struct raft_write *write);
void raft_writes_finished(struct raft *raft, raft_seq seq);

#endif

/* Where the arrays behind struct raft lie: log entries, reads, messages in flight. */
#ifndef RAFT_RAFT_LAYOUT_H
#define RAFT_RAFT_LAYOUT_H

#include "raft/raft_internal.h"

_Static_assert(sizeof(struct raft_entry) % sizeof(uint64_t) == 0, "entries keep the alignment");
_Static_assert(sizeof(struct raft_waiting_read) % sizeof(uint64_t) == 0, "reads keep it");
_Static_assert(sizeof(struct raft_inflight) % sizeof(uint64_t) == 0, "in-flight slots keep it");

size_t raft_layout_bytes(const struct raft_options *options);

struct raft_entry *raft_layout_entry(struct raft *raft, raft_index index);
const struct raft_entry *raft_layout_entry_const(const struct raft *raft, raft_index index);
/* The read at `position` from the front of the queue. */
struct raft_waiting_read *raft_layout_read(struct raft *raft, uint32_t position);
const struct raft_waiting_read *raft_layout_read_const(const struct raft *raft, uint32_t position);
/* The message in flight at `position` from the oldest. */
struct raft_inflight *
raft_layout_inflight(struct raft *raft, const struct raft_peer *peer, uint32_t position);
const struct raft_inflight *raft_layout_inflight_const(const struct raft *raft,
                                                       const struct raft_peer *peer,
                                                       uint32_t position);

#endif

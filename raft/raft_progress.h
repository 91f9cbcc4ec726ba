/* What a leader knows of each peer, and the three states of following one:
 *
 *     PROBE      the peer's log is not known to match; one APPEND at a time
 *     REPLICATE  it matches; a stream of APPENDs within a window
 *     SNAPSHOT   it needs entries that are trimmed; the driver sends a dump
 *
 *     PROBE     --ok----------------------> REPLICATE   raft_progress_acknowledged
 *     REPLICATE --refused, peer down------> PROBE       raft_progress_refused, _become_probe
 *     any       --next is in the base-----> SNAPSHOT    raft_progress_become_snapshot
 *     SNAPSHOT  --ok at or after the base-> REPLICATE   raft_progress_acknowledged
 *     SNAPSHOT  --dump sent, log reaches--> PROBE       raft_progress_become_probe, _refused */
#ifndef RAFT_RAFT_PROGRESS_H
#define RAFT_RAFT_PROGRESS_H

#include "raft/raft_internal.h"

/* NULL if absent. */
struct raft_peer *raft_progress_find(struct raft *raft, raft_id id);
const struct raft_peer *raft_progress_find_const(const struct raft *raft, raft_id id);
/* The same of a member of the effective configuration other than this node: a leader follows each.
 */
const struct raft_peer *raft_progress_of(const struct raft *raft, raft_id member);

void raft_progress_clear(struct raft *raft);
/* Make the peers follow the effective configuration. New members start from nothing known, also
 * ids that were members before; removed ones are followed until they had time to learn it. */
void raft_progress_follow_config(struct raft *raft);
/* Forget removed peers whose time is over. */
void raft_progress_drop_departed(struct raft *raft);
/* The log grew: peers that had everything begin a catch-up round. */
void raft_progress_log_grew(struct raft *raft);

void raft_progress_heard(struct raft *raft, struct raft_peer *peer);
bool raft_progress_is_active(const struct raft *raft, const struct raft_peer *peer);
bool raft_progress_is_caught_up(const struct raft *raft, const struct raft_peer *peer);
bool raft_progress_wants_dump(const struct raft *raft, const struct raft_peer *peer);

void raft_progress_become_probe(struct raft *raft, struct raft_peer *peer, raft_index next);
void raft_progress_become_snapshot(struct raft *raft, struct raft_peer *peer);
/* The peer has everything up to `index`, durable. */
void raft_progress_acknowledged(struct raft *raft, struct raft_peer *peer, raft_index index);
/* The peer refused an APPEND at `index`; its log can agree at most at the hint. */
void raft_progress_refused(struct raft *raft,
                           struct raft_peer *peer,
                           raft_index index,
                           raft_index hint_index,
                           raft_term hint_term);

bool raft_progress_window_is_open(const struct raft *raft, const struct raft_peer *peer);
void raft_progress_sent(struct raft *raft,
                        struct raft_peer *peer,
                        uint32_t entries,
                        uint64_t bytes);

#endif

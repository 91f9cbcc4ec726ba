/* The log as metadata: term, type and size of the entries after the base. */
#ifndef RAFT_RAFT_LOG_H
#define RAFT_RAFT_LOG_H

#include "raft/raft_internal.h"

/* The term at base <= index <= last, else 0, which no entry has. */
raft_term raft_log_term(const struct raft *raft, raft_index index);
raft_term raft_log_last_term(const struct raft *raft);
/* Entries that can still be appended. */
uint32_t raft_log_room(const struct raft *raft);
/* The part of the log that commands leave free for NOOPs and configurations. */
uint32_t raft_log_reserve(const struct raft *raft);
/* 5.4.1: whether a log that ends with (index, term) is at least as complete as this one. */
bool raft_log_is_up_to_date(const struct raft *raft, raft_index index, raft_term term);
/* The largest index <= at_most whose term is <= term, but at least the base: where two logs can
 * agree at the best. Binary search, as terms never fall. */
raft_index raft_log_find_term(const struct raft *raft, raft_index at_most, raft_term term);
/* How many entries from `first` on go into one message: within both limits, but at least one if
 * there is any. */
uint32_t raft_log_batch(const struct raft *raft, raft_index first, uint64_t *ret_bytes);

/* CHECKs that there is room. */
raft_index raft_log_append(struct raft *raft, const struct raft_entry *entry);
/* Drop the entries after `last`. */
void raft_log_truncate(struct raft *raft, raft_index last);
void raft_log_trim(struct raft *raft, raft_index base);
void raft_log_reset(struct raft *raft, raft_index base, raft_term base_term);

#endif

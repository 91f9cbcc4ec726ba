#include "raft/raft_log.h"

#include "base/check.h"
#include "base/mark.h"
#include "raft/raft_layout.h"
#include "raft/raft_writes.h"

/* A log that is full of entries not known to be committed cannot be trimmed, and who has no slot
 * for a NOOP cannot lead: if that befell a majority, nobody ever would. Each leader that fails
 * before anything of its term commits costs one slot. A thousand of them in a row, each for at
 * least an election timeout, are not a cluster that recovers by itself. */
enum { RESERVE_MAX = 1024 };

raft_term raft_log_term(const struct raft *raft, raft_index index)
{
    const struct raft_log *log = &raft->log;
    if (index == log->base) {
        return log->base_term;
    }
    if (index < log->base || index > log->last) {
        return 0;
    }
    return raft_layout_entry_const(raft, index)->term;
}

raft_term raft_log_last_term(const struct raft *raft)
{
    return raft_log_term(raft, raft->log.last);
}

uint32_t raft_log_room(const struct raft *raft)
{
    return raft->options.log_entries_max - (uint32_t)(raft->log.last - raft->log.base);
}

uint32_t raft_log_reserve(const struct raft *raft)
{
    uint32_t quarter = raft->options.log_entries_max / 4;
    return quarter < RESERVE_MAX ? quarter : RESERVE_MAX;
}

bool raft_log_is_up_to_date(const struct raft *raft, raft_index index, raft_term term)
{
    raft_term own = raft_log_last_term(raft);
    return term > own || (term == own && index >= raft->log.last);
}

raft_index raft_log_find_term(const struct raft *raft, raft_index at_most, raft_term term)
{
    raft_index low = raft->log.base;
    raft_index high = at_most < raft->log.last ? at_most : raft->log.last;
    if (high < low) {
        return low;
    }
    while (low < high) {
        raft_index middle = low + (high - low + 1) / 2;
        if (raft_log_term(raft, middle) <= term) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

uint32_t raft_log_batch(const struct raft *raft, raft_index first, uint64_t *ret_bytes)
{
    CHECK_OP(first, >, raft->log.base);
    uint32_t count = 0;
    uint64_t bytes = 0;
    while (first + count <= raft->log.last && count < raft->options.message_entries_max) {
        uint64_t next = raft_layout_entry_const(raft, first + count)->bytes;
        if (count > 0 && bytes + next > raft->options.message_bytes_max) {
            break;
        }
        bytes += next;
        count++;
    }
    *ret_bytes = bytes;
    MARK_IF(bytes > raft->options.message_bytes_max, entry_larger_than_a_message);
    return count;
}

raft_index raft_log_append(struct raft *raft, const struct raft_entry *entry)
{
    CHECK_OP(raft_log_room(raft), >, 0);
    CHECK_OP(entry->term, >=, raft_log_last_term(raft));
    raft_index index = ++raft->log.last;
    *raft_layout_entry(raft, index) = *entry;
    raft_writes_touch_entry(raft, index);
    return index;
}

void raft_log_truncate(struct raft *raft, raft_index last)
{
    CHECK_OP(last, >=, raft->log.base);
    CHECK_OP(last, <, raft->log.last);
    raft_writes_touch_entry(raft, last + 1);
    raft->log.last = last;
}

void raft_log_trim(struct raft *raft, raft_index base)
{
    CHECK_OP(base, >, raft->log.base);
    CHECK_OP(base, <=, raft->log.last);
    raft->log.base_term = raft_log_term(raft, base);
    raft->log.base = base;
}

void raft_log_reset(struct raft *raft, raft_index base, raft_term base_term)
{
    raft->log.base = base;
    raft->log.base_term = base_term;
    raft->log.last = base;
    raft_writes_touch_reset(raft);
}

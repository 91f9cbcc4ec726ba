#include "raft/raft_writes.h"

#include "base/check.h"
#include "base/mark.h"

#include <string.h>

static struct raft_pending_write *pending_at(struct raft_writes *writes, uint32_t position)
{
    return &writes->ring[(writes->first + position) % RAFT_PENDING_WRITES_MAX];
}

void raft_writes_touch_hard_state(struct raft *raft)
{
    raft->writes.hard_dirty = true;
    raft->writes.hard_seq = raft->writes.last_seq + 1;
}

void raft_writes_touch_entry(struct raft *raft, raft_index index)
{
    struct raft_writes *writes = &raft->writes;
    if (writes->dirty_lowest == 0 || index < writes->dirty_lowest) {
        writes->dirty_lowest = index;
    }
}

void raft_writes_touch_reset(struct raft *raft)
{
    raft->writes.reset_dirty = true;
    raft->writes.dirty_lowest = 1;
}

bool raft_writes_hard_state_is_durable(const struct raft *raft)
{
    return raft->writes.hard_seq <= raft->writes.done_seq;
}

raft_index raft_writes_durable_index(const struct raft *raft)
{
    const struct raft_writes *writes = &raft->writes;
    raft_index lowest = raft->log.last + 1;
    if (writes->count > 0 && writes->ring[writes->first].lowest < lowest) {
        lowest = writes->ring[writes->first].lowest;
    }
    if (writes->dirty_lowest != 0 && writes->dirty_lowest < lowest) {
        lowest = writes->dirty_lowest;
    }
    return lowest - 1;
}

raft_index raft_writes_next_lowest(const struct raft *raft)
{
    return raft->writes.dirty_lowest != 0 ? raft->writes.dirty_lowest : UINT64_MAX;
}

/* A write that reaches at least as deep hides older ones: it finishes later than they do. When the
 * ring is full the newest two are merged; the durable index then rises later, never too early. */
static void add_pending(struct raft_writes *writes, raft_seq seq, raft_index lowest)
{
    while (writes->count > 0 && pending_at(writes, writes->count - 1)->lowest >= lowest) {
        MARK(pending_write_hidden_by_a_deeper_one);
        writes->count--;
    }
    if (writes->count == RAFT_PENDING_WRITES_MAX) {
        MARK(pending_writes_merged);
        pending_at(writes, writes->count - 1)->seq = seq;
        return;
    }
    struct raft_pending_write *pending = pending_at(writes, writes->count++);
    pending->seq = seq;
    pending->lowest = lowest;
}

static void describe_entries(const struct raft *raft, struct raft_write *write)
{
    const struct raft_writes *writes = &raft->writes;
    write->reset = writes->reset_dirty;
    if (write->reset) {
        write->reset_index = raft->log.base;
        write->reset_term = raft->log.base_term;
    }
    /* A reset touches everything from 1 on; only what follows the new base is there to write. */
    raft_index first_kept = raft->log.base + 1;
    write->entries.first = writes->dirty_lowest > first_kept ? writes->dirty_lowest : first_kept;
    write->entries.last = raft->log.last;
}

void raft_writes_flush(struct raft *raft, struct raft_write *write)
{
    struct raft_writes *writes = &raft->writes;
    memset(write, 0, sizeof *write);
    write->entries.first = 1;
    if (!writes->hard_dirty && writes->dirty_lowest == 0) {
        return;
    }
    write->seq = ++writes->last_seq;
    write->hard_state = writes->hard_dirty;
    write->term = raft->term;
    write->vote = raft->vote;
    if (writes->dirty_lowest != 0) {
        describe_entries(raft, write);
        add_pending(writes, write->seq, writes->dirty_lowest);
    }
    writes->hard_dirty = false;
    writes->reset_dirty = false;
    writes->dirty_lowest = 0;
}

void raft_writes_finished(struct raft *raft, raft_seq seq)
{
    struct raft_writes *writes = &raft->writes;
    CHECK_OP(seq, <=, writes->last_seq);
    if (seq <= writes->done_seq) {
        return;
    }
    writes->done_seq = seq;
    while (writes->count > 0 && writes->ring[writes->first].seq <= seq) {
        writes->first = (writes->first + 1) % RAFT_PENDING_WRITES_MAX;
        writes->count--;
    }
}

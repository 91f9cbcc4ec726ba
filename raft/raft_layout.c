#include "raft/raft_layout.h"

#include "base/check.h"

static size_t reads_offset(const struct raft_options *options)
{
    return options->log_entries_max * (sizeof(struct raft_entry) / sizeof(uint64_t));
}

static size_t inflight_offset(const struct raft_options *options)
{
    return reads_offset(options) +
           options->reads_max * (sizeof(struct raft_waiting_read) / sizeof(uint64_t));
}

size_t raft_layout_bytes(const struct raft_options *options)
{
    size_t inflight = (size_t)options->inflight_messages_max * RAFT_PEERS_MAX;
    return sizeof(struct raft) + inflight_offset(options) * sizeof(uint64_t) +
           inflight * sizeof(struct raft_inflight);
}

const struct raft_entry *raft_layout_entry_const(const struct raft *raft, raft_index index)
{
    const struct raft_entry *entries = (const struct raft_entry *)(const void *)raft->arrays;
    return &entries[index & (raft->options.log_entries_max - 1)];
}

struct raft_entry *raft_layout_entry(struct raft *raft, raft_index index)
{
    struct raft_entry *entries = (struct raft_entry *)(void *)raft->arrays;
    return &entries[index & (raft->options.log_entries_max - 1)];
}

static uint32_t read_slot(const struct raft *raft, uint32_t position)
{
    CHECK_OP(position, <, raft->options.reads_max);
    return (raft->reads.first + position) % raft->options.reads_max;
}

struct raft_waiting_read *raft_layout_read(struct raft *raft, uint32_t position)
{
    void *reads = raft->arrays + reads_offset(&raft->options);
    return (struct raft_waiting_read *)reads + read_slot(raft, position);
}

const struct raft_waiting_read *raft_layout_read_const(const struct raft *raft, uint32_t position)
{
    const void *reads = raft->arrays + reads_offset(&raft->options);
    return (const struct raft_waiting_read *)reads + read_slot(raft, position);
}

static size_t
inflight_slot(const struct raft *raft, const struct raft_peer *peer, uint32_t position)
{
    size_t max = raft->options.inflight_messages_max;
    CHECK_OP(position, <, max);
    return (size_t)(peer - raft->peers) * max + (peer->inflight_first + position) % max;
}

struct raft_inflight *
raft_layout_inflight(struct raft *raft, const struct raft_peer *peer, uint32_t position)
{
    void *inflight = raft->arrays + inflight_offset(&raft->options);
    return (struct raft_inflight *)inflight + inflight_slot(raft, peer, position);
}

const struct raft_inflight *
raft_layout_inflight_const(const struct raft *raft, const struct raft_peer *peer, uint32_t position)
{
    const void *inflight = raft->arrays + inflight_offset(&raft->options);
    return (const struct raft_inflight *)inflight + inflight_slot(raft, peer, position);
}

#include "tests/explorer/canonical.h"

#include "base/check.h"
#include "raft/raft_layout.h"

#include <string.h>

enum { INFLIGHT_MAX = 16, READS_MAX = 16 };

/* Only differences of sequence numbers count, and everything durable is equally so. */
static raft_seq rebased(raft_seq seq, raft_seq done)
{
    return seq > done ? seq - done : 0;
}

static void rebase_writes(struct raft *raft)
{
    struct raft_writes *writes = &raft->writes;
    struct raft_pending_write ring[RAFT_PENDING_WRITES_MAX];
    memset(ring, 0, sizeof ring);
    raft_seq done = writes->done_seq;
    for (uint32_t i = 0; i < writes->count; i++) {
        ring[i] = writes->ring[(writes->first + i) % RAFT_PENDING_WRITES_MAX];
        ring[i].seq = rebased(ring[i].seq, done);
    }
    memcpy(writes->ring, ring, sizeof ring);
    writes->first = 0;
    writes->hard_seq = rebased(writes->hard_seq, done);
    writes->last_seq -= done;
    writes->done_seq = 0;
    for (uint32_t i = 0; i < raft->held.count; i++) {
        raft->held.items[i].wait = rebased(raft->held.items[i].wait, done);
    }
}

static int compare_held(const struct raft_held_message *left, const struct raft_held_message *right)
{
    return memcmp(&left->message, &right->message, sizeof left->message);
}

/* The network does not keep an order either. */
static void sort_held(struct raft_held *held)
{
    for (uint32_t i = 1; i < held->count; i++) {
        struct raft_held_message item = held->items[i];
        uint32_t at = i;
        while (at > 0 && compare_held(&held->items[at - 1], &item) > 0) {
            held->items[at] = held->items[at - 1];
            at--;
        }
        held->items[at] = item;
    }
    memset(&held->items[held->count], 0, (RAFT_HELD_MAX - held->count) * sizeof held->items[0]);
}

static void clear_absent_entries(struct raft *raft)
{
    for (uint32_t i = 1; i <= raft->options.log_entries_max; i++) {
        raft_index index = raft->log.base + i;
        if (index > raft->log.last) {
            memset(raft_layout_entry(raft, index), 0, sizeof(struct raft_entry));
        }
    }
}

static void clear_absent_configs(struct raft_config_list *list)
{
    uint32_t absent = RAFT_CONFIGS_MAX - list->count;
    memset(&list->indexes[list->count], 0, absent * sizeof list->indexes[0]);
    memset(&list->items[list->count], 0, absent * sizeof list->items[0]);
}

static void align_inflight(struct raft *raft, struct raft_peer *peer)
{
    struct raft_inflight items[INFLIGHT_MAX];
    memset(items, 0, sizeof items);
    CHECK_OP(raft->options.inflight_messages_max, <=, INFLIGHT_MAX);
    for (uint32_t i = 0; i < peer->inflight_count; i++) {
        items[i] = *raft_layout_inflight(raft, peer, i);
    }
    peer->inflight_first = 0;
    for (uint32_t i = 0; i < raft->options.inflight_messages_max; i++) {
        *raft_layout_inflight(raft, peer, i) = items[i];
    }
}

static void simplify_peer(struct raft *raft, struct raft_peer *peer)
{
    align_inflight(raft, peer);
    if (peer->state != RAFT_PROGRESS_PROBE) {
        /* become_probe sets both. */
        peer->probe_sent = false;
        peer->probe_plain = false;
    } else if (peer->probe_sent) {
        /* The next probe is plain, whatever this one was. */
        peer->probe_plain = true;
    }
}

/* By id, the free slots at the end. */
static bool belongs_before(const struct raft_peer *left, const struct raft_peer *right)
{
    return left->id != 0 && (right->id == 0 || left->id < right->id);
}

static void swap_peers(struct raft *raft, struct raft_peer *left, struct raft_peer *right)
{
    for (uint32_t i = 0; i < raft->options.inflight_messages_max; i++) {
        struct raft_inflight *one = raft_layout_inflight(raft, left, i);
        struct raft_inflight *other = raft_layout_inflight(raft, right, i);
        struct raft_inflight item = *one;
        *one = *other;
        *other = item;
    }
    struct raft_peer peer = *left;
    *left = *right;
    *right = peer;
}

static void sort_peers(struct raft *raft)
{
    for (size_t i = 1; i < RAFT_PEERS_MAX; i++) {
        for (size_t at = i; at > 0 && belongs_before(&raft->peers[at], &raft->peers[at - 1]);
             at--) {
            swap_peers(raft, &raft->peers[at], &raft->peers[at - 1]);
        }
    }
}

static void align_reads(struct raft *raft)
{
    struct raft_waiting_read items[READS_MAX];
    memset(items, 0, sizeof items);
    CHECK_OP(raft->options.reads_max, <=, READS_MAX);
    for (uint32_t i = 0; i < raft->reads.count; i++) {
        const struct raft_waiting_read *read = raft_layout_read_const(raft, i);
        items[i].token = read->token;
        items[i].requester = read->requester;
        items[i].round = read->round;
        items[i].index = read->index;
        items[i].deadline = read->deadline;
        items[i].ok = read->ok;
    }
    raft->reads.first = 0;
    for (uint32_t i = 0; i < raft->options.reads_max; i++) {
        memcpy(raft_layout_read(raft, i), &items[i], sizeof items[i]);
    }
}

void canonical_form(struct raft *raft)
{
    rebase_writes(raft);
    sort_held(&raft->held);
    clear_absent_entries(raft);
    clear_absent_configs(&raft->configs);
    for (size_t i = 0; i < RAFT_PEERS_MAX; i++) {
        simplify_peer(raft, &raft->peers[i]);
    }
    sort_peers(raft);
    align_reads(raft);
}

void canonical_rename_readers(struct raft *raft, const uint8_t *to)
{
    for (uint32_t i = 0; i < raft->reads.count; i++) {
        struct raft_waiting_read *read = raft_layout_read(raft, i);
        read->requester = to[read->requester];
    }
}

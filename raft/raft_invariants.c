/* Every invariant that one node can check by itself (S11, S14, S15 and the local part of others),
 * recomputed from scratch. */
#include "raft/raft.h"

#include "base/check.h"
#include "raft/raft_config.h"
#include "raft/raft_config_list.h"
#include "raft/raft_layout.h"
#include "raft/raft_log.h"
#include "raft/raft_progress.h"
#include "raft/raft_writes.h"

#include <string.h>

static void check_log(const struct raft *raft)
{
    const struct raft_log *log = &raft->log;
    CHECK_OP(log->base, <=, log->last);
    CHECK_OP(log->last - log->base, <=, raft->options.log_entries_max);
    CHECK((log->base == 0) == (log->base_term == 0));
    raft_term previous = log->base_term;
    for (raft_index i = log->base + 1; i <= log->last; i++) {
        raft_term term = raft_layout_entry_const(raft, i)->term;
        CHECK_OP(term, >, 0);
        CHECK_OP(term, >=, previous);
        previous = term;
    }
    CHECK_OP(previous, <=, raft->term);
    CHECK_OP(log->base, <=, raft->commit);
    CHECK_OP(raft->commit, <=, log->last);
    CHECK_OP(raft->commit_durable, <=, raft->commit);
    CHECK_OP(raft->commit_shown, <=, raft->commit_durable);
    CHECK_OP(raft_writes_durable_index(raft), <=, log->last);
    CHECK_OP(raft->ack.verified, <=, log->last);
}

static void check_configs(const struct raft *raft)
{
    const struct raft_config_list *list = &raft->configs;
    CHECK_OP(list->count, >, 0);
    CHECK_OP(list->count, <=, RAFT_CONFIGS_MAX);
    CHECK_OP(list->indexes[0], <=, raft->commit);
    for (uint32_t i = 1; i < list->count; i++) {
        CHECK_OP(list->indexes[i], >, list->indexes[i - 1]);
    }
    /* Exactly the CONFIG entries of the log after the oldest one that is kept. */
    uint32_t position = list->count;
    for (raft_index i = raft->log.last; i > raft->log.base && i > list->indexes[0]; i--) {
        if (raft_layout_entry_const(raft, i)->type == RAFT_ENTRY_CONFIG) {
            CHECK_OP(position, >, 0);
            CHECK_OP(list->indexes[--position], ==, i);
        }
    }
    CHECK(position <= 1 || list->indexes[position - 1] <= raft->log.base);
    struct raft_voters voters = raft_config_voters(raft_config_list_effective(raft));
    CHECK(memcmp(&voters, &raft->voters, sizeof voters) == 0);
}

static void check_writes(const struct raft *raft)
{
    const struct raft_writes *writes = &raft->writes;
    CHECK_OP(writes->done_seq, <=, writes->last_seq);
    CHECK_OP(writes->hard_seq, <=, writes->last_seq + (writes->hard_dirty ? 1 : 0));
    CHECK(!writes->reset_dirty || writes->dirty_lowest == 1);
    raft_seq seq = writes->done_seq;
    raft_index lowest = 0;
    for (uint32_t i = 0; i < writes->count; i++) {
        const struct raft_pending_write *pending =
            &writes->ring[(writes->first + i) % RAFT_PENDING_WRITES_MAX];
        CHECK_OP(pending->seq, >, seq);
        CHECK_OP(pending->lowest, >, lowest);
        seq = pending->seq;
        lowest = pending->lowest;
    }
    CHECK_OP(seq, <=, writes->last_seq);
}

static void check_role(const struct raft *raft)
{
    raft_id self = raft->options.id;
    bool leads = raft->role == RAFT_LEADER;
    CHECK(leads == (raft->leader == self));
    if (leads) {
        CHECK_OP(raft->vote, ==, self);
        CHECK(raft_writes_hard_state_is_durable(raft));
        CHECK_OP(raft_log_last_term(raft), ==, raft->term);
    }
    if (raft->role == RAFT_CANDIDATE) {
        CHECK_OP(raft->vote, ==, self);
    }
    if (raft->role == RAFT_CANDIDATE || raft->role == RAFT_PRE_CANDIDATE) {
        CHECK_OP(raft->leader, ==, 0);
    }
    CHECK_OP(raft->election.granted & raft->election.denied, ==, 0);
    CHECK_OP(raft->term, <, RAFT_NUMBER_MAX + 1);
    for (uint32_t i = 0; i < raft->held.count; i++) {
        const struct raft_message *message = &raft->held.items[i].message;
        bool prevote = message->type == RAFT_PREVOTE_RESPONSE;
        CHECK(message->term <= raft->term || prevote);
    }
}

static void check_peer(const struct raft *raft, const struct raft_peer *peer)
{
    CHECK_OP(peer->match, <, peer->next);
    CHECK_OP(peer->match, <=, raft->log.last);
    CHECK_OP(peer->next, <=, raft->log.last + 1);
    CHECK_OP(peer->sent_commit, <=, raft->commit);
    CHECK_OP(peer->read_echo, <=, raft->lead.read_round);
    CHECK_OP(peer->read_sent, <=, raft->lead.read_round);
    CHECK(peer->state == RAFT_PROGRESS_REPLICATE || peer->inflight_count == 0);
    uint64_t bytes = 0;
    raft_index last = peer->match;
    for (uint32_t i = 0; i < peer->inflight_count; i++) {
        const struct raft_inflight *inflight = raft_layout_inflight_const(raft, peer, i);
        CHECK_OP(inflight->last, >, last);
        last = inflight->last;
        bytes += inflight->bytes;
    }
    CHECK_OP(last, <, peer->next);
    CHECK_OP(bytes, ==, peer->inflight_bytes);
    bool member = raft_config_find(raft_config_list_effective(raft), peer->id) != NULL;
    CHECK(member == !peer->departing);
}

/* By counting, where raft_quorum.c sorts. */
static void check_commit_has_quorum(const struct raft *raft)
{
    if (raft->commit < raft->lead.noop_index) {
        return;
    }
    for (int half = RAFT_HALF_NEW; half < RAFT_HALVES; half++) {
        uint32_t holders = 0;
        uint32_t count = raft->voters.counts[half];
        for (uint32_t i = 0; i < count; i++) {
            raft_id id = raft->voters.ids[half][i];
            const struct raft_peer *peer = raft_progress_find_const(raft, id);
            raft_index match = peer != NULL ? peer->match : 0;
            if (id == raft->options.id) {
                match = raft_writes_durable_index(raft);
            }
            holders += match >= raft->commit;
        }
        /* What an earlier configuration committed need not have reached the present one yet. */
        bool judged = raft_config_list_effective_is_committed(raft);
        CHECK(!judged || count == 0 || holders > count / 2);
    }
}

/* One at most, or a joint one and the one before it, which takes it back. */
static void check_uncommitted_configs(const struct raft *raft)
{
    const struct raft_config_list *list = &raft->configs;
    if (list->count < 2 || list->indexes[list->count - 2] <= raft->commit) {
        return;
    }
    CHECK_OP(list->count, >=, 3);
    CHECK_OP(list->indexes[list->count - 3], <=, raft->commit);
    CHECK(raft_config_takes_back(&list->items[list->count - 1], &list->items[list->count - 2]));
}

static void check_leadership(const struct raft *raft)
{
    uint32_t followed = 0;
    for (size_t i = 0; i < RAFT_PEERS_MAX; i++) {
        const struct raft_peer *peer = &raft->peers[i];
        if (peer->id == 0) {
            continue;
        }
        CHECK(raft->role == RAFT_LEADER);
        check_peer(raft, peer);
        followed += peer->departing ? 0 : 1;
    }
    if (raft->role != RAFT_LEADER) {
        CHECK_OP(raft->lead.uncommitted_bytes, ==, 0);
        return;
    }
    const struct raft_config *config = raft_config_list_effective(raft);
    bool listed = raft_config_find(config, raft->options.id) != NULL;
    CHECK_OP(followed, ==, config->member_count - (listed ? 1 : 0));
    uint64_t bytes = 0;
    for (raft_index i = raft->commit + 1; i <= raft->log.last; i++) {
        const struct raft_entry *entry = raft_layout_entry_const(raft, i);
        bytes += entry->type == RAFT_ENTRY_COMMAND ? entry->bytes : 0;
    }
    CHECK_OP(bytes, ==, raft->lead.uncommitted_bytes);
    check_uncommitted_configs(raft);
    check_commit_has_quorum(raft);
}

static void check_reads(const struct raft *raft)
{
    const struct raft_reads *reads = &raft->reads;
    CHECK_OP(reads->finished, <=, reads->count);
    CHECK_OP(reads->count, <=, raft->options.reads_max);
    uint64_t round = 0;
    bool unassigned = false;
    for (uint32_t i = reads->finished; i < reads->count; i++) {
        const struct raft_waiting_read *read = raft_layout_read_const(raft, i);
        CHECK(read->requester == 0 || raft->role == RAFT_LEADER);
        CHECK(!unassigned || read->round == 0);
        unassigned = read->round == 0;
        CHECK(unassigned || read->round >= round);
        round = read->round;
    }
    bool can_wait = raft->role == RAFT_LEADER || raft->leader != 0;
    CHECK(can_wait || reads->finished == reads->count);
}

void raft_check(const struct raft *raft)
{
    check_log(raft);
    check_configs(raft);
    check_writes(raft);
    check_role(raft);
    check_leadership(raft);
    check_reads(raft);
}

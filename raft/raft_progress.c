#include "raft/raft_progress.h"

#include "base/check.h"
#include "base/mark.h"
#include "raft/raft_config.h"
#include "raft/raft_config_list.h"
#include "raft/raft_layout.h"
#include "raft/raft_log.h"

#include <string.h>

struct raft_peer *raft_progress_find(struct raft *raft, raft_id id)
{
    for (size_t i = 0; id != 0 && i < RAFT_PEERS_MAX; i++) {
        if (raft->peers[i].id == id) {
            return &raft->peers[i];
        }
    }
    return NULL;
}

const struct raft_peer *raft_progress_find_const(const struct raft *raft, raft_id id)
{
    for (size_t i = 0; id != 0 && i < RAFT_PEERS_MAX; i++) {
        if (raft->peers[i].id == id) {
            return &raft->peers[i];
        }
    }
    return NULL;
}

const struct raft_peer *raft_progress_of(const struct raft *raft, raft_id member)
{
    const struct raft_peer *peer = raft_progress_find_const(raft, member);
    CHECK(peer != NULL);
    return peer;
}

void raft_progress_clear(struct raft *raft)
{
    memset(raft->peers, 0, sizeof raft->peers);
}

/* A free slot, or that of the peer that departed first: a member always finds one. */
static struct raft_peer *take_slot(struct raft *raft)
{
    struct raft_peer *oldest = NULL;
    for (size_t i = 0; i < RAFT_PEERS_MAX; i++) {
        struct raft_peer *peer = &raft->peers[i];
        if (peer->id == 0) {
            return peer;
        }
        if (peer->departing &&
            (oldest == NULL || peer->departing_index < oldest->departing_index)) {
            oldest = peer;
        }
    }
    CHECK(oldest != NULL);
    MARK(departed_peer_gives_up_its_slot);
    return oldest;
}

static void start_peer(struct raft *raft, struct raft_peer *peer, raft_id id)
{
    memset(peer, 0, sizeof *peer);
    peer->id = id;
    peer->state = RAFT_PROGRESS_PROBE;
    peer->next = raft->log.last + 1;
    peer->catch_up_target = raft->log.last;
    peer->catch_up_start = raft->now;
}

void raft_progress_follow_config(struct raft *raft)
{
    const struct raft_config *config = raft_config_list_effective(raft);
    for (size_t i = 0; i < RAFT_PEERS_MAX; i++) {
        struct raft_peer *peer = &raft->peers[i];
        if (peer->id != 0 && !peer->departing && raft_config_find(config, peer->id) == NULL) {
            peer->departing = true;
            peer->departing_index = raft_config_list_effective_index(raft);
        }
    }
    for (uint32_t i = 0; i < config->member_count; i++) {
        raft_id id = config->members[i].id;
        if (id == raft->options.id) {
            continue;
        }
        struct raft_peer *peer = raft_progress_find(raft, id);
        if (peer == NULL) {
            start_peer(raft, take_slot(raft), id);
        } else if (peer->departing) {
            MARK(departing_peer_returns);
            start_peer(raft, peer, id);
        }
    }
}

void raft_progress_drop_departed(struct raft *raft)
{
    for (size_t i = 0; i < RAFT_PEERS_MAX; i++) {
        struct raft_peer *peer = &raft->peers[i];
        if (peer->id == 0 || !peer->departing || peer->departing_index > raft->commit) {
            continue;
        }
        if (peer->departing_deadline == 0) {
            peer->departing_deadline = raft->now + raft->options.election_timeout_us;
        } else if (raft->now >= peer->departing_deadline) {
            MARK(departed_peer_was_told_and_dropped);
            memset(peer, 0, sizeof *peer);
        }
    }
}

static void start_round(struct raft *raft, struct raft_peer *peer)
{
    peer->catch_up_target = raft->log.last;
    peer->catch_up_start = raft->now;
}

void raft_progress_log_grew(struct raft *raft)
{
    for (size_t i = 0; i < RAFT_PEERS_MAX; i++) {
        struct raft_peer *peer = &raft->peers[i];
        if (peer->id != 0 && peer->match >= peer->catch_up_target) {
            start_round(raft, peer);
        }
    }
}

void raft_progress_heard(struct raft *raft, struct raft_peer *peer)
{
    /* 0 means never. */
    peer->heard_at = raft->now != 0 ? raft->now : 1;
}

bool raft_progress_is_active(const struct raft *raft, const struct raft_peer *peer)
{
    return peer->heard_at != 0 && raft->now < peer->heard_at + raft->options.election_timeout_us;
}

static bool round_is_in_time(const struct raft *raft, const struct raft_peer *peer)
{
    return raft->now - peer->catch_up_start <= raft->options.election_timeout_us;
}

bool raft_progress_is_caught_up(const struct raft *raft, const struct raft_peer *peer)
{
    return peer->caught_up && peer->state == RAFT_PROGRESS_REPLICATE &&
           raft_progress_is_active(raft, peer) &&
           (peer->match >= peer->catch_up_target || round_is_in_time(raft, peer));
}

bool raft_progress_wants_dump(const struct raft *raft, const struct raft_peer *peer)
{
    return peer->state == RAFT_PROGRESS_SNAPSHOT && raft->now >= peer->dump_retry_at;
}

static void clear_inflight(struct raft_peer *peer)
{
    peer->inflight_first = 0;
    peer->inflight_count = 0;
    peer->inflight_bytes = 0;
}

void raft_progress_become_probe(struct raft *raft, struct raft_peer *peer, raft_index next)
{
    CHECK_OP(next, >, peer->match);
    CHECK_OP(next, <=, raft->log.last + 1);
    peer->state = RAFT_PROGRESS_PROBE;
    peer->next = next;
    peer->probe_sent = false;
    peer->probe_plain = true;
    peer->check_due = false;
    /* What was told of the commit may be lost as well. */
    peer->sent_commit = peer->sent_commit < peer->match ? peer->sent_commit : peer->match;
    clear_inflight(peer);
}

void raft_progress_become_snapshot(struct raft *raft, struct raft_peer *peer)
{
    CHECK_OP(peer->match, <, raft->log.base);
    peer->state = RAFT_PROGRESS_SNAPSHOT;
    peer->next = peer->match + 1;
    peer->check_due = false;
    clear_inflight(peer);
}

static void become_replicate(struct raft_peer *peer)
{
    peer->state = RAFT_PROGRESS_REPLICATE;
    peer->next = peer->match + 1;
    peer->check_due = false;
    peer->dump_retry_at = 0;
    clear_inflight(peer);
}

static void free_inflight(struct raft *raft, struct raft_peer *peer)
{
    while (peer->inflight_count > 0) {
        const struct raft_inflight *oldest = raft_layout_inflight(raft, peer, 0);
        if (oldest->last > peer->match) {
            return;
        }
        peer->inflight_bytes -= oldest->bytes;
        peer->inflight_first = (peer->inflight_first + 1) % raft->options.inflight_messages_max;
        peer->inflight_count--;
    }
}

void raft_progress_acknowledged(struct raft *raft, struct raft_peer *peer, raft_index index)
{
    CHECK_OP(index, <=, raft->log.last);
    MARK_IF(index < peer->match, acknowledgement_overtaken);
    MARK_IF(index >= peer->next, acknowledgement_beyond_what_was_sent);
    if (index > peer->match) {
        peer->match = index;
    }
    if (peer->match >= peer->catch_up_target) {
        peer->catch_up_rounds += peer->caught_up ? 0 : 1;
        peer->caught_up = round_is_in_time(raft, peer) || peer->match == raft->log.last;
        MARK_IF(!peer->caught_up, catch_up_round_took_too_long);
        start_round(raft, peer);
    }
    MARK_IF(peer->state == RAFT_PROGRESS_SNAPSHOT && peer->match >= raft->log.base,
            dump_ended_by_acknowledgement);
    if (peer->state == RAFT_PROGRESS_REPLICATE) {
        free_inflight(raft, peer);
        peer->next = peer->next > peer->match ? peer->next : peer->match + 1;
    } else if (peer->match >= raft->log.base) {
        become_replicate(peer);
    } else if (peer->next <= peer->match) {
        peer->next = peer->match + 1; /* it still lacks what is trimmed */
        MARK(acknowledgement_below_the_base);
    }
}

/* The hint lowers `next` and never `match`. Both sides skip whole terms: the hint is the follower's
 * best guess by its own terms, and this finds the best entry under it by the leader's. */
static raft_index next_after_refusal(const struct raft *raft,
                                     raft_index index,
                                     raft_index hint_index,
                                     raft_term hint_term)
{
    raft_index at_most = hint_index < index ? hint_index : index - 1;
    if (at_most < raft->log.base) {
        MARK(refusal_hint_below_the_base);
        return at_most + 1;
    }
    return raft_log_find_term(raft, at_most, hint_term) + 1;
}

void raft_progress_refused(struct raft *raft,
                           struct raft_peer *peer,
                           raft_index index,
                           raft_index hint_index,
                           raft_term hint_term)
{
    if (index <= peer->match || index > raft->log.last) {
        MARK_IF(index <= peer->match, refusal_of_what_is_acknowledged);
        return; /* late or nonsense */
    }
    if (peer->state == RAFT_PROGRESS_PROBE && index != peer->next - 1) {
        MARK(refusal_of_an_earlier_probe);
        return; /* an earlier probe's answer */
    }
    raft_index next = next_after_refusal(raft, index, hint_index, hint_term);
    if (next <= peer->match) {
        MARK(refusal_hint_below_match);
        next = peer->match + 1;
    }
    if (peer->state == RAFT_PROGRESS_SNAPSHOT && next <= raft->log.base) {
        MARK(refusal_while_waiting_for_a_dump);
        return; /* still in need of the dump */
    }
    MARK_IF(peer->state == RAFT_PROGRESS_REPLICATE, stream_falls_back_to_probing);
    raft_progress_become_probe(raft, peer, next);
}

bool raft_progress_window_is_open(const struct raft *raft, const struct raft_peer *peer)
{
    return peer->inflight_count < raft->options.inflight_messages_max &&
           peer->inflight_bytes < raft->options.inflight_bytes_max;
}

void raft_progress_sent(struct raft *raft, struct raft_peer *peer, uint32_t entries, uint64_t bytes)
{
    CHECK(peer->state == RAFT_PROGRESS_REPLICATE);
    struct raft_inflight *slot = raft_layout_inflight(raft, peer, peer->inflight_count);
    peer->next += entries;
    slot->last = peer->next - 1;
    slot->bytes = bytes;
    peer->inflight_count++;
    peer->inflight_bytes += bytes;
}

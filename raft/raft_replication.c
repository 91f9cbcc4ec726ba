#include "raft/raft_replication.h"

#include "base/check.h"
#include "base/mark.h"
#include "raft/raft_config_list.h"
#include "raft/raft_layout.h"
#include "raft/raft_log.h"
#include "raft/raft_outbox.h"
#include "raft/raft_progress.h"
#include "raft/raft_quorum.h"
#include "raft/raft_role.h"
#include "raft/raft_writes.h"

#include <string.h>

static raft_index lower(raft_index left, raft_index right)
{
    return left < right ? left : right;
}

/* --- Responses --- */

static struct raft_peer *
heard_from(struct raft *raft, const struct raft_message *message, uint64_t read_round)
{
    struct raft_peer *peer = raft_progress_find(raft, message->from);
    if (raft->role != RAFT_LEADER || peer == NULL) {
        MARK_IF(raft->role != RAFT_LEADER, answer_after_leadership);
        MARK_IF(raft->role == RAFT_LEADER, answer_of_no_peer);
        return NULL;
    }
    raft_progress_heard(raft, peer);
    if (read_round <= raft->lead.read_round && read_round > peer->read_echo) {
        peer->read_echo = read_round;
    }
    return peer;
}

void raft_replication_on_append_response(struct raft *raft, const struct raft_message *message)
{
    struct raft_peer *peer = heard_from(raft, message, message->append_response.read_round);
    if (peer == NULL) {
        return;
    }
    raft_index index = message->append_response.index;
    if (!message->append_response.ok) {
        raft_progress_refused(raft, peer, index, message->append_response.hint_index,
                              message->append_response.hint_term);
    } else if (index <= raft->log.last) {
        raft_progress_acknowledged(raft, peer, index);
    }
}

/* The peer lives, but something may have been lost on the way: look at most once in about a
 * heartbeat interval. */
void raft_replication_on_heartbeat_response(struct raft *raft, const struct raft_message *message)
{
    struct raft_peer *peer = heard_from(raft, message, message->heartbeat_response.read_round);
    if (peer == NULL || raft->now < peer->checked_at + raft->options.heartbeat_us / 2) {
        return;
    }
    peer->checked_at = raft->now;
    if (peer->state == RAFT_PROGRESS_PROBE) {
        MARK_IF(peer->probe_sent, lost_probe_repeated);
        peer->probe_plain = peer->probe_plain || peer->probe_sent;
        peer->probe_sent = false;
    } else {
        peer->check_due = peer->state == RAFT_PROGRESS_SNAPSHOT || peer->inflight_count > 0;
        MARK_IF(peer->inflight_count > 0, entries_in_flight_looked_after);
    }
}

/* --- Commit --- */

static uint64_t match_of(raft_id id, const void *context)
{
    const struct raft *raft = context;
    if (id == raft->options.id) {
        return raft_writes_durable_index(raft);
    }
    return raft_progress_of(raft, id)->match;
}

void raft_replication_settle(struct raft *raft)
{
    raft_index reached = raft_quorum_reached(&raft->voters, match_of, raft);
    if (reached <= raft->commit || raft_log_term(raft, reached) != raft->term) {
        MARK_IF(reached > raft->commit, commit_waits_for_an_entry_of_this_term);
        return;
    }
    for (raft_index i = raft->commit + 1; i <= reached; i++) {
        const struct raft_entry *entry = raft_layout_entry_const(raft, i);
        if (entry->type == RAFT_ENTRY_COMMAND) {
            CHECK_OP(raft->lead.uncommitted_bytes, >=, entry->bytes);
            raft->lead.uncommitted_bytes -= entry->bytes;
        }
    }
    MARK_IF(reached > raft_writes_durable_index(raft), commit_before_the_own_disk);
    MARK_IF(raft_config_list_effective_index(raft) > raft->commit &&
                raft_config_list_effective_index(raft) <= reached,
            configuration_committed);
    raft->commit = reached;
}

/* --- Time --- */

static uint64_t heard_at(raft_id id, const void *context)
{
    const struct raft *raft = context;
    if (id == raft->options.id) {
        return UINT64_MAX;
    }
    raft_time heard = raft_progress_of(raft, id)->heard_at;
    return heard > raft->lead.grace_at ? heard : raft->lead.grace_at;
}

/* When the last quorum was heard, plus an election timeout. */
static raft_time quorum_deadline(const struct raft *raft)
{
    uint64_t heard = raft_quorum_reached(&raft->voters, heard_at, raft);
    return heard == UINT64_MAX ? UINT64_MAX : heard + raft->options.election_timeout_us;
}

bool raft_replication_hears_only_old_half(const struct raft *raft)
{
    struct raft_voters old = {.counts = {raft->voters.counts[RAFT_HALF_OLD], 0}};
    if (old.counts[RAFT_HALF_NEW] == 0 || raft->now < quorum_deadline(raft)) {
        return false;
    }
    memcpy(old.ids[RAFT_HALF_NEW], raft->voters.ids[RAFT_HALF_OLD], sizeof old.ids[RAFT_HALF_NEW]);
    uint64_t heard = raft_quorum_reached(&old, heard_at, raft);
    return heard == UINT64_MAX || raft->now < heard + raft->options.election_timeout_us;
}

static void make_heartbeats_due(struct raft *raft)
{
    raft_time interval = raft->options.heartbeat_us;
    raft->lead.heartbeat_deadline = raft->now + interval;
    for (size_t i = 0; i < RAFT_PEERS_MAX; i++) {
        struct raft_peer *peer = &raft->peers[i];
        if (peer->id == 0) {
            continue;
        }
        /* Both ways: a follower whose disk is slow receives entries but cannot answer them, and
         * must still be heard. */
        bool talking =
            raft->now < peer->sent_at + interval && raft->now < peer->heard_at + interval;
        MARK_IF(!talking && raft->now < peer->sent_at + interval, heartbeat_to_a_silent_peer);
        peer->heartbeat_due = peer->heartbeat_due || !talking;
    }
}

void raft_replication_tick(struct raft *raft)
{
    if (raft->now >= quorum_deadline(raft)) {
        MARK(leader_without_a_quorum_steps_down);
        raft_become_follower(raft, raft->term);
        return;
    }
    raft_progress_drop_departed(raft);
    if (raft->now >= raft->lead.heartbeat_deadline) {
        make_heartbeats_due(raft);
    }
}

raft_time raft_replication_deadline(const struct raft *raft)
{
    raft_time quorum = quorum_deadline(raft);
    return quorum < raft->lead.heartbeat_deadline ? quorum : raft->lead.heartbeat_deadline;
}

/* --- Sending --- */

static void note_sent(struct raft *raft, struct raft_peer *peer, raft_index commit)
{
    peer->sent_at = raft->now;
    peer->heartbeat_due = false;
    peer->read_sent = raft->lead.read_round;
    if (commit > peer->sent_commit) {
        peer->sent_commit = commit;
    }
}

static bool send_append(struct raft *raft,
                        struct raft_peer *peer,
                        raft_index previous,
                        uint32_t entries,
                        struct raft_output *output)
{
    struct raft_message message = raft_outbox_message(raft, RAFT_APPEND, peer->id);
    message.append.previous_index = previous;
    message.append.previous_term = raft_log_term(raft, previous);
    message.append.commit = raft->commit;
    message.append.read_round = raft->lead.read_round;
    message.append.entry_count = entries;
    if (!raft_outbox_send(output, &message)) {
        return false;
    }
    note_sent(raft, peer, lower(raft->commit, previous + entries));
    return true;
}

/* A lone write tells each follower of its commit: an answer to that would be a third of all
 * messages, and says nothing that the acknowledgement did not. */
static void send_heartbeat(struct raft *raft, struct raft_peer *peer, struct raft_output *output)
{
    struct raft_message message = raft_outbox_message(raft, RAFT_HEARTBEAT, peer->id);
    message.heartbeat.commit = lower(raft->commit, peer->match);
    message.heartbeat.read_round = raft->lead.read_round;
    message.heartbeat.quiet = !peer->heartbeat_due && peer->read_sent == raft->lead.read_round;
    MARK_IF(message.heartbeat.quiet, commit_told_without_an_answer);
    if (raft_outbox_send(output, &message)) {
        note_sent(raft, peer, message.heartbeat.commit);
    }
}

/* Each returns whether an APPEND went out. */

static bool send_probe(struct raft *raft, struct raft_peer *peer, struct raft_output *output)
{
    if (peer->probe_sent) {
        return false;
    }
    uint64_t bytes = 0;
    uint32_t entries = peer->probe_plain ? 0 : raft_log_batch(raft, peer->next, &bytes);
    peer->probe_sent = send_append(raft, peer, peer->next - 1, entries, output);
    return peer->probe_sent;
}

static bool send_stream(struct raft *raft, struct raft_peer *peer, struct raft_output *output)
{
    bool sent = false;
    while (peer->next <= raft->log.last && raft_progress_window_is_open(raft, peer)) {
        uint64_t bytes = 0;
        uint32_t entries = raft_log_batch(raft, peer->next, &bytes);
        if (!send_append(raft, peer, peer->next - 1, entries, output)) {
            MARK(stream_stopped_by_a_full_output);
            return sent;
        }
        raft_progress_sent(raft, peer, entries, bytes);
        sent = true;
    }
    if (!sent && peer->check_due) {
        MARK_IF(!raft_progress_window_is_open(raft, peer), full_window_checked);
        sent = send_append(raft, peer, peer->next - 1, 0, output);
    }
    peer->check_due = peer->check_due && !sent;
    return sent;
}

/* Finds out that the peer got the entries some other way. */
static bool send_check(struct raft *raft, struct raft_peer *peer, struct raft_output *output)
{
    if (!peer->check_due || !send_append(raft, peer, raft->log.base, 0, output)) {
        return false;
    }
    MARK(peer_waiting_for_a_dump_looked_after);
    peer->check_due = false;
    return true;
}

static bool send_entries(struct raft *raft, struct raft_peer *peer, struct raft_output *output)
{
    if (peer->state != RAFT_PROGRESS_SNAPSHOT && peer->next <= raft->log.base) {
        MARK_IF(peer->state == RAFT_PROGRESS_REPLICATE, streaming_peer_fell_below_the_base);
        MARK_IF(peer->state == RAFT_PROGRESS_PROBE, probed_peer_fell_below_the_base);
        raft_progress_become_snapshot(raft, peer);
    }
    switch (peer->state) {
    case RAFT_PROGRESS_PROBE:
        return send_probe(raft, peer, output);
    case RAFT_PROGRESS_REPLICATE:
        return send_stream(raft, peer, output);
    case RAFT_PROGRESS_SNAPSHOT:
        return send_check(raft, peer, output);
    }
    return false;
}

void raft_replication_flush(struct raft *raft, struct raft_output *output)
{
    for (size_t i = 0; i < RAFT_PEERS_MAX; i++) {
        struct raft_peer *peer = &raft->peers[i];
        if (peer->id == 0) {
            continue;
        }
        bool sent = send_entries(raft, peer, output);
        bool news = lower(raft->commit, peer->match) > peer->sent_commit ||
                    peer->read_sent < raft->lead.read_round;
        if (peer->heartbeat_due || (news && !sent)) {
            send_heartbeat(raft, peer, output);
        }
    }
}

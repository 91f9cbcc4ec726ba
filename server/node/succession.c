#include "server/node/succession.h"

#include "base/log.h"
#include "base/mark.h"
#include "server/node/node_checkpoint.h"
#include "server/node/node_clients.h"

#include <inttypes.h>

enum {
    DRAIN_RETRY_US = 50 * 1000,
    DAMAGE_RETRY_US = 100 * 1000,
    DEPARTURE_FACTOR = 2 /* times an election timeout: a lag after which clients are sent away */
};

/* The voter that is furthest ahead of those that call themselves fit to lead; 0 = none. */
static raft_id find_successor(const struct node *node)
{
    const struct raft_config *config = raft_config_effective(node->raft);
    raft_id best = 0;
    raft_index best_match = 0;

    for (uint32_t i = 0; i < config->member_count; i++) {
        const struct raft_member *member = &config->members[i];
        const struct member_report *report = node_linked_report(node, member->id);
        struct raft_peer_status peer;

        if ((member->flags & RAFT_VOTER_NEW) != 0 && report != NULL && !report->is_unfit &&
            raft_peer_status(node->raft, member->id, &peer) == STATUS_OK && peer.active &&
            (best == 0 || peer.match > best_match)) {
            best = member->id;
            best_match = peer.match;
        }
    }
    return best;
}

/* A stopping leader may go without a successor: the voters elect one when it is gone. */
static uint64_t leave_at_drain(struct node *node)
{
    (void)!raft_transfer(node->raft, node_now(node), find_successor(node));
    return node_now(node) + DRAIN_RETRY_US;
}

static bool leave(struct node *node, const char *reason)
{
    uint64_t now_us = node_now(node);
    raft_id successor = find_successor(node);

    if (successor == 0 || now_us < node->succession_retry_us ||
        raft_transfer(node->raft, now_us, successor) != STATUS_OK) {
        return false;
    }
    /* Proposals wait while the core tries; between two tries they do not. */
    node->succession_retry_us = now_us + 2 * node->options.raft.election_timeout_us;
    log_event(LOG_LEVEL_WARN, "leadership_offered", "to=%" PRIu64 " reason=\"%s\"", successor,
              reason);
    return true;
}

static void observe_disk(struct node *node, const struct raft_status *status)
{
    uint64_t now_us = node_now(node);

    switch (disk_lag_observe(&node->disk_lag, now_us, node->options.raft.election_timeout_us,
                             status->commit_index, status->durable_index)) {
    case DISK_LAG_SAME:
        break;
    case DISK_LAG_BECAME_SLOW:
        MARK(disk_found_slow);
        node->clients_were_sent_away = false;
        log_event(LOG_LEVEL_WARN, "disk_slow", "lag_ms=%" PRIu64,
                  disk_lag_us(&node->disk_lag, now_us) / 1000);
        break;
    case DISK_LAG_RECOVERED:
        log_event(LOG_LEVEL_INFO, "disk_recovered", "longest_lag_ms=%" PRIu64,
                  node->disk_lag.longest_us / 1000);
        break;
    }
    if (node->leaving_term != 0 && status->role != RAFT_LEADER) {
        disk_lag_moved(&node->disk_lag, now_us);
        node->leaving_term = 0;
    } else if (node->leaving_term != 0 && status->transfer_target == 0) {
        node->leaving_term = 0;
    }
}

/* What clients wrote here is answered when it is applied here, and that waits for this disk. */
static void send_clients_away(struct node *node)
{
    if (node->disk_lag.is_slow && !node->clients_were_sent_away &&
        disk_lag_us(&node->disk_lag, node_now(node)) >
            DEPARTURE_FACTOR * node->options.raft.election_timeout_us) {
        MARK(clients_sent_away_from_a_stuck_disk);
        node->clients_were_sent_away = true;
        node_clients_notify(node, CLIENT__NOTICE_KIND__GOING_AWAY, CLIENT__CODE__BEHIND);
    }
}

uint64_t succession_tick(struct node *node)
{
    const struct raft_status status = raft_status(node->raft);
    uint64_t limit_us = node->options.raft.election_timeout_us;
    bool may_leave = status.role == RAFT_LEADER && status.transfer_target == 0;

    observe_disk(node, &status);
    send_clients_away(node);
    if (may_leave && node->draining) {
        return leave_at_drain(node);
    }
    if (may_leave && node->is_condemned) {
        if (leave(node, "the state here is damaged")) {
            MARK(leadership_leaves_a_damaged_state);
        }
        return node_now(node) + DAMAGE_RETRY_US;
    }
    if (may_leave && node_checkpoint_has_no_room(node) &&
        leave(node, "the state has outgrown its map here")) {
        MARK(leadership_leaves_an_outgrown_state);
    } else if (may_leave && disk_lag_calls_for_move(&node->disk_lag, node_now(node), limit_us) &&
               leave(node, "the others wait for this disk")) {
        MARK(leadership_leaves_a_slow_disk);
        node->leaving_term = status.term;
    }
    return disk_lag_deadline(&node->disk_lag, node_now(node), limit_us);
}

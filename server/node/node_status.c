#include "server/node/node_status.h"

#include <string.h>

static const struct member_report *find_report(const struct node *node, raft_id id)
{
    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        if (node->reports[i].id == id) {
            return &node->reports[i];
        }
    }
    return NULL;
}

const char *node_status_role(const struct node *node)
{
    const struct raft_config *config = raft_config_effective(node->raft);

    if (config->member_count == 0) {
        return "none";
    }
    switch (node->status.role) {
    case RAFT_LEADER:
        return "leader";
    case RAFT_PRE_CANDIDATE:
    case RAFT_CANDIDATE:
        return "candidate";
    case RAFT_FOLLOWER:
        break;
    }
    if (raft_config_find(config, node->options.id) == NULL) {
        return "removed";
    }
    return raft_config_is_voter(config, node->options.id) ? "follower" : "learner";
}

static char *copy_text(struct arena *arena, const char *text)
{
    return arena_text(arena, bytes_of_text(text));
}

static bool is_reachable(const struct node *node, raft_id id)
{
    const struct member_report *report = find_report(node, id);

    return id == node->options.id || (report != NULL && report->is_linked);
}

static void fill_progress(const struct node *node,
                          raft_id id,
                          struct arena *arena,
                          Client__MemberStatus *status)
{
    struct raft_peer_status peer;

    if (raft_peer_status(node->raft, id, &peer) != STATUS_OK) {
        return;
    }
    status->match = peer.match;
    switch (peer.state) {
    case RAFT_PROGRESS_PROBE:
        status->progress = copy_text(arena, "probe");
        break;
    case RAFT_PROGRESS_REPLICATE:
        status->progress = copy_text(arena, "replicate");
        break;
    case RAFT_PROGRESS_SNAPSHOT:
        status->progress = copy_text(arena, "dump");
        break;
    }
}

static Client__MemberStatus *
make_member(const struct node *node, const struct raft_member *member, struct arena *arena)
{
    Client__MemberStatus *status = arena_alloc(arena, sizeof *status);
    const struct member_report *report = find_report(node, member->id);

    client__member_status__init(status);
    status->id = member->id;
    status->address = copy_text(arena, member->address);
    status->voter = (member->flags & (RAFT_VOTER_OLD | RAFT_VOTER_NEW)) != 0;
    status->learner = !status->voter;
    status->reachable = is_reachable(node, member->id);
    if (member->id == node->options.id) {
        status->role = copy_text(arena, node_status_role(node));
        status->term = node->status.term;
        status->applied = state_applied(node->state);
        status->last = node->status.last_index;
        status->version = copy_text(arena, node->options.version);
    } else if (report != NULL && report->is_linked) {
        /* Who leads is known here as soon as there; its own report may be older. */
        status->role =
            copy_text(arena, member->id == node->status.leader ? "leader" : report->role);
        status->term = report->term;
        status->applied = report->applied;
        status->last = report->last;
        status->version = copy_text(arena, report->version);
    }
    fill_progress(node, member->id, arena, status);
    return status;
}

/* Further voters of one half that may fail without losing its majority, of those reachable now. */
static uint32_t
spare_voters(const struct node *node, const struct raft_config *config, uint8_t half)
{
    uint32_t voters = 0;
    uint32_t reachable = 0;

    for (uint32_t i = 0; i < config->member_count; i++) {
        if ((config->members[i].flags & half) != 0) {
            voters++;
            reachable += is_reachable(node, config->members[i].id) ? 1 : 0;
        }
    }
    return reachable > voters / 2 + 1 ? reachable - (voters / 2 + 1) : 0;
}

static uint32_t tolerated_now(const struct node *node, const struct raft_config *config)
{
    uint32_t new_half = spare_voters(node, config, RAFT_VOTER_NEW);
    uint32_t old_half = config->joint ? spare_voters(node, config, RAFT_VOTER_OLD) : new_half;

    return new_half < old_half ? new_half : old_half;
}

const Client__StatusReply *node_status_make(struct node *node, struct arena *arena)
{
    const struct raft_config *config = raft_config_effective(node->raft);
    Client__StatusReply *status = arena_alloc(arena, sizeof *status);

    client__status_reply__init(status);
    if (node->options.has_cluster) {
        status->cluster_id.data = node->options.cluster_id;
        status->cluster_id.len = sizeof node->options.cluster_id;
    }
    status->server = node->options.id;
    status->leader = node->status.leader;
    status->term = node->status.term;
    status->joint = config->joint;
    status->n_members = config->member_count;
    status->members = arena_alloc(arena, config->member_count * sizeof(Client__MemberStatus *));
    for (uint32_t i = 0; i < config->member_count; i++) {
        status->members[i] = make_member(node, &config->members[i], arena);
    }
    if (config->member_count > 0) {
        status->tolerated_failures = tolerated_now(node, config);
        status->voter_failures_tolerated = raft_config_tolerated_failures(config);
    }
    status->node_count = state_node_count(node->state);
    status->session_count = state_session_count(node->state);
    status->oldest_zxid = history_oldest(node->history);
    status->watch_count = watch_table_count(node->watches);
    return status;
}

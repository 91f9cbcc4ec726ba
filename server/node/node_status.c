#include "server/node/node_status.h"

#include "server/node/node_agreement.h"

#include <inttypes.h>
#include <stdio.h>
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
    if (node->is_outside) {
        return node->status.leader != 0 ? "joining" : "removed";
    }
    return raft_config_is_voter(config, node->options.id) ? "follower" : "learner";
}

static int tell_of_copy(const struct node *node, char text[NODE_TROUBLE_BYTES])
{
    char lender[32] = "another server";

    if (node->lender != 0) {
        (void)snprintf(lender, sizeof lender, "server %" PRIu64, node->lender);
    }
    return snprintf(text, NODE_TROUBLE_BYTES,
                    "its state is a copy of that of %s, and no second opinion in a dispute",
                    lender);
}

static void tell_of_dispute(const struct node *node, char text[NODE_TROUBLE_BYTES])
{
    int size = 0;

    if (node->is_borrowed) {
        size = tell_of_copy(node, text);
        size += snprintf(text + size, NODE_TROUBLE_BYTES - (size_t)size, "; ");
    }
    size += snprintf(text + size, NODE_TROUBLE_BYTES - (size_t)size,
                     "another state than here is held by server");

    for (size_t i = 0; i < node->dispute.count && size < NODE_TROUBLE_BYTES / 2; i++) {
        size += snprintf(text + size, NODE_TROUBLE_BYTES - (size_t)size, "%s %" PRIu64,
                         i > 0 ? "," : "", node->dispute.dissent[i].id);
    }
    (void)snprintf(text + size, NODE_TROUBLE_BYTES - (size_t)size,
                   ", and no majority says who is wrong: bring back the voters that are away, or "
                   "remove-member who is wrong");
}

void node_status_trouble(struct node *node, char text[NODE_TROUBLE_BYTES])
{
    text[0] = '\0';
    if (node->is_condemned && node_is_disputed(node)) {
        (void)snprintf(text, NODE_TROUBLE_BYTES,
                       "its state is damaged, and server %" PRIu64 " had another one before that: "
                       "only what a majority holds takes its place; remove-member who is wrong: "
                       "%.130s",
                       node->dispute.dissent[0].id, node->damage);
    } else if (node->is_condemned) {
        (void)snprintf(text, NODE_TROUBLE_BYTES,
                       "its state is damaged and is fetched anew from the others: %.130s",
                       node->damage);
    } else if (node->damage[0] != '\0') {
        (void)snprintf(text, NODE_TROUBLE_BYTES, "%.199s", node->damage);
    } else if (node_is_disputed(node)) {
        tell_of_dispute(node, text);
    } else if (node->is_borrowed && node_agreement_knows_of_dispute(node)) {
        (void)tell_of_copy(node, text);
    } else if (node->is_outgrown) {
        (void)snprintf(text, NODE_TROUBLE_BYTES,
                       "its map is short of space and it stands at zxid %" PRIu64 ": it asks for a "
                       "dump, which takes less; if that has no room either, start it with a larger "
                       "--map-size",
                       state_applied(node->state));
    } else if (node->disk_lag.is_slow) {
        (void)snprintf(text, NODE_TROUBLE_BYTES,
                       "its disk is slow: up to %" PRIu64 " ms behind those of the others",
                       node->disk_lag.longest_us / 1000);
    }
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

static bool is_short_of_space(const struct node *node, raft_id id)
{
    const struct member_report *report = node_linked_report(node, id);

    return id == node->options.id ? !node->space.is_enough
                                  : report != NULL && report->short_of_space;
}

static void fill_progress(const struct node *node,
                          raft_id id,
                          struct arena *arena,
                          Client__MemberStatus *status)
{
    const struct member_progress *progress =
        progress_board_find(&node->board, node->status.leader, node->status.term, id);

    if (id == node->options.id && node->status.role == RAFT_LEADER) {
        status->match = node->status.durable_index;
    }
    if (progress == NULL) {
        return;
    }
    status->match = progress->match;
    /* The leader may have heard of entries that the member's own report does not count yet. */
    if (status->last < progress->match) {
        status->last = progress->match;
    }
    status->progress = copy_text(arena, progress->progress);
    status->caught_up = progress->caught_up;
    status->rounds = progress->rounds;
    status->dump_bytes = progress->dump_bytes;
    status->dump_bytes_done = progress->dump_bytes_done;
    status->trend = copy_text(arena, progress->trend);
    /* The member itself knows better than the leader why it is silent. */
    if (status->trouble[0] == '\0') {
        status->trouble = copy_text(arena, progress->trouble);
    }
}

static uint64_t *copy_ids(struct arena *arena, const raft_id *ids, size_t count)
{
    uint64_t *copy = arena_alloc(arena, count * sizeof *copy);

    if (count > 0) {
        memcpy(copy, ids, count * sizeof *copy);
    }
    return copy;
}

/* What the leader says of it; without one, what the configuration here says. */
static Client__VoterChange *make_change(struct node *node, struct arena *arena)
{
    const struct raft_config *config = raft_config_effective(node->raft);
    struct change_progress change = node->board.change;
    bool is_told = node->status.leader != 0 && node->board.teller == node->status.leader &&
                   node->board.term == node->status.term;
    Client__VoterChange *message;

    if (!is_told || (config->joint && !change.begun)) {
        change = (struct change_progress){.exists = config->joint,
                                          .begun = true,
                                          .since_us = node->board.joint_since_us,
                                          .waits_for = "word from a leader"};
        for (uint32_t i = 0; i < config->member_count; i++) {
            const struct raft_member *member = &config->members[i];

            if ((member->flags & RAFT_VOTER_OLD) != 0) {
                change.from[change.from_count++] = member->id;
            }
            if (config->joint && (member->flags & RAFT_VOTER_NEW) != 0) {
                change.to[change.to_count++] = member->id;
            }
        }
    }
    if (!change.exists) {
        return NULL;
    }
    message = arena_alloc(arena, sizeof *message);
    client__voter_change__init(message);
    message->from = copy_ids(arena, change.from, change.from_count);
    message->n_from = change.from_count;
    message->to = copy_ids(arena, change.to, change.to_count);
    message->n_to = change.to_count;
    message->begun = change.begun;
    message->age_ms = (node_now(node) - change.since_us) / 1000;
    message->waits_for = copy_text(arena, change.waits_for);
    return message;
}

static Client__MemberStatus *
make_member(struct node *node, const struct raft_member *member, struct arena *arena)
{
    Client__MemberStatus *status = arena_alloc(arena, sizeof *status);
    const struct member_report *report = find_report(node, member->id);
    char trouble[NODE_TROUBLE_BYTES];

    client__member_status__init(status);
    status->id = member->id;
    status->address = copy_text(arena, member->address);
    status->voter = (member->flags & (RAFT_VOTER_OLD | RAFT_VOTER_NEW)) != 0;
    status->learner = !status->voter;
    status->promoting = (member->flags & RAFT_PROMOTE) != 0;
    if (status->promoting) {
        uint64_t now_us = node_now(node);

        status->promoting_ms =
            (now_us - progress_board_promoting_since(&node->board, member->id, now_us)) / 1000;
    }
    status->reachable = is_reachable(node, member->id);
    if (member->id == node->options.id) {
        status->role = copy_text(arena, node_status_role(node));
        status->term = node->status.term;
        status->applied = state_applied(node->state);
        status->agreed = node->agreed_zxid;
        status->last = node->status.last_index;
        status->version = copy_text(arena, node->options.version);
        node_status_trouble(node, trouble);
        status->trouble = copy_text(arena, trouble);
    } else if (report != NULL && report->is_linked) {
        /* Who leads is known here as soon as there; its own report may be older. */
        status->role =
            copy_text(arena, member->id == node->status.leader ? "leader" : report->role);
        status->term = report->term;
        status->applied = report->applied;
        status->agreed = report->agreed;
        status->last = report->last;
        status->version = copy_text(arena, report->version);
        status->trouble = copy_text(arena, report->trouble);
    }
    fill_progress(node, member->id, arena, status);
    if (status->trouble[0] == '\0' && is_short_of_space(node, member->id)) {
        status->trouble = copy_text(
            arena, member->id == node->status.leader
                       ? "its disk or one of its maps is short of space: only removals are taken"
                       : "its disk or one of its maps is short of space");
    }
    if (!status->reachable && report != NULL && report->unreachable[0] != '\0') {
        (void)snprintf(trouble, sizeof trouble, "not reachable: %s", report->unreachable);
        status->trouble = copy_text(arena, trouble);
    }
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
    status->config_zxid = node->status.config_index;
    status->change = make_change(node, arena);
    status->not_member = node->is_outside;
    status->node_count = state_node_count(node->state);
    status->session_count = state_session_count(node->state);
    status->oldest_zxid = history_oldest(node->history);
    status->watch_count = watch_table_count(node->watches);
    return status;
}

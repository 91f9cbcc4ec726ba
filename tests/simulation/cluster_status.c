#include "tests/simulation/cluster_status.h"

#include <inttypes.h>
#include <string.h>

static bool is_among(raft_id id, const uint64_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

static bool
are_voters(const struct raft_config *config, uint8_t half, const uint64_t *ids, size_t count)
{
    size_t voters = 0;

    for (uint32_t i = 0; i < config->member_count; i++) {
        if ((config->members[i].flags & half) != 0) {
            voters++;
            if (!is_among(config->members[i].id, ids, count)) {
                return false;
            }
        }
    }
    return voters == count;
}

/* A joint configuration is a change that has begun; the leader names both sides of it. On their way
 * to others they may be those of a later change. */
static void check_change(const struct cluster_server *server,
                         const Client__StatusReply *reply,
                         const struct raft_config *config,
                         bool leads)
{
    const Client__VoterChange *change = reply->change;

    if (reply->joint != (config->joint != 0)) {
        cluster_violation(server, "S32: its status says joint=%d, its configuration %d",
                          reply->joint, config->joint);
    }
    if (config->joint && (change == NULL || !change->begun || change->waits_for[0] == '\0')) {
        cluster_violation(server, "S32: its status names no change of voters that has begun");
    }
    if (leads && change != NULL && change->begun != (config->joint != 0)) {
        cluster_violation(server, "S32: its status names a change with begun=%d, joint is %d",
                          change->begun, config->joint);
    }
    if (leads && config->joint &&
        (!are_voters(config, RAFT_VOTER_OLD, change->from, change->n_from) ||
         !are_voters(config, RAFT_VOTER_NEW, change->to, change->n_to))) {
        cluster_violation(server, "S32: its status names a change of other voters, from %zu to %zu",
                          change->n_from, change->n_to);
    }
}

static bool is_word(const char *text, const char *const words[3])
{
    return strcmp(text, words[0]) == 0 || strcmp(text, words[1]) == 0 ||
           strcmp(text, words[2]) == 0;
}

/* What the leader's core knows of the member. */
static void check_progress(const struct cluster_server *server, const Client__MemberStatus *member)
{
    static const char *const states[3] = {"probe", "replicate", "dump"};
    struct raft_peer_status peer;
    enum status found = raft_peer_status(node_raft(server->node), member->id, &peer);

    if (found != STATUS_OK) {
        cluster_violation(server, "S32: its status shows %" PRIu64 ", of which its core says: %s",
                          member->id, status_text(found));
    }
    if (!is_word(member->progress, states) || member->match != peer.match ||
        member->rounds != peer.rounds || member->caught_up != peer.caught_up) {
        cluster_violation(server,
                          "S32: its status shows %" PRIu64 " as \"%s\" match=%" PRIu64
                          " rounds=%" PRIu32 " caught-up=%d; its core has match=%" PRIu64
                          " rounds=%" PRIu32 " caught-up=%d",
                          member->id, member->progress, member->match, member->rounds,
                          member->caught_up, peer.match, peer.rounds, peer.caught_up);
    }
}

static void check_member(const struct cluster_server *server,
                         const Client__MemberStatus *shown,
                         const struct raft_member *member,
                         raft_index leader_last)
{
    bool is_voter = (member->flags & (RAFT_VOTER_OLD | RAFT_VOTER_NEW)) != 0;

    if (shown->id != member->id || shown->voter != is_voter || shown->learner == is_voter ||
        shown->promoting != ((member->flags & RAFT_PROMOTE) != 0)) {
        cluster_violation(server,
                          "S32: its status shows %" PRIu64 " voter=%d learner=%d promoting=%d; "
                          "its configuration has %" PRIu64 " with flags %u",
                          shown->id, shown->voter, shown->learner, shown->promoting, member->id,
                          member->flags);
    }
    if (leader_last != 0 && shown->match > leader_last) {
        cluster_violation(server,
                          "S32: its status shows %" PRIu64 " with match=%" PRIu64
                          ", the leader's log ends at %" PRIu64,
                          shown->id, shown->match, leader_last);
    }
    if (shown->dump_bytes_done > shown->dump_bytes) {
        cluster_violation(server,
                          "S32: its status shows %" PRIu64 " with %" PRIu64 " of %" PRIu64
                          " bytes of a dump",
                          shown->id, shown->dump_bytes_done, shown->dump_bytes);
    }
}

/* Where the log ends of the leader that is named; 0 = nobody knows. */
static raft_index last_of_leader(const struct promotions *promotions,
                                 const struct cluster_server *server,
                                 const Client__StatusReply *reply,
                                 bool leads)
{
    if (leads) {
        return raft_status(node_raft(server->node)).last_index;
    }
    return reply->leader == 0 ? 0 : promotions_led_last(promotions, reply->leader, reply->term);
}

void cluster_status_judge(const struct promotions *promotions,
                          struct cluster_server *server,
                          const Client__StatusReply *reply)
{
    const struct raft *raft = node_raft(server->node);
    const struct raft_config *config = raft_config_effective(raft);
    bool leads = reply->leader == server->id && raft_status(raft).role == RAFT_LEADER;
    raft_index leader_last = last_of_leader(promotions, server, reply, leads);

    if (reply->server != server->id || reply->n_members != config->member_count) {
        cluster_violation(server,
                          "S32: its status is of server %" PRIu64 " and %zu members, not %u",
                          reply->server, reply->n_members, config->member_count);
    }
    check_change(server, reply, config, leads);
    for (uint32_t i = 0; i < config->member_count; i++) {
        check_member(server, reply->members[i], &config->members[i], leader_last);
        if (leads && config->members[i].id != server->id) {
            check_progress(server, reply->members[i]);
        }
    }
}

#include "tests/simulation/repairs.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <stdlib.h>

/* A zxid is named at the latest ten seconds after the one before, and a difference noted some
 * seconds after it was told. */
enum { NOTICE_US = 25 * 1000 * 1000 };

/* What is remembered of a server. */
struct watched {
    uint64_t lives; /* of the disk that this is about */
    bool was_condemned;
    bool was_disputed;  /* in this run, */
    bool is_in_dispute; /* in this one, or in one before that did not see the end of it */
    raft_id voters[RAFT_MEMBERS_MAX]; /* when it began */
    size_t voter_count;
    bool was_wrong;
    zxid wrong_from; /* there, or at a later one, its state became wrong */
    zxid applied;
    uint64_t generation;
    const struct watched *giver;                   /* who offered a dump last, */
    bool is_vouched;                               /* of a state that a majority holds */
    uint64_t differs_since_us[NETWORK_PLACES_MAX]; /* from it as leader, unnoticed; 0 = no */
};

struct repairs {
    struct cluster *cluster;
    struct watched watched[NETWORK_PLACES_MAX];
};

struct repairs *repairs_new(struct cluster *cluster)
{
    struct repairs *repairs = xcalloc(1, sizeof *repairs);

    repairs->cluster = cluster;
    return repairs;
}

void repairs_free(struct repairs *repairs)
{
    free(repairs);
}

void repairs_on_boot(struct repairs *repairs, struct cluster_server *server)
{
    struct watched *watched = &repairs->watched[server->place];

    watched->was_disputed = false;
    watched->was_condemned = false; /* known to be, it may die before that is durable */
    /* What it differed in never came to its disk: it makes its state anew, out of the log. */
    if (node_applied(server->node) == 0) {
        watched->is_in_dispute = false;
    }
    if (server->lives != watched->lives) {
        watched->lives = server->lives;
        watched->is_in_dispute = false;
        watched->generation = disk_identity(server->disk)->tree_generation;
    }
}

/* What may be the right state is not overwritten. */
void repairs_on_offer(struct repairs *repairs,
                      const struct cluster_server *server,
                      raft_id to,
                      const Peer__DumpOffer *offer)
{
    struct watched *receiver = &repairs->watched[cluster_by_id(repairs->cluster, to)->place];

    receiver->giver = &repairs->watched[server->place];
    receiver->is_vouched = offer->vouched;
    if (!offer->vouched && node_disputes_with(server->node, to)) {
        cluster_violation(server,
                          "S28: %" PRIu64 ", which it is in dispute with, is offered a dump of "
                          "%" PRIu64 " that nobody vouches for",
                          to, offer->index);
    }
}

/* Of the voters, without this one. */
static bool is_wrong_majority(const struct repairs *repairs, const struct cluster_server *server)
{
    const struct raft_config *config = raft_config_effective(node_raft(server->node));
    uint64_t voters = 0;
    uint64_t wrong = 0;

    for (uint32_t i = 0; i < config->member_count; i++) {
        raft_id id = config->members[i].id;
        bool is_voter = raft_config_is_voter(config, id);

        voters += is_voter;
        wrong += is_voter && id != server->id &&
                 cluster_has_diverged(cluster_by_id(repairs->cluster, id));
    }
    return 2 * wrong > voters;
}

/* What has become of a damaged state is right: a majority vouched for it. Once wrong states are a
 * majority, nobody can know; faults alone never make them one, but members that lag get the state
 * of their leader, whatever it is. */
static void check_repair(struct repairs *repairs, struct cluster_server *server)
{
    struct watched *watched = &repairs->watched[server->place];
    bool is_condemned = node_is_condemned(server->node);

    if (watched->was_condemned && !is_condemned && cluster_has_diverged(server) &&
        !is_wrong_majority(repairs, server)) {
        cluster_violation(server, "S27: its state was repaired, and is wrong");
    }
    watched->was_condemned = is_condemned;
}

static void note_voters(struct watched *watched, const struct cluster_server *server)
{
    const struct raft_config *config = raft_config_effective(node_raft(server->node));

    watched->voter_count = 0;
    for (uint32_t i = 0; i < config->member_count; i++) {
        if (raft_config_is_voter(config, config->members[i].id)) {
            watched->voters[watched->voter_count++] = config->members[i].id;
        }
    }
}

/* Whoever removed a voter from among those that cannot say who is wrong may have removed the one
 * that was right. */
static bool was_decided(const struct repairs *repairs,
                        const struct watched *watched,
                        const struct cluster_server *server)
{
    const struct raft_config *config = raft_config_effective(node_raft(server->node));
    bool is_one_gone = false;

    for (size_t i = 0; i < watched->voter_count; i++) {
        is_one_gone = is_one_gone || !raft_config_is_voter(config, watched->voters[i]);
    }
    return is_one_gone && is_wrong_majority(repairs, server);
}

/* Since when its state is wrong: that of a dump since it was at the giver. */
static void note_wrong(struct watched *watched, struct cluster_server *server)
{
    bool is_wrong = cluster_has_diverged(server);
    bool is_given = disk_identity(server->disk)->tree_generation != watched->generation;

    if (is_wrong && is_given && watched->giver != NULL) {
        watched->wrong_from = watched->giver->wrong_from;
    } else if (is_wrong && !watched->was_wrong) {
        watched->wrong_from = watched->applied;
    }
}

/* What may be the only right state, as its server knows, does not give way to a wrong one, also not
 * when a record of it is damaged; a copy may. Nor is it about what became wrong later: who had the
 * same where this server is gives its state to who lags, whatever it has come to, as always. */
static void check_dispute(struct repairs *repairs, struct cluster_server *server)
{
    struct watched *watched = &repairs->watched[server->place];
    uint64_t generation = disk_identity(server->disk)->tree_generation;
    bool is_disputed = node_is_disputed(server->node) && !disk_tree_doubt(server->disk).is_borrowed;

    note_wrong(watched, server);
    if (generation != watched->generation && watched->is_in_dispute && !watched->was_wrong &&
        cluster_has_diverged(server) && !was_decided(repairs, watched, server) &&
        (watched->is_vouched || watched->wrong_from < watched->applied)) {
        cluster_violation(server,
                          "S29: its state, which was right and disputed, gave way to a wrong one");
    }
    if (is_disputed && !watched->is_in_dispute) {
        note_voters(watched, server);
    }
    /* In its first turn it may die before that is durable. */
    watched->is_in_dispute = (is_disputed && watched->was_disputed) ||
                             (watched->is_in_dispute && generation == watched->generation &&
                              (!watched->was_disputed || node_is_condemned(server->node)));
    watched->was_disputed = is_disputed;
    watched->generation = generation;
    watched->was_wrong = cluster_has_diverged(server);
    watched->applied = node_applied(server->node);
}

/* The leader and a voter that follows it hold different states, and neither knows. */
static bool differs_unnoticed(struct cluster_server *leader, struct cluster_server *voter)
{
    const struct raft *raft = node_raft(leader->node);
    struct raft_peer_status peer;

    return cluster_has_diverged(leader) != cluster_has_diverged(voter) && cluster_is_awake(voter) &&
           !node_is_condemned(leader->node) && !node_is_condemned(voter->node) &&
           !node_disputes_with(leader->node, voter->id) &&
           !node_disputes_with(voter->node, leader->id) &&
           raft_config_is_voter(raft_config_effective(raft), leader->id) &&
           raft_config_is_voter(raft_config_effective(raft), voter->id) &&
           raft_peer_status(raft, voter->id, &peer) == STATUS_OK && peer.active &&
           peer.state == RAFT_PROGRESS_REPLICATE;
}

/* Whatever the others do: they may stand still. */
static void check_notice(struct repairs *repairs, struct cluster_server *server)
{
    struct watched *watched = &repairs->watched[server->place];
    bool leads = raft_status(node_raft(server->node)).role == RAFT_LEADER;
    uint64_t now_us = repairs->cluster->timeline->now_us;

    for (size_t place = 0; place < repairs->cluster->settings.places; place++) {
        uint64_t *since_us = &watched->differs_since_us[place];

        if (!leads || !differs_unnoticed(server, &repairs->cluster->servers[place])) {
            *since_us = 0;
        } else if (*since_us == 0) {
            *since_us = now_us;
        } else if (now_us - *since_us > NOTICE_US) {
            cluster_violation(server, "S30: %zu has another state, and neither knows", place + 1);
        }
    }
}

void repairs_on_turn(struct repairs *repairs, struct cluster_server *server)
{
    check_notice(repairs, server);
    check_repair(repairs, server);
    check_dispute(repairs, server);
}

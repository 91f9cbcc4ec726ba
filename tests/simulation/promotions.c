#include "tests/simulation/promotions.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* By the rule of the dissertation (4.2.1) a round ends when the server holds what the leader had
 * when it began, and the last one took no longer than an election timeout. The one after it, which
 * is under way, may be as old: together this many timeouts. */
enum { ROUNDS = 2 };

/* The end of a leader's log, from a time of its clock on. */
struct sample {
    uint64_t since_us;
    raft_index last;
};

struct watched {
    raft_index last; /* the end of its log, leader or not */
    raft_term led_term;
    raft_index led_last;
    bool leads;
    raft_index config_index; /* that was looked at */
    struct sample *samples;  /* of the term in which it leads: those that may be asked for */
    size_t first;
    size_t count;
    size_t capacity;
};

struct promotions {
    struct cluster *cluster;
    bool is_forced[1 << NETWORK_PLACES_MAX]; /* by the set of voters */
    struct watched watched[NETWORK_PLACES_MAX];
    uint64_t count;
};

struct promotions *promotions_new(struct cluster *cluster)
{
    struct promotions *promotions = xcalloc(1, sizeof *promotions);

    promotions->cluster = cluster;
    return promotions;
}

void promotions_free(struct promotions *promotions)
{
    for (size_t place = 0; place < NETWORK_PLACES_MAX; place++) {
        free(promotions->watched[place].samples);
    }
    free(promotions);
}

void promotions_on_force(struct promotions *promotions, const uint64_t *voters, size_t count)
{
    size_t set = 0;

    for (size_t i = 0; i < count; i++) {
        set |= (size_t)1 << (voters[i] - 1);
    }
    promotions->is_forced[set] = true;
}

void promotions_on_boot(struct promotions *promotions, const struct cluster_server *server)
{
    struct watched *watched = &promotions->watched[server->place];

    watched->last = disk_log(server->disk).last;
    watched->leads = false;
}

static void add_sample(struct watched *watched, uint64_t since_us)
{
    if (watched->first > watched->capacity / 2) {
        memmove(watched->samples, watched->samples + watched->first,
                watched->count * sizeof *watched->samples);
        watched->first = 0;
    }
    if (watched->first + watched->count == watched->capacity) {
        watched->capacity = 2 * watched->capacity + 16;
        watched->samples = xrealloc(watched->samples, watched->capacity * sizeof *watched->samples);
    }
    watched->samples[watched->first + watched->count] =
        (struct sample){.since_us = since_us, .last = watched->last};
    watched->count++;
}

/* Where the leader's log ended as long ago as a round may have begun, or when its term began. */
static raft_index last_then(struct watched *watched, const struct cluster_server *server)
{
    uint64_t now_us = cluster_clock_us(server);
    uint64_t span_us = ROUNDS * server->election_timeout_us;
    uint64_t time_us = now_us > span_us ? now_us - span_us : 0;

    while (watched->count > 1 && watched->samples[watched->first + 1].since_us < time_us) {
        watched->first++;
        watched->count--;
    }
    return watched->samples[watched->first].last;
}

static bool is_forced(const struct promotions *promotions, const struct raft_config *config)
{
    size_t set = 0;

    for (uint32_t i = 0; i < config->member_count; i++) {
        if ((config->members[i].flags & RAFT_VOTER_NEW) != 0) {
            set |= (size_t)1 << (config->members[i].id - 1);
        }
    }
    return promotions->is_forced[set];
}

static void check_new_voter(struct promotions *promotions,
                            const struct cluster_server *leader,
                            const struct raft_member *member,
                            raft_index wanted)
{
    const struct cluster_server *server = cluster_by_id(promotions->cluster, member->id);
    const struct disk *disk = cluster_disk(server, member->incarnation);
    const struct raft *raft = node_raft(leader->node);
    raft_term term = raft_term_at(raft, wanted);

    /* Put back to an old copy or cut off by a later leader, it held what it has lost. */
    if (disk == NULL || server->is_old_copy || disk_log(disk).term > raft_status(raft).term) {
        return;
    }
    promotions->count++;
    if (disk_log(disk).last < wanted ||
        (term != 0 && disk_log(disk).base < wanted && disk_term(disk, wanted) != term)) {
        cluster_violation(leader,
                          "S31: it makes %" PRIu64 " a voter, whose disk ends at %" PRIu64
                          ": entry %" PRIu64
                          " is two election timeouts old, or older than its term",
                          member->id, disk_log(disk).last, wanted);
    }
}

static void check_new_voters(struct promotions *promotions, struct cluster_server *server)
{
    struct watched *watched = &promotions->watched[server->place];
    const struct raft_config *config = raft_config_effective(node_raft(server->node));
    raft_index wanted = last_then(watched, server);

    for (uint32_t i = 0; i < config->member_count; i++) {
        const struct raft_member *member = &config->members[i];

        if ((member->flags & (RAFT_VOTER_NEW | RAFT_VOTER_OLD)) == RAFT_VOTER_NEW &&
            member->id != server->id) {
            check_new_voter(promotions, server, member, wanted);
        }
    }
}

static void note_leader(struct watched *watched,
                        const struct cluster_server *server,
                        const struct raft_status *status)
{
    if (!watched->leads || watched->led_term != status->term) {
        watched->leads = true;
        watched->led_term = status->term;
        watched->first = 0;
        watched->count = 0;
        add_sample(watched, 0);
    }
    if (watched->last != status->last_index) {
        watched->last = status->last_index;
        add_sample(watched, cluster_clock_us(server));
        (void)last_then(watched, server);
    }
    watched->led_last = status->last_index;
}

void promotions_on_turn(struct promotions *promotions, struct cluster_server *server)
{
    struct watched *watched = &promotions->watched[server->place];
    const struct raft *raft = node_raft(server->node);
    struct raft_status status = raft_status(raft);
    const struct raft_config *config = raft_config_effective(raft);

    if (status.role != RAFT_LEADER) {
        watched->leads = false;
        watched->last = status.last_index;
        watched->config_index = status.config_index;
        return;
    }
    note_leader(watched, server, &status);
    if (status.config_index != watched->config_index) {
        watched->config_index = status.config_index;
        if (config->joint && raft_term_at(raft, status.config_index) == status.term &&
            !is_forced(promotions, config)) {
            check_new_voters(promotions, server);
        }
    }
}

raft_index promotions_led_last(const struct promotions *promotions, raft_id leader, raft_term term)
{
    const struct watched *watched = &promotions->watched[leader - 1];

    return watched->led_term == term ? watched->led_last : 0;
}

uint64_t promotions_count(const struct promotions *promotions)
{
    return promotions->count;
}

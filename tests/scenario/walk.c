/* A random walk through one cluster for each seed: faults first, then all heals and must converge.
 *
 *     walk COUNT          seeds 1 ... COUNT
 *     walk COUNT FIRST    seeds FIRST ... FIRST + COUNT - 1
 *     walk --trace SEED   one seed, narrated
 *
 * With --marks FILE before the count, the marks (base/mark.h) passed go into that file. */
#include "base/mark.h"
#include "tests/scenario/cluster.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NODES = 5, SPARES = 3, STEPS = 3000, HEAL_US = 30 * 1000 * 1000 };

struct walk {
    struct cluster *cluster;
    struct prng prng;
    /* Each run favours other faults: mixtures with some of them absent find more. */
    uint64_t drop_percent;
    uint64_t duplicate_percent;
    uint64_t old_percent;
    uint64_t crash_percent;
    uint64_t member_percent;
    uint64_t dump_percent;
    bool reorder;
    uint64_t inputs;
};

static bool percent(struct walk *walk, uint64_t chance)
{
    return prng_below(&walk->prng, 100) < chance;
}

static struct cluster_node *any_node(struct walk *walk)
{
    return &walk->cluster->nodes[prng_below(&walk->prng, walk->cluster->node_count)];
}

static struct cluster_node *any_leader(struct walk *walk)
{
    struct cluster_node *found = NULL;
    for (size_t i = 0; i < walk->cluster->node_count; i++) {
        struct cluster_node *node = &walk->cluster->nodes[i];
        if (node->alive && raft_status(node->raft).role == RAFT_LEADER &&
            (found == NULL || percent(walk, 50))) {
            found = node;
        }
    }
    return found;
}

/* The first message at or after `position` that is held, or is not; past the end if none. */
static size_t find_flight(const struct walk *walk, size_t position, bool held)
{
    const struct cluster *cluster = walk->cluster;
    while (position < cluster->flight_count && cluster->flights[position].held != held) {
        position++;
    }
    return position;
}

/* Copies of some messages are kept, and come when nobody thinks of them any more. */
static void step_old_message(struct walk *walk)
{
    struct cluster *cluster = walk->cluster;
    size_t position = prng_below(&walk->prng, cluster->flight_count);
    if (percent(walk, 50)) {
        position = find_flight(walk, position, true);
        if (position < cluster->flight_count) {
            cluster_deliver(cluster, position);
        }
    } else if (cluster->flight_count < CLUSTER_FLIGHTS_MAX) {
        cluster_duplicate(cluster, position);
        cluster->flights[cluster->flight_count - 1].held = true;
    }
}

static void step_network(struct walk *walk)
{
    struct cluster *cluster = walk->cluster;
    if (cluster->flight_count == 0) {
        return;
    }
    if (percent(walk, walk->old_percent)) {
        step_old_message(walk);
        return;
    }
    size_t start = walk->reorder ? prng_below(&walk->prng, cluster->flight_count) : 0;
    size_t position = find_flight(walk, start, false);
    if (position == cluster->flight_count) {
        return;
    }
    if (percent(walk, walk->drop_percent)) {
        cluster_drop(cluster, position);
    } else {
        if (percent(walk, walk->duplicate_percent)) {
            cluster_duplicate(cluster, position);
        }
        cluster_deliver(cluster, position);
    }
}

static void step_disk(struct walk *walk)
{
    struct cluster_node *node = any_node(walk);
    if (node->alive && node->write_count > 0 && percent(walk, 90)) {
        cluster_persist(walk->cluster, node);
    } else if (node->alive && percent(walk, 20)) {
        /* Behind what is applied, now and then; and beside writes that are not done. */
        cluster_checkpoint_until(walk->cluster, node,
                                 node->applied -
                                     prng_below(&walk->prng, node->applied < 8 ? 1 : 8));
        raft_index checkpoint = node->disk->checkpoint;
        if (checkpoint > 0 && percent(walk, 50)) {
            cluster_trim(walk->cluster, node,
                         checkpoint - prng_below(&walk->prng, checkpoint < 8 ? checkpoint : 8));
        }
    }
}

static void step_time(struct walk *walk)
{
    struct cluster *cluster = walk->cluster;
    cluster->now += prng_below(&walk->prng, 40000);
    for (size_t i = 0; i < cluster->node_count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        if (node->alive && node->next_deadline <= cluster->now) {
            cluster_tick(cluster, node);
        }
    }
}

static void step_client(struct walk *walk)
{
    struct cluster_node *leader = any_leader(walk);
    if (leader != NULL) {
        size_t count = 1 + prng_below(&walk->prng, 4);
        uint32_t bytes = (uint32_t)prng_below(&walk->prng, 2000);
        (void)!cluster_propose(walk->cluster, leader, count, bytes);
    }
    struct cluster_node *reader = any_node(walk);
    if (reader->alive && percent(walk, 50)) {
        (void)!cluster_read(walk->cluster, reader);
    }
}

static void step_crash(struct walk *walk)
{
    struct cluster_node *node = any_node(walk);
    if (node->alive) {
        cluster_crash(walk->cluster, node);
    } else if (cluster_restart(walk->cluster, node) != STATUS_OK) {
        fprintf(stderr, "violated (seed %" PRIu64 "): node %" PRIu64 " does not boot\n",
                walk->cluster->seed, node->id);
        abort();
    }
}

static void step_cut(struct walk *walk)
{
    raft_id from = any_node(walk)->id;
    raft_id to = any_node(walk)->id;
    walk->cluster->cut[from][to] = !walk->cluster->cut[from][to];
    struct cluster_node *node = any_node(walk);
    if (node->alive && percent(walk, 30)) {
        cluster_peer_down(walk->cluster, node, any_node(walk)->id);
    }
}

static void step_members(struct walk *walk)
{
    struct cluster_node *leader = any_leader(walk);
    if (leader == NULL) {
        return;
    }
    struct cluster *cluster = walk->cluster;
    struct raft_member member = cluster_member(any_node(walk), 0);
    raft_index index;
    member.flags = percent(walk, 50) ? RAFT_PROMOTE : 0;
    switch (prng_below(&walk->prng, 5)) {
    case 0:
        (void)!raft_add_learner(leader->raft, cluster->now, &member, &index);
        break;
    case 1:
        (void)!raft_remove_learner(leader->raft, cluster->now, member.id, &index);
        break;
    case 2: {
        raft_id voters[NODES + SPARES];
        size_t count = 0;
        for (raft_id id = 1; id <= cluster->node_count && count < RAFT_VOTERS_MAX; id++) {
            if (percent(walk, 60)) {
                voters[count++] = id;
            }
        }
        (void)!raft_change_voters(leader->raft, cluster->now, voters, count, percent(walk, 50),
                                  percent(walk, 30), &index);
        break;
    }
    case 3:
        (void)!raft_cancel_change(leader->raft, cluster->now, &index);
        break;
    default:
        (void)!raft_transfer(leader->raft, cluster->now, percent(walk, 50) ? member.id : 0);
        break;
    }
    cluster_touched(leader);
}

/* Any node may send a dump to any other: each must refuse what does not fit. */
static void step_dump(struct walk *walk)
{
    struct cluster_node *from = any_node(walk);
    struct cluster_node *to = any_node(walk);
    if (from->alive && to->alive && from != to && from->disk->checkpoint > 0 &&
        to->write_count == 0) {
        (void)!cluster_dump(walk->cluster, from, to);
        if (raft_status(from->raft).role == RAFT_LEADER && percent(walk, 50)) {
            raft_dump_sent(from->raft, walk->cluster->now, to->id, from->disk->checkpoint);
            cluster_touched(from);
        }
    }
}

static void one_step(struct walk *walk)
{
    uint64_t choice = prng_below(&walk->prng, 1000);
    walk->inputs++;
    if (choice < 550) {
        step_network(walk);
    } else if (choice < 750) {
        step_disk(walk);
    } else if (choice < 850) {
        step_time(walk);
    } else if (choice < 930) {
        step_client(walk);
    } else if (percent(walk, walk->crash_percent)) {
        step_crash(walk);
    } else if (percent(walk, walk->member_percent)) {
        step_members(walk);
    } else if (percent(walk, walk->dump_percent)) {
        step_dump(walk);
    } else if (percent(walk, 20)) {
        step_cut(walk);
    }
    /* Several inputs before one flush, now and then. */
    if (percent(walk, 80)) {
        cluster_flush(walk->cluster);
    }
}

/* What a driver does for a peer in the state SNAPSHOT. */
static void serve_dumps(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->node_count; i++) {
        struct cluster_node *leader = &cluster->nodes[i];
        for (size_t k = 0; leader->alive && k < cluster->node_count; k++) {
            struct cluster_node *peer = &cluster->nodes[k];
            struct raft_peer_status status;
            if (peer->alive && raft_peer_status(leader->raft, peer->id, &status) == STATUS_OK &&
                status.dump_wanted && peer->write_count == 0) {
                cluster_checkpoint(cluster, leader);
                (void)!cluster_dump(cluster, leader, peer);
            }
        }
    }
}

static void heal(struct walk *walk)
{
    struct cluster *cluster = walk->cluster;
    memset(cluster->cut, 0, sizeof cluster->cut);
    for (size_t i = 0; i < cluster->node_count; i++) {
        if (!cluster->nodes[i].alive) {
            cluster->trace != NULL ? fprintf(cluster->trace, "restart %zu\n", i + 1) : 0;
            (void)!cluster_restart(cluster, &cluster->nodes[i]);
        }
    }
    raft_time end = cluster->now + HEAL_US;
    while (cluster->now < end) {
        for (size_t i = 0; i < cluster->node_count; i++) {
            struct cluster_node *node = &cluster->nodes[i];
            cluster_checkpoint(cluster, node);
            /* A log that filled up during the faults must get room again. */
            cluster_trim(cluster, node, node->disk->checkpoint);
        }
        serve_dumps(cluster);
        cluster_advance(cluster, cluster->now + 100 * 1000, true);
    }
    struct cluster_node *leader = any_leader(walk);
    if (leader == NULL || cluster_propose(cluster, leader, 1, 1) != STATUS_OK) {
        fprintf(stderr, "violated (seed %" PRIu64 "): no writable leader after healing\n",
                cluster->seed);
        abort();
    }
    cluster_advance(cluster, cluster->now + 1000 * 1000, true);
    cluster_check_converged(cluster);
}

static struct raft_options options_of(struct prng *prng)
{
    struct raft_options options = raft_options_default(1);
    options.log_entries_max = 32u << prng_below(prng, 4);
    options.message_entries_max = (uint32_t)prng_between(prng, 1, 16);
    options.message_bytes_max = (uint32_t)prng_between(prng, 1, 8000);
    options.inflight_messages_max = (uint32_t)prng_between(prng, 1, 8);
    options.inflight_bytes_max = prng_between(prng, 1, 20000);
    options.uncommitted_bytes_max = prng_between(prng, 1, 20000);
    options.reads_max = (uint32_t)prng_between(prng, 1, 64);
    return options;
}

static void start_cluster(struct walk *walk)
{
    struct cluster *cluster = walk->cluster;
    size_t voters = prng_between(&walk->prng, 1, NODES);
    struct raft_config config;
    memset(&config, 0, sizeof config);
    for (size_t i = 0; i < voters + SPARES; i++) {
        struct cluster_node *node = cluster_add_node(cluster);
        if (i < voters) {
            config.members[config.member_count++] = cluster_member(node, RAFT_VOTER_NEW);
        }
    }
    for (size_t i = 0; i < voters; i++) {
        (void)!cluster_bootstrap(cluster, &cluster->nodes[i], &config);
    }
    cluster_flush(cluster);
    /* A cluster whose first configuration is not durable on its voters does not exist yet. */
    for (size_t i = 0; i < voters; i++) {
        cluster_persist(cluster, &cluster->nodes[i]);
    }
    cluster_flush(cluster);
}

static uint64_t run_seed(uint64_t seed, FILE *trace)
{
    struct walk walk = {.inputs = 0};
    prng_init(&walk.prng, seed);
    struct raft_options options = options_of(&walk.prng);
    walk.cluster = cluster_new(&options, seed, trace);
    walk.drop_percent = percent(&walk, 50) ? prng_below(&walk.prng, 30) : 0;
    walk.duplicate_percent = percent(&walk, 50) ? prng_below(&walk.prng, 30) : 0;
    walk.old_percent = percent(&walk, 50) ? prng_below(&walk.prng, 5) : 0;
    walk.crash_percent = percent(&walk, 70) ? prng_below(&walk.prng, 40) : 0;
    walk.member_percent = percent(&walk, 70) ? prng_below(&walk.prng, 80) : 0;
    walk.dump_percent = percent(&walk, 70) ? prng_below(&walk.prng, 80) : 0;
    walk.reorder = percent(&walk, 50);
    start_cluster(&walk);
    for (int i = 0; i < STEPS; i++) {
        one_step(&walk);
    }
    heal(&walk);
    cluster_free(walk.cluster);
    return walk.inputs;
}

int main(int argc, char **argv)
{
    const char *marks = NULL;
    if (argc > 2 && strcmp(argv[1], "--marks") == 0) {
        marks = argv[2];
        argc -= 2;
        argv += 2;
    }
    if (argc == 3 && strcmp(argv[1], "--trace") == 0) {
        run_seed(strtoull(argv[2], NULL, 10), stdout);
        return 0;
    }
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 100;
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    for (uint64_t seed = first; seed < first + count; seed++) {
        run_seed(seed, NULL);
    }
    printf("%" PRIu64 " seeds, %d steps each\n", count, STEPS);
    if (marks != NULL && !mark_write(marks)) {
        perror(marks);
        return 1;
    }
    return 0;
}

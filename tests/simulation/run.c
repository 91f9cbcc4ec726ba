#include "tests/simulation/run.h"

#include "base/check.h"
#include "tests/simulation/admission.h"
#include "tests/simulation/faults.h"
#include "tests/simulation/port.h"
#include "tests/simulation/tolerance.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    HEALING_US = 150 * 1000 * 1000, /* by then all must have converged: else it hangs */
    PROBING_US = 30 * 1000 * 1000,
    MENDING_US = 30 * 1000 * 1000, /* what the state of a majority is, is told every ten seconds */
    SLICE_US = 50 * 1000,
    CHECKPOINTS = 8,      /* in the place of an election timeout, for L1 */
    CHECKPOINT_WRITES = 4 /* so long takes one */
};

struct run {
    struct timeline timeline;
    struct cluster cluster;
    struct oracle *oracle;
    struct workload *workload;
    struct operator* operator;
    struct faults *faults;
    uint64_t cores;
    uint64_t stuck;
    uint64_t disputes;          /* that nobody could end */
    bool was_whole;             /* every server's disk and state, when all was healed, */
    uint64_t resets;            /* and so many dumps had been installed */
    bool has_settled;           /* the servers agreed since, */
    uint64_t settling_timeouts; /* in so many election timeouts, */
    uint64_t mending_us;        /* or, where something had to be replaced, in this time */
};

static void on_turn(void *context, struct cluster_server *server)
{
    oracle_on_turn(((struct run *)context)->oracle, server);
}

static void on_boot(void *context, struct cluster_server *server)
{
    oracle_on_boot(((struct run *)context)->oracle, server);
}

static void on_stop(void *context, struct cluster_server *server)
{
    struct run *run = context;

    if (run->workload != NULL) {
        workload_on_stop(run->workload, server);
    }
    truth_on_stop(oracle_truth(run->oracle), server);
    operator_on_stop(run->operator, server);
}

static void on_lost(void *context,
                    struct cluster_server *server,
                    const struct cluster_server *to,
                    uint64_t since_us)
{
    if (to->node != NULL && raft_status(node_raft(to->node)).role == RAFT_LEADER) {
        truth_on_lost(oracle_truth(((struct run *)context)->oracle), server, since_us);
    }
}

static void on_death(void *context, struct cluster_server *server)
{
    struct run *run = context;

    if (run->faults != NULL) {
        faults_on_death(run->faults, server);
    }
}

static void
on_send(void *context, struct cluster_server *server, raft_id to, const Peer__RaftMessage *message)
{
    oracle_on_send(((struct run *)context)->oracle, server, to, message);
}

static void
on_offer(void *context, struct cluster_server *server, raft_id to, const Peer__DumpOffer *offer)
{
    oracle_on_offer(((struct run *)context)->oracle, server, to, offer);
}

static void
on_hard_state(void *context, struct cluster_server *server, raft_term term, raft_id vote)
{
    oracle_on_hard_state(((struct run *)context)->oracle, server, term, vote);
}

static void on_truncate(void *context, struct cluster_server *server, raft_index first)
{
    oracle_on_truncate(((struct run *)context)->oracle, server, first);
}

static void on_append(void *context, struct cluster_server *server, raft_index index)
{
    oracle_on_append(((struct run *)context)->oracle, server, index);
}

static void on_reset(void *context, struct cluster_server *server, raft_index index, raft_term term)
{
    oracle_on_reset(((struct run *)context)->oracle, server, index, term);
}

static void run_until(struct run *run, uint64_t until_us)
{
    while (run->timeline.now_us < until_us && timeline_step(&run->timeline)) {
    }
}

static struct cluster_server *find_running_leader(struct run *run)
{
    struct cluster_server *leader = NULL;
    raft_term term = 0;

    for (size_t place = 0; place < run->cluster.settings.places; place++) {
        struct cluster_server *server = &run->cluster.servers[place];
        struct raft_status status;

        if (server->node == NULL || server->draining) {
            continue;
        }
        status = raft_status(node_raft(server->node));
        if (status.role == RAFT_LEADER && status.term > term) {
            leader = server;
            term = status.term;
        }
    }
    return leader;
}

/* NULL also while a server does not run, or is still on its way down. */
static struct cluster_server *find_leader(struct run *run)
{
    for (size_t place = 0; place < run->cluster.settings.places; place++) {
        const struct cluster_server *server = &run->cluster.servers[place];

        if (server->node == NULL || server->draining) {
            return NULL;
        }
    }
    return find_running_leader(run);
}

/* A member whose state is not that of the others has yet to find out, also if nobody writes; or a
 * server whose folder is an old copy. If all have the same wrong state, because some had to take it
 * from another, nobody can. */
static bool must_find_out(struct run *run, const struct raft_config *config)
{
    size_t diverged = 0;
    size_t sound = 0;

    for (size_t place = 0; place < run->cluster.settings.places; place++) {
        struct cluster_server *server = &run->cluster.servers[place];

        if (server->is_old_copy) {
            return true;
        }
        if (raft_config_find(config, server->id) != NULL && server->node != NULL &&
            node_applied(server->node) > 0) {
            diverged += cluster_has_diverged(server);
            sound += !cluster_has_diverged(server);
        }
    }
    return diverged > 0 && sound > 0;
}

/* One leader whom all members know, one configuration at rest, everything applied everywhere, equal
 * digests. */
static bool has_settled(struct run *run)
{
    struct cluster_server *leader = find_leader(run);
    const struct raft_config *config;
    struct raft_status status;
    struct state_digest digest;

    if (leader == NULL) {
        return false;
    }
    status = raft_status(node_raft(leader->node));
    config = raft_config_effective(node_raft(leader->node));
    digest = cluster_digest(leader);
    if (must_find_out(run, config) || config->joint || !status.config_committed ||
        status.last_index != status.commit_index ||
        node_applied(leader->node) != status.last_index || !oracle_is_at_rest(leader)) {
        return false;
    }
    for (uint32_t i = 0; i < config->member_count; i++) {
        struct cluster_server *server = cluster_by_id(&run->cluster, config->members[i].id);
        struct raft_status other = raft_status(node_raft(server->node));
        struct state_digest other_digest = cluster_digest(server);

        if (memcmp(server->incarnation, config->members[i].incarnation, RAFT_INCARNATION_BYTES) !=
            0) {
            continue;
        }
        if (other.leader != leader->id || node_applied(server->node) != status.last_index ||
            other.term != status.term) {
            return false;
        }
        if (node_is_condemned(server->node)) {
            return false;
        }
        if (digest.record_count != other_digest.record_count || digest.sum != other_digest.sum) {
            cluster_violation(server, "S20: it converged to another state than the leader");
        }
    }
    return true;
}

/* And clients have their answers, silent sessions are over, and the operator has nothing to do. */
static bool has_converged(struct run *run)
{
    return workload_is_idle(run->workload) && operator_is_idle(run->operator) && has_settled(run);
}

static void print_state(struct run *run)
{
    for (size_t place = 0; place < run->cluster.settings.places; place++) {
        struct cluster_server *server = &run->cluster.servers[place];
        struct raft_status status;

        if (server->node == NULL) {
            continue;
        }
        status = raft_status(node_raft(server->node));
        fprintf(stderr,
                "  server %" PRIu64 ": %s term=%" PRIu64 " leader=%" PRIu64 " base=%" PRIu64
                " last=%" PRIu64 " durable=%" PRIu64 " commit=%" PRIu64 " applied=%" PRIu64
                " config=%" PRIu64 "%s%s%s\n",
                server->id, raft_role_name(status.role), status.term, status.leader,
                status.log_base, status.last_index, status.durable_index, status.commit_index,
                node_applied(server->node), status.config_index,
                node_is_condemned(server->node) ? " condemned" : "",
                node_is_disputed(server->node) ? " disputed" : "",
                cluster_has_diverged(server) ? " diverged" : "");
    }
}

/* Whether the two can still learn what the other holds. */
static bool
can_compare(const struct cluster_server *left, const struct cluster_server *right, const bool *core)
{
    return (core == NULL || core[right->place]) && node_applied(left->node) >= right->known_from &&
           (right->node == NULL || node_applied(right->node) >= left->known_from);
}

/* Servers are in dispute, and one of them is wrong, or (`with_laggards`) cannot be compared with
 * the other any more, because it lags or is not of the core that is alone: if the operator could
 * not end that, they wait, as they should. */
static bool is_disputed(struct run *run, bool with_laggards, const bool *core)
{
    size_t places = run->cluster.settings.places;

    for (size_t i = 0; i < places; i++) {
        struct cluster_server *left = &run->cluster.servers[i];

        for (size_t j = 0; j < places && left->node != NULL; j++) {
            struct cluster_server *right = &run->cluster.servers[j];

            if (node_disputes_with(left->node, right->id) &&
                (cluster_has_diverged(left) != cluster_has_diverged(right) ||
                 (with_laggards && !can_compare(left, right, core)))) {
                return true;
            }
        }
    }
    return false;
}

struct able {
    struct run *run;
    const bool *core; /* only these take part; NULL = all */
    const struct cluster_server *leader;
    const struct raft_config *config;
};

/* Who is condemned applies nothing, so its log fills up: then it takes no more. */
static bool has_no_room(const struct cluster_server *server, const struct cluster_server *leader)
{
    return node_is_condemned(server->node) && raft_status(node_raft(server->node)).last_index <
                                                  raft_status(node_raft(leader->node)).last_index;
}

/* It can store what the leader has. */
static bool is_able(raft_id id, const void *context)
{
    const struct able *able = context;
    const struct raft_member *member = raft_config_find(able->config, id);
    const struct cluster_server *server = cluster_by_id(&able->run->cluster, id);

    return member != NULL && server->node != NULL && !node_holds_back(able->leader->node, id) &&
           !has_no_room(server, able->leader) &&
           (able->core == NULL || able->core[server->place]) &&
           memcmp(member->incarnation, server->incarnation, RAFT_INCARNATION_BYTES) == 0;
}

/* Those that lag in the dispute are needed for a majority, or none of the others is right: nothing
 * that an operator removes helps. */
static bool has_no_way_out(struct run *run, const struct cluster_server *leader, const bool *core)
{
    struct able able = {.run = run, .core = core, .leader = leader};

    if (able.leader == NULL) {
        return false; /* a dispute is no reason to have none */
    }
    able.config = raft_config_effective(node_raft(able.leader->node));
    for (uint32_t i = 0; i < able.config->member_count; i++) {
        struct cluster_server *server = cluster_by_id(&run->cluster, able.config->members[i].id);

        if (raft_config_is_voter(able.config, server->id) && is_able(server->id, &able) &&
            !cluster_has_diverged(server) && !node_is_condemned(server->node)) {
            return !raft_config_is_quorum(able.config, is_able, &able);
        }
    }
    return true;
}

/* Wrong states have come to all voters, by dumps to those that lagged: the operator, who removes
 * what is wrong, has nothing left to keep. */
static bool is_nobody_right(struct run *run)
{
    for (size_t place = 0; place < run->cluster.settings.places; place++) {
        struct cluster_server *server = &run->cluster.servers[place];

        if (server->node != NULL && !cluster_has_diverged(server) &&
            !node_is_condemned(server->node) &&
            raft_config_is_voter(raft_config_effective(node_raft(server->node)), server->id)) {
            return false;
        }
    }
    return true;
}

static uint64_t longest_timeout_us(const struct run *run)
{
    uint64_t longest_us = 1;

    for (size_t place = 0; place < run->cluster.settings.places; place++) {
        uint64_t timeout_us = run->cluster.servers[place].election_timeout_us;

        longest_us = timeout_us > longest_us ? timeout_us : longest_us;
    }
    return longest_us;
}

/* Who lags may write a checkpoint for each command that it lags: the disk may be slower at that
 * than an election. */
static uint64_t settling_unit_us(const struct run *run)
{
    uint64_t checkpoints_us = CHECKPOINTS * CHECKPOINT_WRITES * run->cluster.settings.write_us;
    uint64_t timeout_us = longest_timeout_us(run);

    return timeout_us > checkpoints_us ? timeout_us : checkpoints_us;
}

/* L1: the servers agree within some election timeouts, or eight times as many checkpoints. Where
 * disks or states have to be replaced first, or a dump waits for a majority that tells what it
 * holds, which is every ten seconds, that is counted in seconds. */
static void note_settling(struct run *run, uint64_t healed_us)
{
    const struct settings *settings = &run->cluster.settings;
    uint64_t spent_us = run->timeline.now_us - healed_us;
    uint64_t timeouts = 1 + spent_us / settling_unit_us(run);

    if (run->has_settled || !has_settled(run)) {
        return;
    }
    run->has_settled = true;
    timeline_trace(&run->timeline, "settled after %" PRIu64 " election timeouts", timeouts);
    if (!run->was_whole || run->resets != oracle_counts(run->oracle).resets) {
        run->mending_us = spent_us;
    } else {
        run->settling_timeouts = timeouts;
    }
    if (run->settling_timeouts > settings->settling_timeouts_max ||
        run->mending_us > settings->mending_us_max) {
        print_state(run);
        cluster_violation(&run->cluster.servers[0],
                          "L1: after healing the servers agreed within %" PRIu64
                          " election timeouts or %" PRIu64 " us; %" PRIu64 " or %" PRIu64
                          " are allowed",
                          run->settling_timeouts, run->mending_us, settings->settling_timeouts_max,
                          settings->mending_us_max);
    }
}

/* In a dispute that lets nothing be committed, and no session expire. */
static bool is_stuck_in_dispute(struct run *run)
{
    return is_disputed(run, true, NULL) && has_no_way_out(run, find_running_leader(run), NULL);
}

/* Within `limit_us`, and more for each server that the operator makes anew: they come one after the
 * other, and each waits for its dump. No more often than twice each: what a server has by its dump
 * may be found wrong too, when he knows who is right. False: it is left in a dispute. */
static bool wait_for_convergence(struct run *run, uint64_t limit_us, const char *what)
{
    uint64_t since_us = run->timeline.now_us;
    uint64_t mended = operator_counts(run->operator).mended;
    uint64_t more; /* that were made anew since */

    do {
        run_until(run, run->timeline.now_us + SLICE_US);
        note_settling(run, since_us);
        if (has_converged(run)) {
            return true;
        }
        if (is_stuck_in_dispute(run)) {
            truth_quiet(oracle_truth(run->oracle));
        }
        more = operator_counts(run->operator).mended - mended;
    } while (more <= 2 * run->cluster.settings.places &&
             run->timeline.now_us < since_us + limit_us + more * MENDING_US);
    if (is_nobody_right(run) || is_stuck_in_dispute(run)) {
        timeline_trace(&run->timeline, "left in dispute");
        run->disputes++;
        return false;
    }
    print_state(run);
    workload_print(run->workload);
    cluster_violation(&run->cluster.servers[0], "L1: no convergence %s: clients %s, operator %s",
                      what, workload_is_idle(run->workload) ? "idle" : "waiting",
                      operator_is_idle(run->operator) ? "idle" : "waiting");
}

static void make_cluster(struct run *run)
{
    uint64_t until_us = run->timeline.now_us + HEALING_US;

    for (size_t place = 0; place < run->cluster.settings.places; place++) {
        CHECK(cluster_start(&run->cluster.servers[place]));
    }
    run->operator= operator_new(&run->cluster, run->oracle);
    while (!operator_has_cluster(run->operator)) {
        run_until(run, run->timeline.now_us + SLICE_US);
        if (run->timeline.now_us > until_us) {
            cluster_violation(&run->cluster.servers[0], "init does not come to an end");
        }
    }
}

static void probe_members(struct run *run)
{
    const struct cluster_server *leader = find_leader(run);
    const struct raft_config *config;

    CHECK(leader != NULL);
    config = raft_config_effective(node_raft(leader->node));
    for (uint32_t i = 0; i < config->member_count; i++) {
        struct cluster_server *server = cluster_by_id(&run->cluster, config->members[i].id);

        if (memcmp(server->incarnation, config->members[i].incarnation, RAFT_INCARNATION_BYTES) ==
            0) {
            workload_probe(run->workload, server->place);
        }
    }
}

static void check_states(struct run *run)
{
    for (size_t place = 0; place < run->cluster.settings.places; place++) {
        struct cluster_server *server = &run->cluster.servers[place];

        /* Damage that nothing has read yet would be met by the check. */
        state_check(node_state(server->node),
                    !disk_is_unsound(server->disk) && !cluster_has_diverged(server));
    }
}

/* --- A quorum alone --- */

struct chosen {
    const struct run *run;
    const struct raft_config *config;
    const bool *core;
};

static bool is_chosen(raft_id id, const void *context)
{
    const struct chosen *chosen = context;
    const struct raft_member *member = raft_config_find(chosen->config, id);

    return id <= chosen->run->cluster.settings.places && chosen->core[id - 1] && member != NULL &&
           memcmp(member->incarnation, chosen->run->cluster.servers[id - 1].incarnation,
                  RAFT_INCARNATION_BYTES) == 0;
}

/* Whether the core is a quorum by what each of its servers has as the configuration now. */
static bool is_core(const struct run *run, const bool core[NETWORK_PLACES_MAX])
{
    struct chosen chosen = {.run = run, .core = core};
    raft_index index;

    for (size_t place = 0; place < run->cluster.settings.places; place++) {
        const struct cluster_server *server = &run->cluster.servers[place];

        if (server->node == NULL) {
            continue; /* asked again once it runs */
        }
        chosen.config = raft_config_effective(node_raft(server->node));
        if (core[place] && !raft_config_is_quorum(chosen.config, is_chosen, &chosen)) {
            return false;
        }
        chosen.config = raft_config_committed(node_raft(server->node), &index);
        if (core[place] && !raft_config_is_quorum(chosen.config, is_chosen, &chosen)) {
            return false;
        }
    }
    return true;
}

/* Who is damaged, or is going to be found to be, waits for a dump that a majority vouches for. */
static bool is_sound(struct cluster_server *server)
{
    return !server->lost && !server->is_old_copy && !disk_is_damaged(server->disk) &&
           !disk_is_condemned(server->disk) && !cluster_has_diverged(server);
}

/* Sound servers at random until they are a quorum. */
static bool draw_core(struct run *run, struct prng *prng, bool core[NETWORK_PLACES_MAX])
{
    size_t places = run->cluster.settings.places;
    size_t first = (size_t)prng_below(prng, places);
    size_t count = 0;

    memset(core, 0, NETWORK_PLACES_MAX * sizeof *core);
    for (size_t i = 0; i < places; i++) {
        struct cluster_server *server = &run->cluster.servers[(first + i) % places];

        if (is_sound(server) && disk_identity(server->disk)->has_cluster &&
            disk_log(server->disk).last > 0) {
            core[server->place] = true;
            count++;
            if (2 * count > run->cluster.settings.first_members && is_core(run, core)) {
                return true;
            }
        }
    }
    return false;
}

static struct cluster_server *core_leader(struct run *run, const bool core[NETWORK_PLACES_MAX])
{
    struct cluster_server *leader = NULL;
    raft_term term = 0;

    for (size_t place = 0; place < run->cluster.settings.places; place++) {
        struct cluster_server *server = &run->cluster.servers[place];
        struct raft_status status;

        if (core[place] && server->node != NULL) {
            status = raft_status(node_raft(server->node));
            if (status.role == RAFT_LEADER && status.term > term) {
                leader = server;
                term = status.term;
            }
        }
    }
    return leader;
}

/* A leader in the core that all of its voters there know; NULL. */
static struct cluster_server *find_core_leader(struct run *run, const bool core[NETWORK_PLACES_MAX])
{
    struct cluster_server *leader = core_leader(run, core);

    for (size_t place = 0; leader != NULL && place < run->cluster.settings.places; place++) {
        const struct cluster_server *server = &run->cluster.servers[place];

        if (core[place] && server->node != NULL &&
            raft_config_is_voter(raft_config_effective(node_raft(leader->node)), server->id) &&
            raft_status(node_raft(server->node)).leader != leader->id) {
            leader = NULL;
        }
    }
    return leader;
}

/* Whether all that must come of a quorum alone has come of it. */
static bool has_worked(struct run *run, const bool core[NETWORK_PLACES_MAX], raft_id *probed)
{
    const struct cluster_server *leader = find_core_leader(run, core);

    if (leader == NULL) {
        return false;
    }
    if (*probed == 0) {
        workload_probe(run->workload, leader->place);
        *probed = leader->id;
        return false;
    }
    return workload_probes(run->workload) == 0 ||
           !raft_config_is_voter(raft_config_effective(node_raft(leader->node)), *probed);
}

/* A connected quorum elects and commits whatever the rest does. A change of the membership that
 * was under way may take that away from it. */
static void heal_core(struct run *run)
{
    bool core[NETWORK_PLACES_MAX];
    struct prng prng;
    uint64_t until_us = run->timeline.now_us + HEALING_US;
    raft_id probed = 0;

    prng_init(&prng, run->cluster.settings.seed * 23 + 7);
    if (!draw_core(run, &prng, core)) {
        return;
    }
    faults_heal_core(run->faults, core);
    run->cores++;
    do {
        run_until(run, run->timeline.now_us + SLICE_US);
        /* A dump of a wrong state was under way into the core, or the one that lags is needed. */
        if (run->timeline.now_us > until_us &&
            (is_disputed(run, false, NULL) ||
             (is_disputed(run, true, core) &&
              has_no_way_out(run, find_core_leader(run, core), core)))) {
            run->disputes++;
            break;
        }
        if (run->timeline.now_us > until_us) {
            print_state(run);
            cluster_violation(&run->cluster.servers[0], "L4: a connected quorum %s",
                              probed != 0 ? "does not answer" : "elects no leader");
        }
    } while (is_core(run, core) && !has_worked(run, core, &probed));
    workload_drop_probes(run->workload);
}

/* --- A stuck disk --- */

/* A voter whom a client asks that knows nothing of the leader's disk; NULL if the others are no
 * majority. A wiped server is none: it waits to be added again. */
static struct cluster_server *find_other_voter(struct run *run, const struct cluster_server *leader)
{
    const struct raft_config *config = raft_config_effective(node_raft(leader->node));
    bool others[NETWORK_PLACES_MAX];
    struct chosen chosen = {.run = run, .config = config, .core = others};
    struct cluster_server *other = NULL;

    for (size_t place = 0; place < run->cluster.settings.places; place++) {
        others[place] = place != leader->place;
        if (others[place] && is_chosen(place + 1, &chosen) &&
            raft_config_is_voter(config, place + 1)) {
            other = &run->cluster.servers[place];
        }
    }
    return raft_config_is_quorum(config, is_chosen, &chosen) ? other : NULL;
}

/* The disk under the leader does nothing any more, and all else works: leadership goes to a voter
 * whose disk works, by itself, and clients are answered all the time. */
static void stick_leader(struct run *run)
{
    struct cluster_server *leader = find_leader(run);
    const struct cluster_server *other;
    uint64_t until_us = run->timeline.now_us + HEALING_US;

    CHECK(leader != NULL);
    other = find_other_voter(run, leader);
    if (other == NULL) {
        return;
    }
    timeline_trace(&run->timeline, "the disk of the leader, %" PRIu64 ", gets stuck", leader->id);
    run->stuck++;
    workload_probe(run->workload, other->place);
    do {
        disk_stall_until(leader->disk, run->timeline.now_us + 2 * SLICE_US);
        run_until(run, run->timeline.now_us + SLICE_US);
        if (run->timeline.now_us > until_us) {
            print_state(run);
            cluster_violation(leader, "L5: its disk is stuck, and %s",
                              workload_probes(run->workload) > 0 ? "nobody is answered"
                                                                 : "it leads on");
        }
    } while (workload_probes(run->workload) > 0 ||
             raft_status(node_raft(leader->node)).role == RAFT_LEADER);
    if (wait_for_convergence(run, HEALING_US, "after a stuck disk")) {
        check_states(run);
    }
}

/* --- All --- */

/* Who is in dispute with a state that a restart has put right may need the operator, too. */
static bool is_whole(struct run *run)
{
    for (size_t place = 0; place < run->cluster.settings.places; place++) {
        struct cluster_server *server = &run->cluster.servers[place];

        if (!tolerance_is_intact(server) || disk_tree_doubt(server->disk).count > 0 ||
            (server->node != NULL && node_is_disputed(server->node))) {
            return false;
        }
    }
    return true;
}

static struct run_result result_of(const struct run *run)
{
    return (struct run_result){.hash = run->timeline.hash,
                               .steps = run->timeline.steps,
                               .virtual_us = run->timeline.now_us,
                               .faults = faults_count(run->faults),
                               .put_back = faults_put_back_count(run->faults),
                               .destroyed = faults_destroyed_count(run->faults),
                               .cores = run->cores,
                               .stuck = run->stuck,
                               .settling_timeouts = run->settling_timeouts,
                               .mending_us = run->mending_us,
                               .disputes = run->disputes,
                               .oracle = oracle_counts(run->oracle),
                               .workload = workload_counts(run->workload),
                               .operator= operator_counts(run->operator)};
}

static void run_phases(struct run *run)
{
    const struct settings *settings = &run->cluster.settings;

    make_cluster(run);
    run->cluster.plan->origin_us = run->timeline.now_us;
    run->workload = workload_new(&run->cluster, run->oracle);
    run->faults = faults_new(&run->cluster);
    operator_begin(run->operator);
    run_until(run, run->timeline.now_us + settings->faulty_us);
    workload_quiet(run->workload);
    operator_quiet(run->operator);
    if (settings->with_core) {
        heal_core(run);
    }
    run->was_whole = is_whole(run);
    run->resets = oracle_counts(run->oracle).resets;
    faults_heal(run->faults);
    operator_mend(run->operator);
    truth_quiet(oracle_truth(run->oracle));
    if (wait_for_convergence(run, HEALING_US, "after healing")) {
        probe_members(run);
        if (wait_for_convergence(run, PROBING_US, "after the last writes")) {
            check_states(run);
            oracle_on_end(run->oracle);
            if (settings->with_stall) {
                stick_leader(run);
            }
        }
    }
    truth_judge(oracle_truth(run->oracle));
}

struct run_result run_plan(struct plan *plan, enum timeline_trace trace)
{
    struct run run = {.oracle = NULL};
    struct run_result result;
    const struct cluster_observer observer = {.context = &run,
                                              .on_turn = on_turn,
                                              .on_boot = on_boot,
                                              .on_stop = on_stop,
                                              .on_death = on_death,
                                              .on_lost = on_lost,
                                              .on_send = on_send,
                                              .on_offer = on_offer,
                                              .on_hard_state = on_hard_state,
                                              .on_truncate = on_truncate,
                                              .on_append = on_append,
                                              .on_reset = on_reset};
    const struct cluster_outside outside = {.port_of = port_of, .admit = admission_admit};

    timeline_init(&run.timeline, trace);
    cluster_init(&run.cluster, &run.timeline, plan, &outside, &observer);
    run.oracle = oracle_new(&run.cluster);
    run_phases(&run);
    result = result_of(&run);
    cluster_release(&run.cluster);
    faults_free(run.faults);
    workload_free(run.workload);
    operator_free(run.operator);
    oracle_free(run.oracle);
    timeline_release(&run.timeline);
    return result;
}

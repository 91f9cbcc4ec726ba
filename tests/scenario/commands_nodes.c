/* Commands about nodes, time, inputs and members. */
#include "tests/scenario/forge.h"
#include "tests/scenario/scenario.h"

#include <string.h>

static void run_option(struct scenario *scenario)
{
    const char *name = scenario_word(scenario, 1);
    uint32_t value = (uint32_t)scenario_number(scenario, 2);
    if (strcmp(name, "log_entries_max") == 0) {
        scenario->options.log_entries_max = value;
    } else if (strcmp(name, "message_entries_max") == 0) {
        scenario->options.message_entries_max = value;
    } else if (strcmp(name, "message_bytes_max") == 0) {
        scenario->options.message_bytes_max = value;
    } else if (strcmp(name, "inflight_messages_max") == 0) {
        scenario->options.inflight_messages_max = value;
    } else if (strcmp(name, "inflight_bytes_max") == 0) {
        scenario->options.inflight_bytes_max = value;
    } else if (strcmp(name, "uncommitted_bytes_max") == 0) {
        scenario->options.uncommitted_bytes_max = value;
    } else if (strcmp(name, "reads_max") == 0) {
        scenario->options.reads_max = value;
    } else {
        scenario_fail(scenario, "there is no option '%s'", name);
    }
    cluster_free(scenario->cluster);
    scenario->cluster = cluster_new(&scenario->options, 1, scenario->out);
}

static void run_nodes(struct scenario *scenario)
{
    for (uint64_t i = 0; i < scenario_number(scenario, 1); i++) {
        cluster_add_node(scenario->cluster);
    }
    cluster_flush(scenario->cluster);
}

static void
bootstrap(struct scenario *scenario, const raft_id *nodes, size_t count, struct raft_config *config)
{
    for (size_t i = 0; i < count; i++) {
        struct cluster_node *node = cluster_find(scenario->cluster, nodes[i]);
        scenario_show_status(scenario, cluster_bootstrap(scenario->cluster, node, config));
    }
}

static void add_voter(struct raft_config *config, const struct cluster_node *node)
{
    config->members[config->member_count++] = cluster_member(node, RAFT_VOTER_NEW);
}

static void run_bootstrap(struct scenario *scenario)
{
    raft_id nodes[CLUSTER_NODES_MAX];
    size_t count = 0;
    size_t at = 1;
    while (strcmp(scenario_word(scenario, at), "voters") != 0 &&
           strcmp(scenario_word(scenario, at), "config") != 0) {
        nodes[count++] = scenario_live_node(scenario, at++)->id;
    }
    struct raft_config config;
    memset(&config, 0, sizeof config);
    if (strcmp(scenario_word(scenario, at), "config") == 0) {
        scenario_understand(scenario, forge_config(scenario_word(scenario, at + 1), &config));
        at = scenario->word_count;
    }
    for (at++; at < scenario->word_count; at++) {
        add_voter(&config, scenario_node(scenario, at));
    }
    bootstrap(scenario, nodes, count, &config);
}

static void run_cluster(struct scenario *scenario)
{
    raft_id nodes[CLUSTER_NODES_MAX];
    size_t count = (size_t)scenario_number(scenario, 1);
    struct raft_config config;
    memset(&config, 0, sizeof config);
    scenario_be_silent(scenario);
    for (size_t i = 0; i < count; i++) {
        struct cluster_node *node = cluster_add_node(scenario->cluster);
        nodes[i] = node->id;
        add_voter(&config, node);
    }
    bootstrap(scenario, nodes, count, &config);
    cluster_stabilize(scenario->cluster);
    scenario_be_loud(scenario);
}

static void run_elect(struct scenario *scenario)
{
    scenario_be_silent(scenario);
    struct cluster_node *node = scenario_live_node(scenario, 1);
    scenario->cluster->now = node->next_deadline;
    cluster_tick(scenario->cluster, node);
    cluster_stabilize(scenario->cluster);
    scenario_be_loud(scenario);
    if (raft_status(node->raft).role != RAFT_LEADER) {
        scenario_fail(scenario, "node %s was not elected", scenario_word(scenario, 1));
    }
}

static void run_campaign(struct scenario *scenario)
{
    struct cluster_node *node = scenario_live_node(scenario, 1);
    if (node->next_deadline > scenario->cluster->now) {
        scenario->cluster->now = node->next_deadline;
    }
    cluster_tick(scenario->cluster, node);
    cluster_flush(scenario->cluster);
}

static void run_tick(struct scenario *scenario)
{
    cluster_tick(scenario->cluster, scenario_live_node(scenario, 1));
    cluster_flush(scenario->cluster);
}

static void run_advance(struct scenario *scenario)
{
    raft_time until = scenario->cluster->now + 1000 * scenario_number(scenario, 1);
    bool stabilize = strcmp(scenario->words[0], "run") == 0;
    scenario->cluster->hide_heartbeats = stabilize;
    cluster_advance(scenario->cluster, until, stabilize);
    scenario->cluster->hide_heartbeats = false;
}

static void run_stabilize(struct scenario *scenario)
{
    cluster_stabilize(scenario->cluster);
}

static void run_timeless(struct scenario *scenario)
{
    scenario->cluster->timeless = true;
    scenario->cluster->now = TIMELESS_NOW;
}

static void run_expire(struct scenario *scenario)
{
    struct cluster_node *node = scenario_live_node(scenario, 1);
    const char *name = scenario_word(scenario, 2);
    for (int timer = 0; timer < TIMELESS_TIMER_COUNT; timer++) {
        if (strcmp(timeless_timer_name((enum timeless_timer)timer), name) == 0) {
            if (!cluster_expire(scenario->cluster, node, (enum timeless_timer)timer)) {
                fputs("no such timer runs\n", scenario->out);
            }
            cluster_flush(scenario->cluster);
            return;
        }
    }
    scenario_fail(scenario, "there is no timer '%s'", name);
}

/* The next command that flushes finds it free. */
static void run_hold_flush(struct scenario *scenario)
{
    scenario_live_node(scenario, 1)->hold_flush = strcmp(scenario->words[0], "hold-flush") == 0;
}

static void run_flush(struct scenario *scenario)
{
    cluster_flush(scenario->cluster);
}

static void run_propose(struct scenario *scenario)
{
    struct cluster_node *node = scenario_live_node(scenario, 1);
    size_t count = (size_t)scenario_number_or(scenario, 2, 1);
    uint32_t bytes = (uint32_t)scenario_number_or(scenario, 3, 10);
    scenario_show_status(scenario, cluster_propose(scenario->cluster, node, count, bytes));
}

static void run_read(struct scenario *scenario)
{
    scenario_show_status(scenario,
                         cluster_read(scenario->cluster, scenario_live_node(scenario, 1)));
}

static void run_transfer(struct scenario *scenario)
{
    struct cluster_node *node = scenario_live_node(scenario, 1);
    enum status status =
        raft_transfer(node->raft, scenario->cluster->now, scenario_number(scenario, 2));
    cluster_touched(node);
    scenario_show_status(scenario, status);
}

static void run_peer_down(struct scenario *scenario)
{
    cluster_peer_down(scenario->cluster, scenario_live_node(scenario, 1),
                      scenario_number(scenario, 2));
    cluster_flush(scenario->cluster);
}

static void run_add_learner(struct scenario *scenario)
{
    struct cluster_node *node = scenario_live_node(scenario, 1);
    const struct cluster_node *learner =
        cluster_find(scenario->cluster, scenario_number(scenario, 2));
    struct raft_member member = {.id = scenario_number(scenario, 2)};
    if (learner != NULL) {
        member = cluster_member(learner, 0);
    }
    member.flags = scenario_has_word(scenario, "promote") ? RAFT_PROMOTE : 0;
    if (scenario_has_word(scenario, "elsewhere")) {
        member.address[0] = '?';
    } else if (scenario_has_word(scenario, "endless")) {
        memset(member.address, 'a', sizeof member.address);
    }
    raft_index index = 0;
    enum status status = raft_add_learner(node->raft, scenario->cluster->now, &member, &index);
    cluster_touched(node);
    scenario_show_status(scenario, status);
}

static void run_remove_learner(struct scenario *scenario)
{
    struct cluster_node *node = scenario_live_node(scenario, 1);
    raft_index index = 0;
    enum status status = raft_remove_learner(node->raft, scenario->cluster->now,
                                             scenario_number(scenario, 2), &index);
    cluster_touched(node);
    scenario_show_status(scenario, status);
}

static void run_change_voters(struct scenario *scenario)
{
    struct cluster_node *node = scenario_live_node(scenario, 1);
    raft_id voters[WORDS_MAX];
    size_t count = 0;
    while (2 + count < scenario->word_count && scenario->words[2 + count][0] <= '9') {
        voters[count] = scenario_number(scenario, 2 + count);
        count++;
    }
    raft_index index = 0;
    enum status status = raft_change_voters(node->raft, scenario->cluster->now, voters, count,
                                            scenario_has_word(scenario, "keep"),
                                            scenario_has_word(scenario, "force"), &index);
    cluster_touched(node);
    scenario_show_status(scenario, status);
}

static void run_cancel_change(struct scenario *scenario)
{
    struct cluster_node *node = scenario_live_node(scenario, 1);
    raft_index index = 0;
    enum status status = raft_cancel_change(node->raft, scenario->cluster->now, &index);
    cluster_touched(node);
    scenario_show_status(scenario, status);
}

const struct scenario_command scenario_commands_nodes[] = {
    {"option", run_option},
    {"nodes", run_nodes},
    {"bootstrap", run_bootstrap},
    {"cluster", run_cluster},
    {"elect", run_elect},
    {"campaign", run_campaign},
    {"tick", run_tick},
    {"advance", run_advance},
    {"run", run_advance},
    {"stabilize", run_stabilize},
    {"propose", run_propose},
    {"read", run_read},
    {"transfer", run_transfer},
    {"peer-down", run_peer_down},
    {"add-learner", run_add_learner},
    {"remove-learner", run_remove_learner},
    {"change-voters", run_change_voters},
    {"cancel-change", run_cancel_change},
    {"timeless", run_timeless},
    {"expire", run_expire},
    {"hold-flush", run_hold_flush},
    {"free-flush", run_hold_flush},
    {"flush", run_flush},
    {NULL, NULL},
};

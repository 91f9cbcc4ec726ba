/* Commands about the network, and about messages and configurations that no core made. */
#include "tests/scenario/forge.h"
#include "tests/scenario/scenario.h"

#include <inttypes.h>
#include <string.h>

struct filter {
    raft_id from;
    raft_id to;
    const char *type;
    bool first;
    uint64_t nth; /* 0: all */
};

static struct filter filter_of(const struct scenario *scenario)
{
    struct filter filter = {.from = scenario_number_after(scenario, "from"),
                            .to = scenario_number_after(scenario, "to"),
                            .first = scenario_has_word(scenario, "first"),
                            .nth = scenario_number_after(scenario, "nth")};
    for (size_t i = 1; i + 1 < scenario->word_count; i++) {
        if (strcmp(scenario->words[i], "type") == 0) {
            filter.type = scenario->words[i + 1];
        }
    }
    return filter;
}

static bool matches(const struct filter *filter, const struct raft_message *message)
{
    return (filter->from == 0 || filter->from == message->from) &&
           (filter->to == 0 || filter->to == message->to) &&
           (filter->type == NULL || strcmp(filter->type, raft_message_name(message->type)) == 0);
}

static void act_on(struct scenario *scenario, const char *verb, size_t *position)
{
    struct cluster *cluster = scenario->cluster;
    struct cluster_flight *flight = &cluster->flights[*position];
    if (strcmp(verb, "deliver") == 0) {
        cluster_deliver(cluster, *position);
    } else if (strcmp(verb, "drop") == 0) {
        cluster_drop(cluster, *position);
    } else {
        if (strcmp(verb, "duplicate") == 0) {
            cluster_duplicate(cluster, *position);
        } else {
            flight->held = strcmp(verb, "hold") == 0;
        }
        (*position)++;
    }
}

static void run_on_messages(struct scenario *scenario)
{
    struct cluster *cluster = scenario->cluster;
    const char *verb = scenario->words[0];
    struct filter filter = filter_of(scenario);
    bool released = strcmp(verb, "release") == 0;
    uint64_t newest = cluster->flight_number;
    size_t count = 0;
    uint64_t skipped = 0;
    for (size_t i = 0; i < cluster->flight_count;) {
        const struct cluster_flight *flight = &cluster->flights[i];
        bool wanted = flight->number <= newest && flight->held == released &&
                      matches(&filter, &flight->message);
        if (!wanted || (filter.nth > 0 && ++skipped < filter.nth)) {
            i++;
            continue;
        }
        count++;
        act_on(scenario, verb, &i);
        if (filter.first || filter.nth > 0) {
            break;
        }
    }
    if (count == 0) {
        fputs("no such message\n", scenario->out);
    }
    cluster_flush(cluster);
}

static void set_cut(struct scenario *scenario, raft_id from, raft_id to, bool cut)
{
    scenario->cluster->cut[from][to] = cut;
    for (size_t i = 0; cut && i < scenario->cluster->flight_count;) {
        const struct raft_message *message = &scenario->cluster->flights[i].message;
        if (message->from == from && message->to == to && !scenario->cluster->flights[i].held) {
            cluster_drop(scenario->cluster, i);
        } else {
            i++;
        }
    }
}

static void run_cut(struct scenario *scenario)
{
    bool cut = strcmp(scenario->words[0], "join") != 0;
    raft_id from = scenario_node(scenario, 1)->id;
    raft_id to = scenario_node(scenario, 2)->id;
    set_cut(scenario, from, to, cut);
    if (strcmp(scenario->words[0], "cut-one") != 0) {
        set_cut(scenario, to, from, cut);
    }
}

static void run_isolate(struct scenario *scenario)
{
    raft_id id = scenario_node(scenario, 1)->id;
    for (raft_id other = 1; other <= scenario->cluster->node_count; other++) {
        set_cut(scenario, id, other, true);
        set_cut(scenario, other, id, true);
    }
}

static void run_heal(struct scenario *scenario)
{
    memset(scenario->cluster->cut, 0, sizeof scenario->cluster->cut);
}

static enum raft_message_type type_named(const struct scenario *scenario, const char *name)
{
    for (int type = RAFT_PREVOTE; type <= RAFT_READ_INDEX_RESPONSE; type++) {
        if (strcmp(raft_message_name((enum raft_message_type)type), name) == 0) {
            return (enum raft_message_type)type;
        }
    }
    scenario_fail(scenario, "there is no message type '%s'", name);
}

static void run_inject(struct scenario *scenario)
{
    struct cluster *cluster = scenario->cluster;
    struct cluster_flight *flight = &cluster->flights[cluster->flight_count++];
    memset(flight, 0, sizeof *flight);
    flight->number = ++cluster->flight_number;
    struct raft_message *message = &flight->message;
    message->from = scenario_number(scenario, 1);
    message->to = scenario_number(scenario, 2);
    message->type = type_named(scenario, scenario_word(scenario, 3));
    message->term = scenario_number(scenario, 4);
    uint64_t first = scenario_number_or(scenario, 5, 0);
    uint64_t second = scenario_number_or(scenario, 6, 0);
    switch (message->type) {
    case RAFT_PREVOTE:
    case RAFT_VOTE:
        message->vote.last_index = first;
        message->vote.last_term = second;
        break;
    case RAFT_APPEND_RESPONSE:
        message->append_response.ok = true;
        message->append_response.index = first;
        message->append_response.read_round = second;
        break;
    case RAFT_HEARTBEAT:
        message->heartbeat.commit = first;
        break;
    case RAFT_HEARTBEAT_RESPONSE:
        message->heartbeat_response.read_round = first;
        break;
    case RAFT_TIMEOUT_NOW:
        message->timeout_now.last_index = first;
        message->timeout_now.last_term = second;
        break;
    case RAFT_APPEND:
        message->append.previous_index = first;
        message->append.previous_term = second;
        message->append.commit = scenario_number_or(scenario, 7, 0);
        break;
    case RAFT_PREVOTE_RESPONSE:
    case RAFT_VOTE_RESPONSE:
    case RAFT_TIMEOUT_NOW_RESPONSE:
    case RAFT_READ_INDEX:
    case RAFT_READ_INDEX_RESPONSE:
        break;
    }
}

static void run_misdeliver(struct scenario *scenario)
{
    struct cluster *cluster = scenario->cluster;
    raft_id to = scenario_number(scenario, 1);
    struct cluster_node *node = scenario_live_node(scenario, 2);
    for (size_t i = 0; i < cluster->flight_count; i++) {
        if (cluster->flights[i].message.to == to) {
            struct raft_message message = cluster->flights[i].message;
            struct raft_range stored;
            raft_receive(node->raft, cluster->now, &message, &stored);
            if (stored.first <= stored.last) {
                scenario_fail(scenario, "%s stored what is not for it", scenario_word(scenario, 2));
            }
            cluster_touched(node);
            cluster_drop(cluster, i);
            cluster_flush(cluster);
            return;
        }
    }
    fputs("no such message\n", scenario->out);
}

static void run_judge(struct scenario *scenario)
{
    struct forge_message forged;
    scenario_understand(scenario,
                        forge_message(scenario->words + 1, scenario->word_count - 1, &forged));
    bool legal =
        raft_message_validate(&forged.message, scenario->options.entry_bytes_max) == STATUS_OK;
    fputs(legal ? "legal\n" : "illegal\n", scenario->out);
}

static void run_judge_config(struct scenario *scenario)
{
    struct raft_config config;
    scenario_understand(scenario, forge_config(scenario_word(scenario, 1), &config));
    if (raft_config_validate(&config) != STATUS_OK) {
        fputs("illegal\n", scenario->out);
        return;
    }
    fprintf(scenario->out, "legal, tolerates %" PRIu32 "\n",
            raft_config_tolerated_failures(&config));
}

const struct scenario_command scenario_commands_network[] = {
    {"deliver", run_on_messages},
    {"drop", run_on_messages},
    {"duplicate", run_on_messages},
    {"hold", run_on_messages},
    {"release", run_on_messages},
    {"cut", run_cut},
    {"cut-one", run_cut},
    {"join", run_cut},
    {"isolate", run_isolate},
    {"heal", run_heal},
    {"inject", run_inject},
    {"misdeliver", run_misdeliver},
    {"judge", run_judge},
    {"judge-config", run_judge_config},
    {NULL, NULL},
};

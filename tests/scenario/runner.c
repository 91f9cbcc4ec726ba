/* Runs a scenario: a text file of commands, each followed by the trace it is expected to produce.
 *
 *     runner FILE            compare, byte for byte; print the first difference
 *     runner --rewrite FILE  write what happened into the file; read the change critically
 *     runner --marks OUT FILE  compare, and write into OUT which marks (base/mark.h) were passed
 *
 * Lines beginning with "> " are commands, with "#" comments; both and blank lines are kept. All
 * other lines are the trace. Commands, N a node's number:
 *
 *     option NAME VALUE             of all cores, before nodes
 *     nodes COUNT                   add nodes that wait without a cluster
 *     bootstrap N... voters ID... | config FAULT    give these nodes the first configuration
 *     cluster COUNT                 nodes, bootstrap all, and make it durable
 *     elect N                       campaign N and stabilize, untold
 *     campaign N                    move the time to N's election deadline and tick N
 *     tick N                        now
 *     advance MS                    tick at deadlines; nothing is delivered or written meanwhile
 *     run MS                        the same, but stabilize after each tick; heartbeats are untold
 *     stabilize                     deliver and write until nothing moves
 *     propose N [COUNT [BYTES]]     read N        transfer N TARGET      campaign-now N
 *     deliver|drop|duplicate|hold|release [from N] [to N] [type NAME] [first | nth COUNT]
 *     misdeliver TO AT              the first message for TO arrives at AT
 *     persist N [COUNT]             finish N's oldest pending writes (all)
 *     persist-again N               report what is durable once more
 *     hold-writes N | free-writes N stabilize leaves or takes them
 *     crash N | restart N | wipe N
 *     restart N with ...            from a damaged record, see forge_boot; is refused
 *     damage N INDEX term T|type NUMBER|config FAULT|no-config    an entry on N's disk
 *     reincarnate N                 only the incarnation changes; N restarts
 *     cut A B | join A B            both directions; cut-one A B only from A to B
 *     isolate N | heal              from and to everybody
 *     peer-down N PEER
 *     add-learner N LEARNER [promote] [elsewhere|endless] [expect INDEX]
 *     remove-learner N LEARNER
 *     change-voters N ID... [keep] [force] [expect INDEX]
 *     cancel-change N [expect INDEX]
 *     checkpoint N [INDEX] | trim N INDEX|checkpoint
 *     install N INDEX TERM SENDER_TERM CONFIG_INDEX CONFIG_FAULT    is refused
 *     dump FROM TO | dump-sent N PEER INDEX | dump-failed N PEER | installing N on|off
 *     lose-tail N COUNT             the last COUNT entries vanish from N's disk
 *     entries N TERM...             fabricate a log on N's disk (before anything else; N restarts)
 *     hard-state N TERM VOTE        fabricate that too
 *     inject FROM TO TYPE TERM [NUMBER...]   a message out of nowhere, into the network
 *     timeless                      before nodes: time stands still, see timeless.h
 *     expire N TIMER                then: let a timer run out: election, campaign, heartbeat, ...
 *     hold-flush N | free-flush N   N takes inputs without a flush, or with one again
 *     flush                         everybody who had an input and is not held
 *     judge TYPE TERM ...           whether such a message is legal, see forge_message
 *     judge-config FAULT            the same of a configuration
 *     quietly COMMAND...            without a trace
 *     repeat COUNT COMMAND...
 *     status | peers N | log N | network | converged */
#include "base/mark.h"
#include "tests/scenario/cluster.h"
#include "tests/scenario/forge.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 64, LINE_MAX_BYTES = 512 };

struct scenario {
    struct raft_options options;
    struct cluster *cluster;
    FILE *out;
    char *words[WORDS_MAX];
    size_t word_count;
    size_t line;
};

__attribute__((format(printf, 2, 3))) _Noreturn static void
bad_command(const struct scenario *scenario, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "line %zu: ", scenario->line);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

/* --- Words --- */

static const char *word(const struct scenario *scenario, size_t at)
{
    if (at >= scenario->word_count) {
        bad_command(scenario, "'%s' needs more words", scenario->words[0]);
    }
    return scenario->words[at];
}

static uint64_t number(const struct scenario *scenario, size_t at)
{
    const char *text = word(scenario, at);
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (end == text || *end != '\0') {
        bad_command(scenario, "'%s' is no number", text);
    }
    return value;
}

static uint64_t number_or(const struct scenario *scenario, size_t at, uint64_t otherwise)
{
    return at < scenario->word_count ? number(scenario, at) : otherwise;
}

static struct cluster_node *node_at(const struct scenario *scenario, size_t at)
{
    struct cluster_node *node = cluster_find(scenario->cluster, number(scenario, at));
    if (node == NULL) {
        bad_command(scenario, "there is no node %s", word(scenario, at));
    }
    return node;
}

static struct cluster_node *live_node(const struct scenario *scenario, size_t at)
{
    struct cluster_node *node = node_at(scenario, at);
    if (!node->alive) {
        bad_command(scenario, "node %s is down", word(scenario, at));
    }
    return node;
}

/* The number after the word `name`; 0 if the word is absent. */
static uint64_t number_after(const struct scenario *scenario, const char *name)
{
    for (size_t i = 1; i < scenario->word_count; i++) {
        if (strcmp(scenario->words[i], name) == 0) {
            return number(scenario, i + 1);
        }
    }
    return 0;
}

static bool has_word(const struct scenario *scenario, const char *name)
{
    for (size_t i = 1; i < scenario->word_count; i++) {
        if (strcmp(scenario->words[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void understand(const struct scenario *scenario, const char *unknown)
{
    if (unknown != NULL) {
        bad_command(scenario, "'%s' is not understood", unknown);
    }
}

static void show_status(struct scenario *scenario, enum status status)
{
    cluster_flush(scenario->cluster);
    if (status != STATUS_OK && scenario->cluster->trace != NULL) {
        fprintf(scenario->out, "refused: %s\n", status_text(status));
    }
}

/* --- Commands about nodes --- */

static void run_option(struct scenario *scenario)
{
    const char *name = word(scenario, 1);
    uint32_t value = (uint32_t)number(scenario, 2);
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
        bad_command(scenario, "there is no option '%s'", name);
    }
    cluster_free(scenario->cluster);
    scenario->cluster = cluster_new(&scenario->options, 1, scenario->out);
}

static void run_nodes(struct scenario *scenario)
{
    for (uint64_t i = 0; i < number(scenario, 1); i++) {
        cluster_add_node(scenario->cluster);
    }
    cluster_flush(scenario->cluster);
}

static void
bootstrap(struct scenario *scenario, const raft_id *nodes, size_t count, struct raft_config *config)
{
    for (size_t i = 0; i < count; i++) {
        struct cluster_node *node = cluster_find(scenario->cluster, nodes[i]);
        show_status(scenario, cluster_bootstrap(scenario->cluster, node, config));
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
    while (strcmp(word(scenario, at), "voters") != 0 && strcmp(word(scenario, at), "config") != 0) {
        nodes[count++] = live_node(scenario, at++)->id;
    }
    struct raft_config config;
    memset(&config, 0, sizeof config);
    if (strcmp(word(scenario, at), "config") == 0) {
        understand(scenario, forge_config(word(scenario, at + 1), &config));
        at = scenario->word_count;
    }
    for (at++; at < scenario->word_count; at++) {
        add_voter(&config, node_at(scenario, at));
    }
    bootstrap(scenario, nodes, count, &config);
}

static void be_silent(struct scenario *scenario)
{
    scenario->cluster->trace = NULL;
}

static void be_loud(struct scenario *scenario)
{
    scenario->cluster->trace = scenario->out;
    for (size_t i = 0; i < scenario->cluster->node_count; i++) {
        struct cluster_node *node = &scenario->cluster->nodes[i];
        node->shown = raft_status(node->raft);
    }
}

static void run_cluster(struct scenario *scenario)
{
    raft_id nodes[CLUSTER_NODES_MAX];
    size_t count = (size_t)number(scenario, 1);
    struct raft_config config;
    memset(&config, 0, sizeof config);
    be_silent(scenario);
    for (size_t i = 0; i < count; i++) {
        struct cluster_node *node = cluster_add_node(scenario->cluster);
        nodes[i] = node->id;
        add_voter(&config, node);
    }
    bootstrap(scenario, nodes, count, &config);
    cluster_stabilize(scenario->cluster);
    be_loud(scenario);
}

static void run_elect(struct scenario *scenario)
{
    be_silent(scenario);
    struct cluster_node *node = live_node(scenario, 1);
    scenario->cluster->now = node->next_deadline;
    cluster_tick(scenario->cluster, node);
    cluster_stabilize(scenario->cluster);
    be_loud(scenario);
    if (raft_status(node->raft).role != RAFT_LEADER) {
        bad_command(scenario, "node %s was not elected", word(scenario, 1));
    }
}

static void run_campaign(struct scenario *scenario)
{
    struct cluster_node *node = live_node(scenario, 1);
    if (node->next_deadline > scenario->cluster->now) {
        scenario->cluster->now = node->next_deadline;
    }
    cluster_tick(scenario->cluster, node);
    cluster_flush(scenario->cluster);
}

static void run_tick(struct scenario *scenario)
{
    cluster_tick(scenario->cluster, live_node(scenario, 1));
    cluster_flush(scenario->cluster);
}

static void run_advance(struct scenario *scenario)
{
    raft_time until = scenario->cluster->now + 1000 * number(scenario, 1);
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
    struct cluster_node *node = live_node(scenario, 1);
    const char *name = word(scenario, 2);
    for (int timer = 0; timer < TIMELESS_TIMER_COUNT; timer++) {
        if (strcmp(timeless_timer_name((enum timeless_timer)timer), name) == 0) {
            if (!cluster_expire(scenario->cluster, node, (enum timeless_timer)timer)) {
                fputs("no such timer runs\n", scenario->out);
            }
            cluster_flush(scenario->cluster);
            return;
        }
    }
    bad_command(scenario, "there is no timer '%s'", name);
}

/* The next command that flushes finds it free. */
static void run_hold_flush(struct scenario *scenario)
{
    live_node(scenario, 1)->hold_flush = strcmp(scenario->words[0], "hold-flush") == 0;
}

static void run_flush(struct scenario *scenario)
{
    cluster_flush(scenario->cluster);
}

static void run_propose(struct scenario *scenario)
{
    struct cluster_node *node = live_node(scenario, 1);
    size_t count = (size_t)number_or(scenario, 2, 1);
    uint32_t bytes = (uint32_t)number_or(scenario, 3, 10);
    show_status(scenario, cluster_propose(scenario->cluster, node, count, bytes));
}

static void run_read(struct scenario *scenario)
{
    show_status(scenario, cluster_read(scenario->cluster, live_node(scenario, 1)));
}

static void run_transfer(struct scenario *scenario)
{
    struct cluster_node *node = live_node(scenario, 1);
    enum status status = raft_transfer(node->raft, scenario->cluster->now, number(scenario, 2));
    cluster_touched(node);
    show_status(scenario, status);
}

static void run_peer_down(struct scenario *scenario)
{
    cluster_peer_down(scenario->cluster, live_node(scenario, 1), number(scenario, 2));
    cluster_flush(scenario->cluster);
}

/* --- Commands about the network --- */

struct filter {
    raft_id from;
    raft_id to;
    const char *type;
    bool first;
    uint64_t nth; /* 0: all */
};

static struct filter filter_of(const struct scenario *scenario)
{
    struct filter filter = {.from = number_after(scenario, "from"),
                            .to = number_after(scenario, "to"),
                            .first = has_word(scenario, "first"),
                            .nth = number_after(scenario, "nth")};
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
    raft_id from = node_at(scenario, 1)->id;
    raft_id to = node_at(scenario, 2)->id;
    set_cut(scenario, from, to, cut);
    if (strcmp(scenario->words[0], "cut-one") != 0) {
        set_cut(scenario, to, from, cut);
    }
}

static void run_isolate(struct scenario *scenario)
{
    raft_id id = node_at(scenario, 1)->id;
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
    bad_command(scenario, "there is no message type '%s'", name);
}

static void run_inject(struct scenario *scenario)
{
    struct cluster *cluster = scenario->cluster;
    struct cluster_flight *flight = &cluster->flights[cluster->flight_count++];
    memset(flight, 0, sizeof *flight);
    flight->number = ++cluster->flight_number;
    struct raft_message *message = &flight->message;
    message->from = number(scenario, 1);
    message->to = number(scenario, 2);
    message->type = type_named(scenario, word(scenario, 3));
    message->term = number(scenario, 4);
    uint64_t first = number_or(scenario, 5, 0);
    uint64_t second = number_or(scenario, 6, 0);
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
        message->append.commit = number_or(scenario, 7, 0);
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
    raft_id to = number(scenario, 1);
    struct cluster_node *node = live_node(scenario, 2);
    for (size_t i = 0; i < cluster->flight_count; i++) {
        if (cluster->flights[i].message.to == to) {
            struct raft_message message = cluster->flights[i].message;
            struct raft_range stored;
            raft_receive(node->raft, cluster->now, &message, &stored);
            if (stored.first <= stored.last) {
                bad_command(scenario, "%s stored what is not for it", word(scenario, 2));
            }
            cluster_touched(node);
            cluster_drop(cluster, i);
            cluster_flush(cluster);
            return;
        }
    }
    fputs("no such message\n", scenario->out);
}

/* --- Commands about disks --- */

static void run_persist(struct scenario *scenario)
{
    struct cluster_node *node = live_node(scenario, 1);
    size_t count = (size_t)number_or(scenario, 2, node->write_count);
    for (size_t i = 0; i < count && node->write_count > 0; i++) {
        cluster_persist(scenario->cluster, node);
    }
    cluster_flush(scenario->cluster);
}

static void run_persist_again(struct scenario *scenario)
{
    struct cluster_node *node = live_node(scenario, 1);
    raft_persisted(node->raft, scenario->cluster->now, 0);
    cluster_touched(node);
    cluster_flush(scenario->cluster);
}

static void run_hold_writes(struct scenario *scenario)
{
    node_at(scenario, 1)->hold_writes = strcmp(scenario->words[0], "hold-writes") == 0;
}

static void run_crash(struct scenario *scenario)
{
    cluster_crash(scenario->cluster, live_node(scenario, 1));
}

static void run_restart(struct scenario *scenario)
{
    struct cluster_node *node = node_at(scenario, 1);
    if (scenario->word_count > 2) {
        struct raft_boot from = cluster_boot_record(node);
        understand(scenario, forge_boot(scenario->words + 3, scenario->word_count - 3, &from));
        show_status(scenario, cluster_restart_from(scenario->cluster, node, &from));
        return;
    }
    show_status(scenario, cluster_restart(scenario->cluster, node));
}

static void run_damage(struct scenario *scenario)
{
    struct cluster_entry *entry = &node_at(scenario, 1)->disk->entries[number(scenario, 2)];
    const char *what = word(scenario, 3);
    if (strcmp(what, "term") == 0) {
        entry->entry.term = number(scenario, 4);
    } else if (strcmp(what, "type") == 0) {
        entry->entry.type = (enum raft_entry_type)number(scenario, 4);
    } else if (strcmp(what, "no-config") == 0) {
        entry->config = NULL;
    } else {
        /* Not in place: the nodes share it. */
        static struct raft_config damaged;
        understand(scenario, forge_config(word(scenario, 4), &damaged));
        entry->config = &damaged;
    }
}

static void run_install(struct scenario *scenario)
{
    struct cluster_node *node = live_node(scenario, 1);
    struct raft_config config;
    understand(scenario, forge_config(word(scenario, 6), &config));
    enum status status =
        raft_install(node->raft, scenario->cluster->now, number(scenario, 2), number(scenario, 3),
                     number(scenario, 4), number(scenario, 5), &config);
    if (status == STATUS_OK) {
        bad_command(scenario, "it installs");
    }
    cluster_touched(node);
    show_status(scenario, status);
}

static void run_judge(struct scenario *scenario)
{
    struct forge_message forged;
    understand(scenario, forge_message(scenario->words + 1, scenario->word_count - 1, &forged));
    bool legal =
        raft_message_validate(&forged.message, scenario->options.entry_bytes_max) == STATUS_OK;
    fputs(legal ? "legal\n" : "illegal\n", scenario->out);
}

static void run_judge_config(struct scenario *scenario)
{
    struct raft_config config;
    understand(scenario, forge_config(word(scenario, 1), &config));
    if (raft_config_validate(&config) != STATUS_OK) {
        fputs("illegal\n", scenario->out);
        return;
    }
    fprintf(scenario->out, "legal, tolerates %" PRIu32 "\n",
            raft_config_tolerated_failures(&config));
}

static void run_wipe(struct scenario *scenario)
{
    cluster_wipe(scenario->cluster, node_at(scenario, 1));
}

static void run_reincarnate(struct scenario *scenario)
{
    struct cluster_node *node = node_at(scenario, 1);
    cluster_crash(scenario->cluster, node);
    node->incarnation++;
    show_status(scenario, cluster_restart(scenario->cluster, node));
}

static void run_checkpoint(struct scenario *scenario)
{
    struct cluster_node *node = live_node(scenario, 1);
    cluster_checkpoint_until(scenario->cluster, node, number_or(scenario, 2, node->applied));
}

static void run_trim(struct scenario *scenario)
{
    struct cluster_node *node = live_node(scenario, 1);
    bool whole = strcmp(word(scenario, 2), "checkpoint") == 0;
    cluster_trim(scenario->cluster, node, whole ? node->disk->checkpoint : number(scenario, 2));
    cluster_flush(scenario->cluster);
}

static void run_dump(struct scenario *scenario)
{
    struct cluster_node *from = live_node(scenario, 1);
    show_status(scenario, cluster_dump(scenario->cluster, from, live_node(scenario, 2)));
}

static void run_dump_sent(struct scenario *scenario)
{
    struct cluster_node *node = live_node(scenario, 1);
    raft_time now = scenario->cluster->now;
    if (strcmp(scenario->words[0], "dump-sent") == 0) {
        raft_dump_sent(node->raft, now, number(scenario, 2), number(scenario, 3));
    } else {
        raft_dump_failed(node->raft, now, number(scenario, 2));
    }
    cluster_touched(node);
    cluster_flush(scenario->cluster);
}

static void run_installing(struct scenario *scenario)
{
    raft_set_installing(live_node(scenario, 1)->raft, strcmp(word(scenario, 2), "on") == 0);
}

static void run_lose_tail(struct scenario *scenario)
{
    node_at(scenario, 1)->disk->last -= number(scenario, 2);
}

static void run_entries(struct scenario *scenario)
{
    struct cluster_node *node = node_at(scenario, 1);
    struct cluster_disk *disk = node->disk;
    for (size_t i = 2; i < scenario->word_count; i++) {
        struct cluster_entry *entry = &disk->entries[++disk->last];
        raft_term term = number(scenario, i);
        entry->entry = (struct raft_entry){.term = term, .bytes = 10, .type = RAFT_ENTRY_COMMAND};
        /* By log matching, the position determines the payload. */
        entry->tag = term * 1000000 + disk->last;
        disk->term = term > disk->term ? term : disk->term;
    }
    if (node->alive) {
        cluster_crash(scenario->cluster, node);
    }
    show_status(scenario, cluster_restart(scenario->cluster, node));
}

static void run_hard_state(struct scenario *scenario)
{
    struct cluster_node *node = node_at(scenario, 1);
    node->disk->term = number(scenario, 2);
    node->disk->vote = number(scenario, 3);
    if (node->alive) {
        cluster_crash(scenario->cluster, node);
    }
    show_status(scenario, cluster_restart(scenario->cluster, node));
}

/* --- Commands about members --- */

static void run_add_learner(struct scenario *scenario)
{
    struct cluster_node *node = live_node(scenario, 1);
    const struct cluster_node *learner = cluster_find(scenario->cluster, number(scenario, 2));
    struct raft_member member = {.id = number(scenario, 2)};
    if (learner != NULL) {
        member = cluster_member(learner, 0);
    }
    member.flags = has_word(scenario, "promote") ? RAFT_PROMOTE : 0;
    if (has_word(scenario, "elsewhere")) {
        member.address[0] = '?';
    } else if (has_word(scenario, "endless")) {
        memset(member.address, 'a', sizeof member.address);
    }
    raft_index index = 0;
    enum status status = raft_add_learner(node->raft, scenario->cluster->now, &member,
                                          number_after(scenario, "expect"), &index);
    cluster_touched(node);
    show_status(scenario, status);
}

static void run_remove_learner(struct scenario *scenario)
{
    struct cluster_node *node = live_node(scenario, 1);
    raft_index index = 0;
    enum status status =
        raft_remove_learner(node->raft, scenario->cluster->now, number(scenario, 2),
                            number_after(scenario, "expect"), &index);
    cluster_touched(node);
    show_status(scenario, status);
}

static void run_change_voters(struct scenario *scenario)
{
    struct cluster_node *node = live_node(scenario, 1);
    raft_id voters[WORDS_MAX];
    size_t count = 0;
    while (2 + count < scenario->word_count && scenario->words[2 + count][0] <= '9') {
        voters[count] = number(scenario, 2 + count);
        count++;
    }
    raft_index index = 0;
    enum status status = raft_change_voters(node->raft, scenario->cluster->now, voters, count,
                                            has_word(scenario, "keep"), has_word(scenario, "force"),
                                            number_after(scenario, "expect"), &index);
    cluster_touched(node);
    show_status(scenario, status);
}

static void run_cancel_change(struct scenario *scenario)
{
    struct cluster_node *node = live_node(scenario, 1);
    raft_index index = 0;
    enum status status = raft_cancel_change(node->raft, scenario->cluster->now,
                                            number_after(scenario, "expect"), &index);
    cluster_touched(node);
    show_status(scenario, status);
}

/* --- Commands that only look --- */

static void run_status(struct scenario *scenario)
{
    for (size_t i = 0; i < scenario->cluster->node_count; i++) {
        const struct cluster_node *node = &scenario->cluster->nodes[i];
        if (!node->alive) {
            fprintf(scenario->out, "%" PRIu64 ": down\n", node->id);
            continue;
        }
        struct raft_status status = raft_status(node->raft);
        fprintf(scenario->out,
                "%" PRIu64 ": %s term=%" PRIu64 " vote=%" PRIu64 " leader=%" PRIu64 " log=%" PRIu64
                "..%" PRIu64 "/%" PRIu64 " durable=%" PRIu64 " commit=%" PRIu64 " applied=%" PRIu64
                " config=%" PRIu64 "%s%s\n",
                node->id, raft_role_name(status.role), status.term, status.vote, status.leader,
                status.log_base, status.last_index, status.last_term, status.durable_index,
                status.commit_index, node->applied, status.config_index,
                status.config_committed ? "" : " uncommitted",
                status.transfer_target != 0 ? " transferring" : "");
    }
}

static void run_peers(struct scenario *scenario)
{
    static const char *const states[] = {[RAFT_PROGRESS_PROBE] = "probe",
                                         [RAFT_PROGRESS_REPLICATE] = "replicate",
                                         [RAFT_PROGRESS_SNAPSHOT] = "snapshot"};
    struct cluster_node *node = live_node(scenario, 1);
    for (raft_id id = 1; id <= scenario->cluster->node_count; id++) {
        struct raft_peer_status peer;
        if (raft_peer_status(node->raft, id, &peer) == STATUS_OK) {
            fprintf(scenario->out,
                    "%" PRIu64 ": %s match=%" PRIu64 " next=%" PRIu64 " inflight=%" PRIu32
                    "/%" PRIu64 "%s%s%s\n",
                    id, states[peer.state], peer.match, peer.next, peer.inflight_count,
                    peer.inflight_bytes, peer.active ? "" : " silent",
                    peer.caught_up ? " caught-up" : "", peer.dump_wanted ? " dump-wanted" : "");
        }
    }
}

static void run_log(struct scenario *scenario)
{
    static const char *const kinds[] = {
        [RAFT_ENTRY_COMMAND] = "", [RAFT_ENTRY_NOOP] = " noop", [RAFT_ENTRY_CONFIG] = " config"};
    const struct cluster_node *node = live_node(scenario, 1);
    struct raft_status status = raft_status(node->raft);
    fprintf(scenario->out, "base %" PRIu64 "/%" PRIu64, status.log_base,
            raft_term_at(node->raft, status.log_base));
    for (raft_index i = status.log_base + 1; i <= status.last_index; i++) {
        struct raft_entry entry = raft_entry_at(node->raft, i);
        fprintf(scenario->out, ", %" PRIu64 "/%" PRIu64 "%s", i, entry.term, kinds[entry.type]);
    }
    fputc('\n', scenario->out);
}

static void run_network(struct scenario *scenario)
{
    for (size_t i = 0; i < scenario->cluster->flight_count; i++) {
        fputs(scenario->cluster->flights[i].held ? "held: " : "", scenario->out);
        struct raft_message message = scenario->cluster->flights[i].message;
        struct raft_entry entries[RAFT_MESSAGE_ENTRIES_MAX];
        for (uint32_t k = 0; message.type == RAFT_APPEND && k < message.append.entry_count; k++) {
            entries[k] = scenario->cluster->flights[i].entries[k].entry;
            message.append.entries = entries;
        }
        cluster_print_message(scenario->out, &message);
    }
}

static void run_converged(struct scenario *scenario)
{
    cluster_check_converged(scenario->cluster);
}

static const struct {
    const char *name;
    void (*run)(struct scenario *scenario);
} commands[] = {
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
    {"persist-again", run_persist_again},
    {"damage", run_damage},
    {"install", run_install},
    {"judge", run_judge},
    {"judge-config", run_judge_config},
    {"persist", run_persist},
    {"hold-writes", run_hold_writes},
    {"free-writes", run_hold_writes},
    {"crash", run_crash},
    {"restart", run_restart},
    {"wipe", run_wipe},
    {"reincarnate", run_reincarnate},
    {"checkpoint", run_checkpoint},
    {"trim", run_trim},
    {"dump", run_dump},
    {"dump-sent", run_dump_sent},
    {"dump-failed", run_dump_sent},
    {"installing", run_installing},
    {"lose-tail", run_lose_tail},
    {"entries", run_entries},
    {"hard-state", run_hard_state},
    {"add-learner", run_add_learner},
    {"remove-learner", run_remove_learner},
    {"change-voters", run_change_voters},
    {"cancel-change", run_cancel_change},
    {"timeless", run_timeless},
    {"expire", run_expire},
    {"hold-flush", run_hold_flush},
    {"free-flush", run_hold_flush},
    {"flush", run_flush},
    {"status", run_status},
    {"peers", run_peers},
    {"log", run_log},
    {"network", run_network},
    {"converged", run_converged},
};

static void run_command(struct scenario *scenario, const char *line)
{
    if (strncmp(line, "repeat ", 7) == 0) {
        char *rest;
        uint64_t count = strtoull(line + 7, &rest, 10);
        for (uint64_t i = 0; i < count; i++) {
            run_command(scenario, rest + 1);
        }
        return;
    }
    if (strncmp(line, "quietly ", 8) == 0) {
        be_silent(scenario);
        run_command(scenario, line + 8);
        be_loud(scenario);
        return;
    }
    char copy[LINE_MAX_BYTES];
    snprintf(copy, sizeof copy, "%s", line);
    scenario->word_count = 0;
    char *rest = NULL;
    for (char *at = strtok_r(copy, " ", &rest); at != NULL; at = strtok_r(NULL, " ", &rest)) {
        if (scenario->word_count < WORDS_MAX) {
            scenario->words[scenario->word_count++] = at;
        }
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (scenario->word_count > 0 && strcmp(commands[i].name, scenario->words[0]) == 0) {
            commands[i].run(scenario);
            return;
        }
    }
    bad_command(scenario, "unknown command '%s'", line);
}

/* --- The file --- */

static char *read_whole(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    for (int c = fgetc(file); c != EOF; c = fgetc(file)) {
        fputc(c, memory);
    }
    fclose(memory);
    fclose(file);
    return text;
}

static char *replay(const char *text)
{
    char *result = NULL;
    size_t size = 0;
    struct scenario scenario = {.options = raft_options_default(1)};
    scenario.options.log_entries_max = 512;
    scenario.options.message_entries_max = 64;
    scenario.options.reads_max = 16;
    scenario.out = open_memstream(&result, &size);
    scenario.cluster = cluster_new(&scenario.options, 1, scenario.out);
    char line[LINE_MAX_BYTES];
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        snprintf(line, sizeof line, "%.*s", (int)length, text);
        text += length + (text[length] == '\n' ? 1 : 0);
        scenario.line++;
        if (line[0] == '#' || line[0] == '\0') {
            fprintf(scenario.out, "%s\n", line);
        } else if (strncmp(line, "> ", 2) == 0) {
            fprintf(scenario.out, "%s\n", line);
            run_command(&scenario, line + 2);
        }
    }
    cluster_free(scenario.cluster);
    fclose(scenario.out);
    return result;
}

/* Print the first line that differs, with its number. */
static void show_difference(const char *path, const char *expected, const char *actual)
{
    size_t line = 1;
    size_t at = 0;
    size_t start = 0;
    while (expected[at] != '\0' && expected[at] == actual[at]) {
        if (expected[at] == '\n') {
            line++;
            start = at + 1;
        }
        at++;
    }
    fprintf(stderr, "%s:%zu: the trace differs\nexpected: %.*s\nhappened: %.*s\n", path, line,
            (int)strcspn(expected + start, "\n"), expected + start,
            (int)strcspn(actual + start, "\n"), actual + start);
}

static void write_whole(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    if (file == NULL || fputs(text, file) == EOF || fclose(file) != 0) {
        perror(path);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    bool rewrite = argc == 3 && strcmp(argv[1], "--rewrite") == 0;
    bool with_marks = argc == 4 && strcmp(argv[1], "--marks") == 0;
    if (argc != 2 && !rewrite && !with_marks) {
        fputs("usage: runner [--rewrite | --marks OUT] FILE\n", stderr);
        return 2;
    }
    const char *path = argv[argc - 1];
    char *expected = read_whole(path);
    char *actual = replay(expected);
    bool same = strcmp(expected, actual) == 0;
    if (!same && rewrite) {
        write_whole(path, actual);
    } else if (!same) {
        show_difference(path, expected, actual);
    }
    free(expected);
    free(actual);
    if (with_marks && !mark_write(argv[2])) {
        perror(argv[2]);
        return 2;
    }
    return same || rewrite ? 0 : 1;
}

/* Commands about disks, starts and dumps. */
#include "tests/scenario/forge.h"
#include "tests/scenario/scenario.h"

#include <string.h>

static void run_persist(struct scenario *scenario)
{
    struct cluster_node *node = scenario_live_node(scenario, 1);
    size_t count = (size_t)scenario_number_or(scenario, 2, node->write_count);
    for (size_t i = 0; i < count && node->write_count > 0; i++) {
        cluster_persist(scenario->cluster, node);
    }
    cluster_flush(scenario->cluster);
}

static void run_persist_again(struct scenario *scenario)
{
    struct cluster_node *node = scenario_live_node(scenario, 1);
    raft_persisted(node->raft, scenario->cluster->now, 0);
    cluster_touched(node);
    cluster_flush(scenario->cluster);
}

static void run_hold_writes(struct scenario *scenario)
{
    scenario_node(scenario, 1)->hold_writes = strcmp(scenario->words[0], "hold-writes") == 0;
}

static void run_crash(struct scenario *scenario)
{
    cluster_crash(scenario->cluster, scenario_live_node(scenario, 1));
}

static void run_restart(struct scenario *scenario)
{
    struct cluster_node *node = scenario_node(scenario, 1);
    if (scenario->word_count > 2) {
        struct raft_boot from = cluster_boot_record(node);
        scenario_understand(scenario,
                            forge_boot(scenario->words + 3, scenario->word_count - 3, &from));
        scenario_show_status(scenario, cluster_restart_from(scenario->cluster, node, &from));
        return;
    }
    scenario_show_status(scenario, cluster_restart(scenario->cluster, node));
}

static void run_damage(struct scenario *scenario)
{
    struct cluster_entry *entry =
        &scenario_node(scenario, 1)->disk->entries[scenario_number(scenario, 2)];
    const char *what = scenario_word(scenario, 3);
    if (strcmp(what, "term") == 0) {
        entry->entry.term = scenario_number(scenario, 4);
    } else if (strcmp(what, "type") == 0) {
        entry->entry.type = (enum raft_entry_type)scenario_number(scenario, 4);
    } else if (strcmp(what, "no-config") == 0) {
        entry->config = NULL;
    } else {
        /* Not in place: the nodes share it. */
        static struct raft_config damaged;
        scenario_understand(scenario, forge_config(scenario_word(scenario, 4), &damaged));
        entry->config = &damaged;
    }
}

static void run_install(struct scenario *scenario)
{
    struct cluster_node *node = scenario_live_node(scenario, 1);
    struct raft_config config;
    scenario_understand(scenario, forge_config(scenario_word(scenario, 6), &config));
    enum status status =
        raft_install(node->raft, scenario->cluster->now, scenario_number(scenario, 2),
                     scenario_number(scenario, 3), scenario_number(scenario, 4),
                     scenario_number(scenario, 5), &config);
    if (status == STATUS_OK) {
        scenario_fail(scenario, "it installs");
    }
    cluster_touched(node);
    scenario_show_status(scenario, status);
}

static void run_wipe(struct scenario *scenario)
{
    cluster_wipe(scenario->cluster, scenario_node(scenario, 1));
}

static void run_reincarnate(struct scenario *scenario)
{
    struct cluster_node *node = scenario_node(scenario, 1);
    cluster_crash(scenario->cluster, node);
    node->incarnation++;
    scenario_show_status(scenario, cluster_restart(scenario->cluster, node));
}

static void run_checkpoint(struct scenario *scenario)
{
    struct cluster_node *node = scenario_live_node(scenario, 1);
    cluster_checkpoint_until(scenario->cluster, node,
                             scenario_number_or(scenario, 2, node->applied));
}

static void run_trim(struct scenario *scenario)
{
    struct cluster_node *node = scenario_live_node(scenario, 1);
    bool whole = strcmp(scenario_word(scenario, 2), "checkpoint") == 0;
    cluster_trim(scenario->cluster, node,
                 whole ? node->disk->checkpoint : scenario_number(scenario, 2));
    cluster_flush(scenario->cluster);
}

static void run_dump(struct scenario *scenario)
{
    struct cluster_node *from = scenario_live_node(scenario, 1);
    scenario_show_status(scenario,
                         cluster_dump(scenario->cluster, from, scenario_live_node(scenario, 2)));
}

static void run_dump_sent(struct scenario *scenario)
{
    struct cluster_node *node = scenario_live_node(scenario, 1);
    raft_time now = scenario->cluster->now;
    if (strcmp(scenario->words[0], "dump-sent") == 0) {
        raft_dump_sent(node->raft, now, scenario_number(scenario, 2), scenario_number(scenario, 3));
    } else {
        raft_dump_failed(node->raft, now, scenario_number(scenario, 2));
    }
    cluster_touched(node);
    cluster_flush(scenario->cluster);
}

static void run_installing(struct scenario *scenario)
{
    raft_set_installing(scenario_live_node(scenario, 1)->raft,
                        strcmp(scenario_word(scenario, 2), "on") == 0);
}

static void run_lose_tail(struct scenario *scenario)
{
    scenario_node(scenario, 1)->disk->last -= scenario_number(scenario, 2);
}

static void run_entries(struct scenario *scenario)
{
    struct cluster_node *node = scenario_node(scenario, 1);
    struct cluster_disk *disk = node->disk;
    for (size_t i = 2; i < scenario->word_count; i++) {
        struct cluster_entry *entry = &disk->entries[++disk->last];
        raft_term term = scenario_number(scenario, i);
        entry->entry = (struct raft_entry){.term = term, .bytes = 10, .type = RAFT_ENTRY_COMMAND};
        /* By log matching, the position determines the payload. */
        entry->tag = term * 1000000 + disk->last;
        disk->term = term > disk->term ? term : disk->term;
    }
    if (node->alive) {
        cluster_crash(scenario->cluster, node);
    }
    scenario_show_status(scenario, cluster_restart(scenario->cluster, node));
}

static void run_hard_state(struct scenario *scenario)
{
    struct cluster_node *node = scenario_node(scenario, 1);
    node->disk->term = scenario_number(scenario, 2);
    node->disk->vote = scenario_number(scenario, 3);
    if (node->alive) {
        cluster_crash(scenario->cluster, node);
    }
    scenario_show_status(scenario, cluster_restart(scenario->cluster, node));
}

const struct scenario_command scenario_commands_disks[] = {
    {"persist-again", run_persist_again},
    {"damage", run_damage},
    {"install", run_install},
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
    {NULL, NULL},
};

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/progress.h"

#include <inttypes.h>
#include <string.h>

static bool is_known(const struct confer_member *member)
{
    return member->reachable && member->role[0] != '\0';
}

static void print_json_ids(const char *name, const uint64_t *ids, size_t count)
{
    (void)printf("\"%s\": [", name);
    for (size_t i = 0; i < count; i++) {
        (void)printf("%s%" PRIu64, i == 0 ? "" : ", ", ids[i]);
    }
    (void)fputs("], ", stdout);
}

static void print_json_change(const struct confer_voter_change *change)
{
    if (change == NULL) {
        (void)fputs("null", stdout);
        return;
    }
    (void)fputc('{', stdout);
    print_json_ids("from", change->from, change->from_count);
    print_json_ids("to", change->to, change->to_count);
    (void)printf("\"begun\": %s, \"age_ms\": %" PRIu64 ", \"waits_for\": ",
                 change->begun ? "true" : "false", change->age_ms);
    print_json_text(stdout, change->waits_for);
    (void)fputc('}', stdout);
}

static void print_json_progress(const struct confer_member *member)
{
    (void)printf(", \"promoting\": %s, \"promoting_ms\": %" PRIu64
                 ", \"caught_up\": %s, \"rounds\": %" PRIu32 ", \"dump_bytes\": %" PRIu64
                 ", \"dump_bytes_done\": %" PRIu64 ", \"agreed\": %" PRIu64 ", \"trend\": ",
                 member->promoting ? "true" : "false", member->promoting_ms,
                 member->caught_up ? "true" : "false", member->catch_up_rounds, member->dump_bytes,
                 member->dump_bytes_done, member->agreed);
    print_json_text(stdout, member->trend);
    (void)fputs(", \"trouble\": ", stdout);
    print_json_text(stdout, member->trouble);
}

static void print_json(const struct confer_cluster *cluster)
{
    (void)fputs("{\"cluster_id\": \"", stdout);
    for (size_t i = 0; i < cluster->cluster_id_bytes; i++) {
        (void)printf("%02x", cluster->cluster_id[i]);
    }
    (void)printf(
        "\", \"server\": %" PRIu64 ", \"leader\": %" PRIu64 ", \"term\": %" PRIu64
        ", \"joint\": %s, \"tolerated_failures\": %" PRIu32
        ", \"voter_failures_tolerated\": %" PRIu32 ", \"node_count\": %" PRIu64
        ", \"session_count\": %" PRIu64 ", \"watch_count\": %" PRIu64 ", \"oldest_zxid\": %" PRIu64
        ", \"config_zxid\": %" PRIu64 ", \"not_member\": %s, \"change\": ",
        cluster->server, cluster->leader, cluster->term, cluster->joint ? "true" : "false",
        cluster->tolerated_failures, cluster->voter_failures_tolerated, cluster->node_count,
        cluster->session_count, cluster->watch_count, cluster->oldest_zxid, cluster->config_zxid,
        cluster->not_member ? "true" : "false");
    print_json_change(cluster->change);
    (void)fputs(", \"members\": [", stdout);
    for (size_t i = 0; i < cluster->member_count; i++) {
        const struct confer_member *member = &cluster->members[i];

        (void)printf("%s{\"id\": %" PRIu64 ", \"address\": ", i == 0 ? "" : ", ", member->id);
        print_json_text(stdout, member->address);
        (void)fputs(", \"role\": ", stdout);
        print_json_text(stdout, member->role);
        (void)printf(", \"voter\": %s, \"learner\": %s, \"term\": %" PRIu64
                     ", \"applied\": %" PRIu64 ", \"last\": %" PRIu64 ", \"lag\": %" PRIu64
                     ", \"match\": %" PRIu64 ", \"reachable\": %s, \"progress\": ",
                     member->voter ? "true" : "false", member->learner ? "true" : "false",
                     member->term, member->applied, member->last, progress_lag(cluster, member),
                     member->match, member->reachable ? "true" : "false");
        print_json_text(stdout, member->progress);
        (void)fputs(", \"version\": ", stdout);
        print_json_text(stdout, member->version);
        print_json_progress(member);
        (void)fputc('}', stdout);
    }
    (void)puts("]}");
}

static void add_member(struct print_table *table,
                       const struct confer_cluster *cluster,
                       const struct confer_member *member)
{
    bool known = is_known(member);

    print_table_add(table, "%" PRIu64, member->id);
    print_table_add(table, "%s", member->address);
    print_table_add(table, "%s", known ? member->role : "-");
    print_table_add(table, "%s",
                    member->promoting ? "promoting"
                    : member->voter   ? "voter"
                    : member->learner ? "learner"
                                      : "-");
    if (known) {
        print_table_add(table, "%" PRIu64, member->term);
        print_table_add(table, "%" PRIu64, member->applied);
        print_table_add(table, "%" PRIu64, member->last);
        print_table_add(table, "%" PRIu64, progress_lag(cluster, member));
    } else {
        for (int i = 0; i < 4; i++) {
            print_table_add(table, "-");
        }
    }
    print_table_add(table, "%s", member->reachable ? "yes" : "no");
    print_table_add(table, "%s", member->progress[0] != '\0' ? member->progress : "-");
    print_table_add(table, "%s", member->version[0] != '\0' ? member->version : "-");
}

static void print_failures(const struct confer_cluster *cluster)
{
    if (cluster->leader == 0) {
        (void)puts(
            "There is no leader: nothing can be written until a majority of the voters is up "
            "and sees each other.\nIf a majority is lost for good: confer-server --recover show, "
            "on "
            "each survivor.");
    } else if (cluster->voter_failures_tolerated == 0) {
        (void)puts(
            "Tolerates 0 failures: with one voter down, nothing can be written. Three voters "
            "tolerate one.");
    } else if (cluster->tolerated_failures == cluster->voter_failures_tolerated) {
        (void)printf("Tolerates %" PRIu32 " failure%s.\n", cluster->tolerated_failures,
                     cluster->tolerated_failures == 1 ? "" : "s");
    } else if (cluster->tolerated_failures == 0) {
        (void)printf(
            "Tolerates 0 failures now: one more voter down, and nothing can be written. With "
            "all voters up: %" PRIu32 ".\n",
            cluster->voter_failures_tolerated);
    } else {
        (void)printf("Tolerates %" PRIu32 " more failure%s now; with all voters up: %" PRIu32 ".\n",
                     cluster->tolerated_failures, cluster->tolerated_failures == 1 ? "" : "s",
                     cluster->voter_failures_tolerated);
    }
}

/* Learners, and whoever needs more than the log has. */
static bool is_behind(const struct confer_cluster *cluster, const struct confer_member *member)
{
    return member->promoting || (member->id != cluster->leader && !member->caught_up &&
                                 ((member->learner && member->progress[0] != '\0') ||
                                  strcmp(member->progress, "dump") == 0));
}

static void print_catching_up(const struct confer_cluster *cluster)
{
    for (size_t i = 0; i < cluster->member_count; i++) {
        const struct confer_member *member = &cluster->members[i];
        char text[PROGRESS_TEXT_BYTES];

        if (!is_behind(cluster, member)) {
            continue;
        }
        progress_describe(cluster, member, text);
        if (member->promoting) {
            (void)printf("Server %" PRIu64
                         " becomes a voter once it has caught up (waits for %" PRIu64 " s): ",
                         member->id, member->promoting_ms / 1000);
        } else {
            (void)printf("Server %" PRIu64 " catches up: ", member->id);
        }
        print_text(stdout, text);
        (void)puts(".");
    }
}

static void print_troubles(const struct confer_cluster *cluster)
{
    for (size_t i = 0; i < cluster->member_count; i++) {
        const struct confer_member *member = &cluster->members[i];

        if (member->trouble[0] != '\0' && !is_behind(cluster, member)) {
            (void)printf("Server %" PRIu64 ": ", member->id);
            print_text(stdout, member->trouble);
            (void)puts(".");
        }
    }
}

static void print_change(const struct confer_voter_change *change)
{
    char from[PROGRESS_TEXT_BYTES];
    char to[PROGRESS_TEXT_BYTES];

    if (change == NULL) {
        return;
    }
    progress_list(change->from, change->from_count, from);
    progress_list(change->to, change->to_count, to);
    (void)printf(change->begun ? "A change of voters from %s to %s is under way for %" PRIu64 " s"
                               : "A change of voters from %s to %s was asked for %" PRIu64 " s ago",
                 from, to, change->age_ms / 1000);
    (void)fputs("; it waits for ", stdout);
    print_text(stdout, change->waits_for);
    (void)puts(". cancel-change undoes it.");
}

static void print_people(const struct cli *cli, const struct confer_cluster *cluster)
{
    static const char *const heads[] = {"ID",        "ADDRESS",  "ROLE",   "VOTES",
                                        "TERM",      "APPLIED",  "LAST",   "LAG",
                                        "REACHABLE", "PROGRESS", "VERSION"};
    struct print_table table;

    if (cluster->member_count == 0) {
        (void)printf("The server at %s belongs to no cluster yet: make one with init, or add it to "
                     "one through a member with add-learner.\n",
                     cli->address);
        return;
    }
    print_table_init(&table, sizeof heads / sizeof heads[0]);
    for (size_t i = 0; cli->output == CLI_OUTPUT_TABLE && i < sizeof heads / sizeof heads[0]; i++) {
        print_table_add(&table, "%s", heads[i]);
    }
    for (size_t i = 0; i < cluster->member_count; i++) {
        add_member(&table, cluster, &cluster->members[i]);
    }
    print_table_finish(&table, stdout);
    if (cli->output == CLI_OUTPUT_RAW) {
        return;
    }
    (void)fputs("\nCluster ", stdout);
    for (size_t i = 0; i < cluster->cluster_id_bytes; i++) {
        (void)printf("%02x", cluster->cluster_id[i]);
    }
    (void)printf(": %" PRIu64 " nodes, %" PRIu64 " sessions; answered by server %" PRIu64 ".\n",
                 cluster->node_count, cluster->session_count, cluster->server);
    if (cluster->not_member) {
        (void)printf("Server %" PRIu64 " at %s is not a member of this cluster, or no more, or is "
                     "just being added:\nwhat it shows may be old. Ask another server; add-learner "
                     "there takes this one in.\n",
                     cluster->server, cli->address);
        return;
    }
    print_catching_up(cluster);
    print_troubles(cluster);
    print_change(cluster->change);
    print_failures(cluster);
}

static int run(struct cli *cli)
{
    struct confer_result *result = NULL;
    enum confer_status status;
    int code = cli_open(cli, NULL);

    if (code != EXIT_CODE_OK) {
        return code;
    }
    status = confer_cluster_status(cli->confer, &cli->call, &result);
    if (status != CONFER_OK) {
        return cli_close(cli, cli_fail_result(cli, status, result, NULL));
    }
    if (cli->output == CLI_OUTPUT_JSON) {
        print_json(&result->cluster);
    } else {
        print_people(cli, &result->cluster);
    }
    confer_result_free(result);
    return cli_close(cli, EXIT_CODE_OK);
}

static const struct option options[] = {{NULL, 0, NULL, NULL}};

const struct command cmd_status = {
    .name = "status",
    .arguments = "",
    .summary = "show the members, who leads, and how many may fail",
    .help =
        "As the server that is asked sees it. LAG is how many entries a member has yet to get. "
        "Members that\n"
        "catch up, what is wrong with one, and a change of voters that is under way, are told of\n"
        "below the table.\n"
        "\n"
        "  confer-cli status\n"
        "  confer-cli --address 127.0.0.1:10002 status -o json\n",
    .options = options,
    .run = run};

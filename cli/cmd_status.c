#include "cli/cli.h"
#include "cli/commands.h"

#include <inttypes.h>

/* The newest entry that anybody answered for. */
static uint64_t newest(const struct confer_cluster *cluster)
{
    uint64_t last = 0;

    for (size_t i = 0; i < cluster->member_count; i++) {
        last = cluster->members[i].last > last ? cluster->members[i].last : last;
    }
    return last;
}

static bool is_known(const struct confer_member *member)
{
    return member->reachable && member->role[0] != '\0';
}

/* What the leader knows to be durable there may be newer than the member's own last word. */
static uint64_t lag_of(const struct confer_cluster *cluster, const struct confer_member *member)
{
    uint64_t last = newest(cluster);
    uint64_t has = member->match > member->applied ? member->match : member->applied;

    return last > has ? last - has : 0;
}

static void print_json(const struct confer_cluster *cluster)
{
    (void)fputs("{\"cluster_id\": \"", stdout);
    for (size_t i = 0; i < cluster->cluster_id_bytes; i++) {
        (void)printf("%02x", cluster->cluster_id[i]);
    }
    (void)printf("\", \"server\": %" PRIu64 ", \"leader\": %" PRIu64 ", \"term\": %" PRIu64
                 ", \"joint\": %s, \"tolerated_failures\": %" PRIu32
                 ", \"voter_failures_tolerated\": %" PRIu32 ", \"node_count\": %" PRIu64
                 ", \"session_count\": %" PRIu64 ", \"watch_count\": %" PRIu64
                 ", \"oldest_zxid\": %" PRIu64 ", \"members\": [",
                 cluster->server, cluster->leader, cluster->term, cluster->joint ? "true" : "false",
                 cluster->tolerated_failures, cluster->voter_failures_tolerated,
                 cluster->node_count, cluster->session_count, cluster->watch_count,
                 cluster->oldest_zxid);
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
                     member->term, member->applied, member->last, lag_of(cluster, member),
                     member->match, member->reachable ? "true" : "false");
        print_json_text(stdout, member->progress);
        (void)fputs(", \"version\": ", stdout);
        print_json_text(stdout, member->version);
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
    print_table_add(table, "%s", member->voter ? "voter" : member->learner ? "learner" : "-");
    if (known) {
        print_table_add(table, "%" PRIu64, member->term);
        print_table_add(table, "%" PRIu64, member->applied);
        print_table_add(table, "%" PRIu64, member->last);
        print_table_add(table, "%" PRIu64, lag_of(cluster, member));
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
            "and sees each other.");
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
    if (cluster->joint) {
        (void)puts("A change of membership is under way.");
    }
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
        "As the server that is asked sees it. LAG is how many entries a member has yet to get.\n"
        "\n"
        "  confer-cli status\n"
        "  confer-cli --address 127.0.0.1:10002 status -o json\n",
    .options = options,
    .run = run};

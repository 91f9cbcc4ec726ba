#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/nodes.h"
#include "cli/progress.h"

#include "base/clock.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_INTERVAL_MS = 200, TELL_INTERVAL_US = 1000 * 1000 };

static int give_up(const struct cli *cli, uint64_t id, const char *text)
{
    char message[PROGRESS_TEXT_BYTES + 256];

    (void)snprintf(message, sizeof message,
                   "server %" PRIu64
                   " has not caught up in time (%s); it becomes a voter by itself: "
                   "'confer-cli status' shows how it goes, cancel-change ends it",
                   id, text);
    (void)cli_fail(cli, CONFER_UNREACHABLE, message, NULL);
    return EXIT_CODE_UNAVAILABLE;
}

static int tell_end(const struct cli *cli, uint64_t id, const char *what)
{
    char message[128];

    (void)snprintf(message, sizeof message, "server %" PRIu64 " %s meanwhile", id, what);
    return cli_fail(cli, CONFER_CONFLICT, message, NULL);
}

/* On a terminal, one line that changes. */
static void show(const char *text, uint64_t *shown_us)
{
    uint64_t now_us = clock_monotonic_us();

    if (isatty(STDERR_FILENO) == 1 &&
        (text == NULL || *shown_us == 0 || now_us - *shown_us >= TELL_INTERVAL_US)) {
        (void)fputs("\r\x1b[K", stderr);
        (void)fputs(text == NULL ? "" : text, stderr);
        (void)fflush(stderr);
        *shown_us = now_us;
    }
}

enum view {
    VIEW_WAITING, /* nothing new; or the server asked does not know of it yet */
    VIEW_DONE,
    VIEW_REMOVED,
    VIEW_CANCELLED
};

static enum view look(const struct confer_cluster *cluster, uint64_t id, uint64_t zxid, char *text)
{
    const struct confer_member *member = progress_find(cluster, id);

    if (cluster->config_zxid < zxid || cluster->not_member) {
        return VIEW_WAITING;
    }
    if (member == NULL) {
        return VIEW_REMOVED;
    }
    progress_describe(cluster, member, text);
    if (member->voter) {
        return cluster->joint ? VIEW_WAITING : VIEW_DONE;
    }
    return member->promoting ? VIEW_WAITING : VIEW_CANCELLED;
}

/* Until the server votes, or the time is over. */
static int wait_for_vote(struct cli *cli, uint64_t id, uint64_t zxid, uint64_t deadline_us)
{
    const struct timespec pause = {.tv_nsec = LOOK_INTERVAL_MS * 1000 * 1000};
    char text[PROGRESS_TEXT_BYTES] = "nothing is known of it";
    uint64_t shown_us = 0;
    enum view view = VIEW_WAITING;
    struct confer_result *result = NULL;

    while (view == VIEW_WAITING) {
        uint64_t now_us = clock_monotonic_us();
        struct confer_call call = cli->call;

        if (now_us >= deadline_us) {
            show(NULL, &shown_us);
            return give_up(cli, id, text);
        }
        call.timeout_ms = (uint32_t)((deadline_us - now_us) / 1000 + 1);
        if (confer_cluster_status(cli->confer, &call, &result) == CONFER_OK) {
            view = look(&result->cluster, id, zxid, text);
            show(text, &shown_us);
        }
        if (view == VIEW_DONE) {
            show(NULL, &shown_us);
            cli_print_members(cli, result);
        }
        confer_result_free(result);
        result = NULL;
        if (view == VIEW_WAITING) {
            (void)nanosleep(&pause, NULL);
        }
    }
    if (view != VIEW_DONE) {
        show(NULL, &shown_us);
        return tell_end(cli, id,
                        view == VIEW_REMOVED ? "was removed" : "had its promotion cancelled");
    }
    return EXIT_CODE_OK;
}

static int add(struct cli *cli, const struct confer_node_address *node)
{
    bool promote = cli_option(cli, "promote") != NULL;
    uint64_t deadline_us = clock_monotonic_us() + (uint64_t)cli->call.timeout_ms * 1000;
    struct confer_result *result = NULL;
    enum confer_status status = promote
                                    ? confer_add_voter(cli->confer, node, &cli->call, &result)
                                    : confer_add_learner(cli->confer, node, &cli->call, &result);
    uint64_t zxid;

    if (status != CONFER_OK) {
        return cli_fail_result(cli, status, result, NULL);
    }
    cli_print_note(cli, result->message);
    zxid = result->cluster.config_zxid;
    if (!promote || cli_option(cli, "no-wait") != NULL) {
        cli_print_members(cli, result);
        confer_result_free(result);
        return EXIT_CODE_OK;
    }
    confer_result_free(result);
    return wait_for_vote(cli, node->id, zxid, deadline_us);
}

static int run(struct cli *cli)
{
    struct nodes nodes;
    int code;

    if (!nodes_parse(cli, "node", cli_option(cli, "node"), &nodes)) {
        return EXIT_CODE_USAGE;
    }
    if (nodes.count != 1) {
        return cli_usage(cli, "one learner at a time");
    }
    if (cli_option(cli, "no-wait") != NULL && cli_option(cli, "promote") == NULL) {
        return cli_usage(cli, "--no-wait goes with --promote");
    }
    cli_allow_long(cli);
    code = cli_open(cli, NULL);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    return cli_close(cli, add(cli, &nodes.items[0]));
}

static const struct option options[] = {
    {"node", 'n', "ID=ADDRESS", "the server, with the address others reach it at"},
    {"promote", 'p', NULL, "make it a voter as soon as it has caught up"},
    {"no-wait", 0, NULL, "do not wait for that"},
    {NULL, 0, NULL, NULL}};

const struct command cmd_add_learner = {
    .name = "add-learner",
    .arguments = "",
    .summary = "let a fresh server follow the cluster, without a vote",
    .help =
        "The server must run and be fresh. Any member can be asked. With --promote it becomes a "
        "voter by\n"
        "itself once it has caught up: the cluster remembers that, whatever becomes of this "
        "command or of\n"
        "the leader. The command waits for it until --timeout (60 seconds); the exit code is then "
        "5 and\n"
        "the promotion goes on: status shows how, cancel-change ends it. For a learner that is "
        "there\n"
        "already the same command with --promote asks for its promotion. Without --promote,\n"
        "change-membership makes it a voter.\n"
        "\n"
        "  confer-cli --address 127.0.0.1:10001 add-learner --node 3=127.0.0.1:10003 --promote\n",
    .options = options,
    .run = run};

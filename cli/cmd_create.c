#include "cli/acl.h"
#include "cli/cli.h"
#include "cli/commands.h"

#include "base/quantity.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { TTL_MS_MAX = INT32_MAX, HOLD_SESSION_TIMEOUT_MS = 10000 };

static void on_state(struct confer *confer, enum confer_state state, void *argument)
{
    int *wake_fd = argument;
    uint64_t one = 1;

    (void)confer;
    if (state == CONFER_STATE_SUSPENDED) {
        (void)fputs("connection lost; the node lives until the session times out\n", stderr);
    } else if (state == CONFER_STATE_RECONNECTED) {
        (void)fputs("connected again; the node is still there\n", stderr);
    } else if (state == CONFER_STATE_EXPIRED) {
        ssize_t written = write(*wake_fd, &one, sizeof one);
        (void)written;
    }
}

/* An ephemeral node lives as long as the session, so the command stays. */
static int hold(struct cli *cli, const char *path, int wake_fd)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "holding %s until Ctrl-C\n", path);
    if (!cli_wait_for_signal(wake_fd)) {
        return cli_fail(cli, CONFER_SESSION_EXPIRED, "the session expired, and the node is gone",
                        path);
    }
    return EXIT_CODE_OK;
}

static bool take_mode(const struct cli *cli, struct confer_create *create)
{
    bool ephemeral = cli_option(cli, "ephemeral") != NULL;
    bool sequential = cli_option(cli, "sequential") != NULL;
    bool container = cli_option(cli, "container") != NULL;
    const char *ttl = cli_option(cli, "ttl");
    struct error error;

    if ((ephemeral ? 1 : 0) + (container ? 1 : 0) + (ttl != NULL ? 1 : 0) > 1 ||
        (container && sequential)) {
        (void)cli_usage(cli,
                        "--ephemeral, --container and --ttl exclude each other, and a container "
                        "has no number");
        return false;
    }
    if (ttl != NULL) {
        if (quantity_parse_duration_ms(ttl, &create->ttl_ms, &error) != STATUS_OK) {
            (void)cli_usage(cli, "--ttl: %s", error.text);
            return false;
        }
        create->mode = sequential ? CONFER_PERSISTENT_SEQUENTIAL_TTL : CONFER_PERSISTENT_TTL;
    } else if (container) {
        create->mode = CONFER_CONTAINER;
    } else if (ephemeral) {
        create->mode = sequential ? CONFER_EPHEMERAL_SEQUENTIAL : CONFER_EPHEMERAL;
    } else {
        create->mode = sequential ? CONFER_PERSISTENT_SEQUENTIAL : CONFER_PERSISTENT;
    }
    create->make_parents = cli_option(cli, "parents") != NULL;
    return true;
}

static void print(const struct cli *cli, const struct confer_result *result)
{
    if (cli->output == CLI_OUTPUT_JSON) {
        (void)fputs("{\"path\": ", stdout);
        print_json_text(stdout, result->path);
        (void)fputs(", ", stdout);
        print_json_stat(stdout, &result->stat);
        (void)printf(", \"zxid\": %" PRIu64 "}\n", result->zxid);
    } else {
        (void)puts(result->path);
    }
}

static int create_node(struct cli *cli,
                       const struct confer_create *create,
                       const char *value,
                       size_t bytes,
                       int wake_fd)
{
    const char *path = cli_argument(cli, 0);
    struct confer_result *result = NULL;
    enum confer_status status =
        confer_create(cli->confer, path, value, bytes, create, &cli->call, &result);
    int code = EXIT_CODE_OK;

    if (status != CONFER_OK) {
        return cli_fail_result(cli, status, result, path);
    }
    print(cli, result);
    if (cli_option(cli, "ephemeral") != NULL) {
        code = hold(cli, result->path, wake_fd);
    }
    confer_result_free(result);
    return code;
}

static int run(struct cli *cli)
{
    struct confer_create create = {.mode = CONFER_PERSISTENT};
    struct acl acl = {.count = 0};
    struct confer_options options;
    int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    char *value = NULL;
    size_t bytes = 0;
    int code = EXIT_CODE_OK;

    if (!take_mode(cli, &create) ||
        (cli_option(cli, "acl") != NULL && !acl_parse(cli, cli_option(cli, "acl"), &acl))) {
        (void)close(wake_fd);
        return EXIT_CODE_USAGE;
    }
    create.acl = acl.entries;
    create.acl_count = acl.count;
    if (cli_argument(cli, 1) != NULL || cli_option(cli, "file") != NULL) {
        code = cli_read_value(cli, cli_argument(cli, 1), &value, &bytes);
    }
    if (code == EXIT_CODE_OK && cli_option(cli, "ephemeral") != NULL) {
        cli_block_signals();
        confer_options_init(&options);
        options.session_timeout_ms = HOLD_SESSION_TIMEOUT_MS;
        options.on_state = on_state;
        options.argument = &wake_fd;
        code = cli_open(cli, &options);
    } else if (code == EXIT_CODE_OK) {
        code = cli_open_for_writing(cli);
    }
    if (code == EXIT_CODE_OK) {
        code = cli_close(cli, create_node(cli, &create, value, bytes, wake_fd));
    }
    free(value);
    acl_release(&acl);
    (void)close(wake_fd);
    return code;
}

static const struct option command_options[] = {
    {"ephemeral", 'e', NULL, "stay until Ctrl-C; the node goes with this command"},
    {"sequential", 's', NULL, "put a number behind the name"},
    {"parents", 'p', NULL, "make missing parents too"},
    {"container", 0, NULL, "goes some time after its last child"},
    {"acl", 0, "LIST", "who may do what, as set-acl has it; without it everybody everything"},
    {"ttl", 0, "TIME", "goes when untouched for so long, as 10m"},
    {"file", 'f', "FILE", "take the value from a file"},
    {NULL, 0, NULL, NULL}};

const struct command cmd_create = {
    .name = "create",
    .arguments = "PATH [VALUE|-]",
    .arguments_min = 1,
    .arguments_max = 2,
    .summary = "make a node, and print its path",
    .help = "Unlike set it fails when the node exists (exit code 4). An ephemeral node lives as "
            "long as a\n"
            "session, so with -e the command stays in the foreground until Ctrl-C.\n"
            "\n"
            "  confer-cli create /app/feature on\n"
            "  confer-cli create -p /app/a/b/c\n"
            "  confer-cli create -s /queue/job- payload\n"
            "  confer-cli create -e /workers/$(hostname)\n"
            "  confer-cli --user ann:secret create /app/secret 42 --acl auth::cdrwa\n",
    .options = command_options,
    .run = run};

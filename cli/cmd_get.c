#include "cli/acl.h"
#include "cli/cli.h"
#include "cli/commands.h"

#include <inttypes.h>
#include <unistd.h>

static void print_stat(const struct confer_result *result)
{
    const struct confer_stat *stat = &result->stat;

    (void)printf("version          %" PRId32 "\n"
                 "value bytes      %" PRIu32 "%s\n"
                 "children         %" PRIu32 "\n"
                 "czxid            %" PRIu64 "  ",
                 stat->version, stat->value_bytes, result->value_is_null ? " (null)" : "",
                 stat->child_count, stat->czxid);
    print_time(stdout, stat->ctime_ms);
    (void)printf("\nmzxid            %" PRIu64 "  ", stat->mzxid);
    print_time(stdout, stat->mtime_ms);
    (void)printf("\npzxid            %" PRIu64 "\n"
                 "cversion         %" PRId32 "\n"
                 "aversion         %" PRId32 "\n",
                 stat->pzxid, stat->cversion, stat->aversion);
    if (stat->ephemeral_owner != 0) {
        (void)printf("ephemeral owner  %" PRIu64 "\n", stat->ephemeral_owner);
    }
    if (result->ttl_ms != 0) {
        (void)printf("ttl              %" PRIu64 "ms\n", result->ttl_ms);
    }
    if (result->container) {
        (void)puts("container        yes");
    }
}

static void print_json(const struct cli *cli, const struct confer_result *result, const char *path)
{
    (void)fputs("{\"path\": ", stdout);
    print_json_text(stdout, path);
    if (cli_option(cli, "stat") == NULL && cli_option(cli, "acl") == NULL) {
        (void)fputs(", \"value\": ", stdout);
        print_json_value(stdout, result->value, result->value_bytes, result->value_is_null);
    }
    (void)fputs(", ", stdout);
    print_json_stat(stdout, &result->stat);
    if (cli_option(cli, "acl") != NULL) {
        (void)fputs(", ", stdout);
        acl_print_json(stdout, result->acl, result->acl_count);
    }
    (void)printf(", \"zxid\": %" PRIu64 "}\n", result->zxid);
}

static int run(struct cli *cli)
{
    const char *path = cli_argument(cli, 0);
    bool wants_stat = cli_option(cli, "stat") != NULL;
    bool wants_acl = cli_option(cli, "acl") != NULL;
    uint32_t flags = wants_acl ? CONFER_GET_ACL | CONFER_GET_STAT_ONLY : 0;
    struct confer_result *result = NULL;
    enum confer_status status;
    int code;

    if (wants_stat && wants_acl) {
        return cli_usage(cli, "--stat and --acl exclude each other");
    }
    code = cli_open(cli, NULL);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    cli_choose_level(cli);
    flags = wants_stat ? CONFER_GET_STAT_ONLY : flags;
    status = confer_get(cli->confer, path, flags, &cli->call, &result);
    if (status != CONFER_OK) {
        return cli_close(cli, cli_fail_result(cli, status, result, path));
    }
    if (cli->output == CLI_OUTPUT_JSON) {
        print_json(cli, result, path);
    } else if (wants_stat) {
        print_stat(result);
    } else if (wants_acl) {
        for (size_t i = 0; i < result->acl_count; i++) {
            acl_print(stdout, &result->acl[i]);
            (void)fputc('\n', stdout);
        }
    } else {
        (void)fwrite(result->value, 1, result->value_bytes, stdout);
        if (cli->output == CLI_OUTPUT_TABLE && isatty(STDOUT_FILENO)) {
            (void)fputc('\n', stdout);
        }
    }
    confer_result_free(result);
    return cli_close(cli, EXIT_CODE_OK);
}

static const struct option options[] = {
    {"stat", 's', NULL, "versions, sizes and times instead of the value"},
    {"acl", 0, NULL, "who may do what, instead of the value"},
    CLI_OPTION_LOCAL,
    {NULL, 0, NULL, NULL}};

const struct command cmd_get = {.name = "get",
                                .arguments = "PATH",
                                .arguments_min = 1,
                                .arguments_max = 1,
                                .summary = "print the value of a node",
                                .help = "To a terminal a newline is added; to a pipe or a file the "
                                        "value goes byte for byte. In JSON\n"
                                        "a value that is not UTF-8 is {\"base64\": \"...\"}.\n"
                                        "\n"
                                        "  confer-cli get /app/db/url\n"
                                        "  confer-cli get /app/logo.png > logo.png\n"
                                        "  confer-cli get --stat /app/db/url\n"
                                        "  confer-cli get --acl /app/db/url\n"
                                        "  confer-cli get -o json /app/db/url\n",
                                .options = options,
                                .run = run};

#include "cli/cli.h"
#include "cli/commands.h"

#include <inttypes.h>
#include <stdlib.h>

static void print(const struct cli *cli, const char *path, const struct confer_result *result)
{
    if (cli->output == CLI_OUTPUT_JSON) {
        (void)fputs("{\"path\": ", stdout);
        print_json_text(stdout, path);
        (void)printf(", \"created\": %s, ", result->created ? "true" : "false");
        print_json_stat(stdout, &result->stat);
        (void)printf(", \"zxid\": %" PRIu64 "}\n", result->zxid);
    } else if (cli->output == CLI_OUTPUT_TABLE) {
        print_text(stdout, path);
        (void)printf(" %s, version %" PRId32 ", zxid %" PRIu64 "\n",
                     result->created ? "created" : "set", result->stat.version, result->zxid);
    }
}

static int run(struct cli *cli)
{
    const char *path = cli_argument(cli, 0);
    struct confer_result *result = NULL;
    enum confer_status status;
    int32_t version;
    char *value = NULL;
    size_t bytes = 0;
    int code;

    if (!cli_version(cli, &version)) {
        return EXIT_CODE_USAGE;
    }
    code = cli_read_value(cli, cli_argument(cli, 1), &value, &bytes);
    if (code == EXIT_CODE_OK) {
        code = cli_open_for_writing(cli);
    }
    if (code != EXIT_CODE_OK) {
        free(value);
        return code;
    }
    status = confer_set(cli->confer, path, value, bytes, version, &cli->call, &result);
    free(value);
    if (status != CONFER_OK) {
        return cli_close(cli, cli_fail_result(cli, status, result, path));
    }
    print(cli, path, result);
    confer_result_free(result);
    return cli_close(cli, EXIT_CODE_OK);
}

static const struct option options[] = {
    {"file", 'f', "FILE", "take the value from a file"},
    {"if-version", 0, "N", "only if the node exists and has this version"},
    {NULL, 0, NULL, NULL}};

const struct command cmd_set = {
    .name = "set",
    .arguments = "PATH [VALUE|-]",
    .arguments_min = 1,
    .arguments_max = 2,
    .summary = "set the value of a node, making it and its parents if missing",
    .help = "- takes the value from stdin, byte for byte. With --if-version nothing is made, and "
            "another\n"
            "version is a conflict (exit code 4).\n"
            "\n"
            "  confer-cli set /app/db/url postgres://db1/app\n"
            "  confer-cli set /app/logo.png --file logo.png\n"
            "  date | confer-cli set /app/started -\n"
            "  confer-cli set /app/db/url postgres://db2/app --if-version 3\n",
    .options = options,
    .run = run};

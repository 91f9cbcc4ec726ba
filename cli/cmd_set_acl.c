#include "cli/acl.h"
#include "cli/cli.h"
#include "cli/commands.h"

#include <inttypes.h>

static void print(const struct cli *cli, const char *path, const struct confer_result *result)
{
    if (cli->output == CLI_OUTPUT_JSON) {
        (void)fputs("{\"path\": ", stdout);
        print_json_text(stdout, path);
        (void)fputs(", ", stdout);
        print_json_stat(stdout, &result->stat);
        (void)printf(", \"zxid\": %" PRIu64 "}\n", result->zxid);
    } else if (cli->output == CLI_OUTPUT_TABLE) {
        print_text(stdout, path);
        (void)printf(" set, acl version %" PRId32 ", zxid %" PRIu64 "\n", result->stat.aversion,
                     result->zxid);
    }
}

static int run(struct cli *cli)
{
    const char *path = cli_argument(cli, 0);
    struct confer_result *result = NULL;
    enum confer_status status;
    struct acl acl;
    int32_t version;
    int code;

    if (!cli_version(cli, &version) || !acl_parse(cli, cli_argument(cli, 1), &acl)) {
        return EXIT_CODE_USAGE;
    }
    code = cli_open_for_writing(cli);
    if (code != EXIT_CODE_OK) {
        acl_release(&acl);
        return code;
    }
    status =
        confer_set_acl(cli->confer, path, acl.entries, acl.count, version, &cli->call, &result);
    acl_release(&acl);
    if (status != CONFER_OK) {
        return cli_close(cli, cli_fail_result(cli, status, result, path));
    }
    print(cli, path, result);
    confer_result_free(result);
    return cli_close(cli, EXIT_CODE_OK);
}

static const struct option options[] = {
    {"if-version", 0, "N", "only if the list has this version (get --stat: aversion)"},
    {NULL, 0, NULL, NULL}};

const struct command cmd_set_acl = {
    .name = "set-acl",
    .arguments = "PATH SCHEME:ID:PERMISSIONS[,...]",
    .arguments_min = 2,
    .arguments_max = 2,
    .summary = "say who may do what with a node",
    .help =
        "Permissions are letters: c(reate and) d(elete children), r(ead), w(rite), a(dminister: "
        "this list).\n"
        "They hold for the node alone, not for what is below it. Schemes: world:anyone, "
        "ip:ADDRESS[/BITS],\n"
        "digest:USER:HASH, and auth: for whoever --user says you are.\n"
        "\n"
        "  confer-cli --user ann:secret set-acl /app auth::cdrwa,world:anyone:r\n"
        "  confer-cli set-acl /app world:anyone:cdrwa\n"
        "  confer-cli get --acl /app\n",
    .options = options,
    .run = run};

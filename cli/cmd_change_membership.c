#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/nodes.h"

static int run(struct cli *cli)
{
    struct ids ids;
    struct confer_result *result = NULL;
    enum confer_status status;
    int code;

    if (!ids_parse(cli, "members", cli_option(cli, "members"), &ids)) {
        return EXIT_CODE_USAGE;
    }
    cli_allow_long(cli);
    code = cli_open(cli, NULL);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    if (cli_option(cli, "force") != NULL) {
        status = confer_force_membership(cli->confer, ids.items, ids.count, &cli->call, &result);
    } else {
        status = confer_change_membership(cli->confer, ids.items, ids.count, &cli->call, &result);
    }
    if (status != CONFER_OK) {
        return cli_close(cli, cli_fail_result(cli, status, result, NULL));
    }
    cli_print_members(cli, result);
    confer_result_free(result);
    return cli_close(cli, EXIT_CODE_OK);
}

static const struct option options[] = {
    {"members", 'm', "1,2,3", "the ids of all voters there shall be"},
    {"force", 0, NULL,
     "also make voters of learners that have not caught up: nothing may be "
     "writable until they have"},
    {NULL, 0, NULL, NULL}};

const struct command cmd_change_membership = {
    .name = "change-membership",
    .arguments = "",
    .summary = "say which servers vote",
    .help =
        "Learners named here become voters, voters left out leave the cluster, learners left out "
        "stay.\n"
        "Waits until it holds, and succeeds if it holds already. New voters must have caught up: "
        "one that\n"
        "does not within half a minute is named, and nothing changes. A change that contradicts "
        "one under\n"
        "way is refused (exit code 4); cancel-change ends that one.\n"
        "\n"
        "  confer-cli --address 127.0.0.1:10001 change-membership --members 1,2,3\n",
    .options = options,
    .run = run};

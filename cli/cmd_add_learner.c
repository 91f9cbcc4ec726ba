#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/nodes.h"

static int run(struct cli *cli)
{
    struct nodes nodes;
    struct confer_result *result = NULL;
    enum confer_status status;
    int code;

    if (!nodes_parse(cli, "node", cli_option(cli, "node"), &nodes)) {
        return EXIT_CODE_USAGE;
    }
    if (nodes.count != 1) {
        return cli_usage(cli, "one learner at a time");
    }
    cli_allow_long(cli);
    code = cli_open(cli, NULL);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    status = confer_add_learner(cli->confer, &nodes.items[0], &cli->call, &result);
    if (status != CONFER_OK) {
        return cli_close(cli, cli_fail_result(cli, status, result, NULL));
    }
    cli_print_members(cli, result);
    confer_result_free(result);
    return cli_close(cli, EXIT_CODE_OK);
}

static const struct option options[] = {
    {"node", 'n', "ID=ADDRESS", "the server, with the address others reach it at"},
    {NULL, 0, NULL, NULL}};

const struct command cmd_add_learner = {
    .name = "add-learner",
    .arguments = "",
    .summary = "let a fresh server follow the cluster, without a vote",
    .help = "The server must run and be fresh. Any member can be asked. change-membership then "
            "makes it\n"
            "a voter.\n"
            "\n"
            "  confer-cli --address 127.0.0.1:10001 add-learner --node 3=127.0.0.1:10003\n",
    .options = options,
    .run = run};

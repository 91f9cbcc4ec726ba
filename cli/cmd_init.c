#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/nodes.h"

static int run(struct cli *cli)
{
    struct nodes nodes;
    struct confer_result *result = NULL;
    enum confer_status status;
    int code;

    if (!nodes_parse(cli, "nodes", cli_option(cli, "nodes"), &nodes)) {
        return EXIT_CODE_USAGE;
    }
    cli_allow_long(cli);
    code = cli_open(cli, NULL);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    status = confer_init(cli->confer, nodes.items, nodes.count, &cli->call, &result);
    if (status != CONFER_OK) {
        return cli_close(cli, cli_fail_result(cli, status, result, NULL));
    }
    cli_print_members(cli, result);
    confer_result_free(result);
    return cli_close(cli, EXIT_CODE_OK);
}

static const struct option options[] = {
    {"nodes", 'n', "1=A,2=B", "the first voters, by id, with the addresses others reach them at"},
    {NULL, 0, NULL, NULL}};

const struct command cmd_init = {
    .name = "init",
    .arguments = "",
    .summary = "make a cluster of fresh servers",
    .help = "The server that is asked must be one of the nodes; all must run and belong to no "
            "cluster.\n"
            "The same command again completes one that broke off.\n"
            "\n"
            "  confer-cli --address 127.0.0.1:10001 init \\\n"
            "      --nodes 1=127.0.0.1:10001,2=127.0.0.1:10002,3=127.0.0.1:10003\n",
    .options = options,
    .run = run};

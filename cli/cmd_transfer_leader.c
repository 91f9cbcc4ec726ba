#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/nodes.h"

#include <inttypes.h>

static int run(struct cli *cli)
{
    struct ids ids = {.count = 0};
    struct confer_result *result = NULL;
    enum confer_status status;
    int code;

    if (cli_argument(cli, 0) != NULL && !ids_parse(cli, "id", cli_argument(cli, 0), &ids)) {
        return EXIT_CODE_USAGE;
    }
    if (ids.count > 1) {
        return cli_usage(cli, "there is one leader: name one id, or none for the best voter");
    }
    code = cli_open(cli, NULL);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    status =
        confer_transfer_leader(cli->confer, ids.count == 0 ? 0 : ids.items[0], &cli->call, &result);
    if (status != CONFER_OK) {
        return cli_close(cli, cli_fail_result(cli, status, result, NULL));
    }
    confer_result_free(result);
    return cli_close(cli, EXIT_CODE_OK);
}

static const struct option options[] = {{NULL, 0, NULL, NULL}};

const struct command cmd_transfer_leader = {
    .name = "transfer-leader",
    .arguments = "[ID]",
    .arguments_max = 1,
    .summary = "let another voter lead",
    .help = "Without an ID the voter that is best placed. For maintenance of the present leader.\n"
            "\n"
            "  confer-cli transfer-leader 2\n",
    .options = options,
    .run = run};

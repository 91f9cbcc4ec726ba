#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/nodes.h"

static int run(struct cli *cli)
{
    struct ids ids;
    struct confer_result *result = NULL;
    enum confer_status status;
    int code;

    if (!ids_parse(cli, "id", cli_argument(cli, 0), &ids)) {
        return EXIT_CODE_USAGE;
    }
    if (ids.count != 1) {
        return cli_usage(cli, "one member at a time; change-membership says it for all voters");
    }
    cli_allow_long(cli);
    code = cli_open(cli, NULL);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    status = confer_remove_member(cli->confer, ids.items[0], &cli->call, &result);
    if (status != CONFER_OK) {
        return cli_close(cli, cli_fail_result(cli, status, result, NULL));
    }
    cli_print_members(cli, result);
    confer_result_free(result);
    return cli_close(cli, EXIT_CODE_OK);
}

static const struct option options[] = {{NULL, 0, NULL, NULL}};

const struct command cmd_remove_member = {.name = "remove-member",
                                          .arguments = "ID",
                                          .arguments_min = 1,
                                          .arguments_max = 1,
                                          .summary = "take a voter or learner out of the cluster",
                                          .help = "  confer-cli remove-member 3\n",
                                          .options = options,
                                          .run = run};

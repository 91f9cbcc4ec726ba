#include "cli/cli.h"
#include "cli/commands.h"

static int run(struct cli *cli)
{
    struct confer_result *result = NULL;
    enum confer_status status;
    int code;

    cli_allow_long(cli);
    code = cli_open(cli, NULL);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    status = confer_cancel_change(cli->confer, &cli->call, &result);
    if (status != CONFER_OK) {
        return cli_close(cli, cli_fail_result(cli, status, result, NULL));
    }
    cli_print_note(cli, result->message);
    cli_print_members(cli, result);
    confer_result_free(result);
    return cli_close(cli, EXIT_CODE_OK);
}

static const struct option options[] = {{NULL, 0, NULL, NULL}};

const struct command cmd_cancel_change = {
    .name = "cancel-change",
    .arguments = "",
    .summary = "undo a change of members that is under way",
    .help =
        "Gives up a change-membership that waits for its new voters, takes back one that has begun "
        "and\n"
        "is not decided on yet, and drops promotions: their servers stay learners, which "
        "remove-member\n"
        "takes out. Says what was undone, and succeeds if there was nothing. A change that is "
        "decided on\n"
        "completes by itself, and the exit code is 4.\n"
        "\n"
        "  confer-cli --address 127.0.0.1:10001 cancel-change\n",
    .options = options,
    .run = run};

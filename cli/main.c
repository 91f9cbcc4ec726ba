#include "cli/cli.h"
#include "cli/commands.h"

#include <stdio.h>

static const struct command *const commands[] = {&cmd_get,
                                                 &cmd_set,
                                                 &cmd_create,
                                                 &cmd_remove,
                                                 &cmd_list,
                                                 &cmd_tree,
                                                 &cmd_watch,
                                                 &cmd_set_acl,
                                                 &cmd_import,
                                                 &cmd_status,
                                                 &cmd_init,
                                                 &cmd_add_learner,
                                                 &cmd_change_membership,
                                                 &cmd_remove_member,
                                                 &cmd_cancel_change,
                                                 &cmd_transfer_leader,
                                                 NULL};

int main(int argc, char **argv)
{
    struct options options;
    struct cli cli;

    if (!options_parse(commands, argc, argv, &options)) {
        return EXIT_CODE_USAGE;
    }
    if (options.wants_version) {
        (void)printf("confer-cli %s\n", confer_version());
        return EXIT_CODE_OK;
    }
    if (options.wants_help) {
        if (options.command == NULL) {
            options_print_overview(commands);
        } else {
            options_print_help(options.command);
        }
        return EXIT_CODE_OK;
    }
    if (!cli_init(&cli, &options)) {
        return EXIT_CODE_USAGE;
    }
    return options.command->run(&cli);
}

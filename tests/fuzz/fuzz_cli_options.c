/* Bytes as a command line of confer-cli, arguments parted by line ends; the last one is also read
 * as lists of servers and of ids. What is refused is explained on stderr. */
#include "base/check.h"
#include "cli/commands.h"
#include "cli/nodes.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COMMAND_LINE_MAX = 32 };

static const struct command *const commands[] = {
    &cmd_get, &cmd_set, &cmd_change_membership, &cmd_init, &cmd_add_learner, &cmd_watch, NULL};

static void read_lists(const struct cli *cli, const char *text)
{
    struct nodes nodes;
    struct ids ids;

    if (nodes_parse(cli, "nodes", text, &nodes)) {
        CHECK(nodes.count >= 1 && nodes.count <= NODES_MAX);
        for (size_t i = 0; i < nodes.count; i++) {
            CHECK(nodes.items[i].id != 0 && nodes.items[i].address[0] != '\0');
        }
    }
    if (ids_parse(cli, "members", text, &ids)) {
        CHECK(ids.count >= 1 && ids.count <= NODES_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[] = "confer-cli";
    char *text = malloc(size + 1);
    char *argv[COMMAND_LINE_MAX + 1] = {name};
    int argc = 1;
    struct cli cli = {.options = {.command = &cmd_init}};
    struct options options;

    CHECK(text != NULL);
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    for (char *next = text; next != NULL && argc < COMMAND_LINE_MAX; argc++) {
        argv[argc] = next;
        next = strchr(next, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
    }
    read_lists(&cli, argv[argc - 1]);
    if (options_parse(commands, argc, argv, &options) && options.command != NULL &&
        !options.wants_help && !options.wants_version) {
        CHECK(options.argument_count >= options.command->arguments_min);
        CHECK(options.argument_count <= options.command->arguments_max);
        (void)cli_init(&cli, &options);
    }
    free(text);
    return 0;
}

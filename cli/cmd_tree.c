#include "cli/cli.h"
#include "cli/commands.h"

#include <inttypes.h>
#include <string.h>

enum { PAGE_NODES = 10000 };

static size_t depth_of(const char *path)
{
    size_t depth = 0;

    for (; *path != '\0'; path++) {
        depth += *path == '/' && path[1] != '\0' ? 1 : 0;
    }
    return depth;
}

static void
print_indented(const struct confer_node *node, size_t top_depth, bool is_top, bool with_values)
{
    const char *slash = strrchr(node->path, '/');
    size_t depth = depth_of(node->path) - top_depth;

    (void)printf("%*s", (int)(2 * depth), "");
    print_text(stdout, is_top || slash == NULL ? node->path : slash + 1);
    if (node->hidden) {
        (void)fputs(" (not permitted)", stdout);
    }
    if (node->stat.ephemeral_owner != 0) {
        (void)fputs(" (ephemeral)", stdout);
    }
    if (with_values && node->stat.value_bytes > 0) {
        (void)fputs(" = ", stdout);
        print_value_line(stdout, node->value, node->value_bytes);
    }
    (void)fputc('\n', stdout);
}

static void print_json(const struct confer_node *node, bool is_first, bool with_values)
{
    (void)fputs(is_first ? "[{\"path\": " : ",\n {\"path\": ", stdout);
    print_json_text(stdout, node->path);
    if (node->hidden) {
        (void)fputs(", \"hidden\": true}", stdout);
        return;
    }
    if (with_values) {
        (void)fputs(", \"value\": ", stdout);
        print_json_value(stdout, node->value, node->value_bytes, node->value_is_null);
    }
    (void)fputs(", ", stdout);
    print_json_stat(stdout, &node->stat);
    (void)fputc('}', stdout);
}

static enum confer_status print_all(const struct cli *cli,
                                    struct confer_iterator *iterator,
                                    const char *top,
                                    bool with_values)
{
    const struct confer_node *node;
    enum confer_status status;
    size_t count = 0;

    while ((status = confer_next(iterator, &node)) == CONFER_OK) {
        if (cli->output == CLI_OUTPUT_JSON) {
            print_json(node, count == 0, with_values);
        } else if (cli->output == CLI_OUTPUT_RAW) {
            (void)puts(node->path);
        } else {
            print_indented(node, depth_of(top), count == 0, with_values);
        }
        count++;
    }
    if (status == CONFER_END && cli->output == CLI_OUTPUT_JSON) {
        (void)puts("]");
    }
    return status;
}

static int run(struct cli *cli)
{
    const char *path = cli_argument(cli, 0) == NULL ? "/" : cli_argument(cli, 0);
    bool with_values = cli_option(cli, "values") != NULL;
    struct confer_page page = {.count_max = PAGE_NODES, .with_values = with_values};
    struct confer_iterator *iterator = NULL;
    enum confer_status status;
    uint64_t depth;
    int code;

    if (!cli_number(cli, "depth", UINT32_MAX, 0, &depth)) {
        return EXIT_CODE_USAGE;
    }
    page.depth_max = (uint32_t)depth;
    code = cli_open(cli, NULL);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    cli_choose_level(cli);
    status = confer_tree_begin(cli->confer, path, &page, &cli->call, &iterator);
    if (status == CONFER_OK) {
        status = print_all(cli, iterator, path, with_values);
    }
    if (status != CONFER_END) {
        code = cli_fail(cli, status, iterator == NULL ? NULL : confer_iterator_message(iterator),
                        path);
    }
    confer_iterator_free(iterator);
    return cli_close(cli, code);
}

static const struct option options[] = {{"depth", 'L', "N", "at most N levels below PATH"},
                                        {"values", 'v', NULL, "with the values"},
                                        CLI_OPTION_LOCAL,
                                        {NULL, 0, NULL, NULL}};

const struct command cmd_tree = {
    .name = "tree",
    .arguments = "[PATH]",
    .arguments_max = 1,
    .summary = "show a node and everything below it",
    .help = "Without PATH from the root. -o raw gives full paths, one a line.\n"
            "\n"
            "  confer-cli tree /\n"
            "  confer-cli tree /app -L 2 --values\n"
            "  confer-cli tree /app -o raw | grep url\n",
    .options = options,
    .run = run};

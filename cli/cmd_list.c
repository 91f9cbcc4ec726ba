#include "cli/cli.h"
#include "cli/commands.h"

#include <inttypes.h>

enum { PAGE_NODES = 10000 };

static void print_plain(const struct cli *cli, const struct confer_node *node)
{
    if (cli->output == CLI_OUTPUT_RAW) {
        (void)fputs(node->name, stdout);
    } else {
        print_text(stdout, node->name);
    }
    (void)fputc('\n', stdout);
}

static void print_json(const struct confer_node *node, bool is_first, bool with_stats)
{
    (void)fputs(is_first ? "" : ", ", stdout);
    if (!with_stats) {
        print_json_text(stdout, node->name);
        return;
    }
    (void)fputs("{\"name\": ", stdout);
    print_json_text(stdout, node->name);
    (void)fputs(", ", stdout);
    print_json_stat(stdout, &node->stat);
    (void)fputc('}', stdout);
}

static void add_row(struct print_table *table, const struct confer_node *node)
{
    print_table_add(table, "%" PRId32, node->stat.version);
    print_table_add(table, "%" PRIu32, node->stat.value_bytes);
    print_table_add(table, "%" PRIu32, node->stat.child_count);
    print_table_add(table, "%" PRIu64, node->stat.mzxid);
    print_table_add(table, "%s", node->stat.ephemeral_owner != 0 ? "ephemeral" : "-");
    print_table_add(table, "%s", node->name);
}

/* The rows gathered so far; the next ones are aligned by themselves. */
static void start_table(struct print_table *table, bool with_heads)
{
    static const char *const heads[] = {"VERSION", "BYTES", "CHILDREN", "MZXID", "OWNER", "NAME"};

    print_table_init(table, sizeof heads / sizeof heads[0]);
    for (size_t i = 0; with_heads && i < sizeof heads / sizeof heads[0]; i++) {
        print_table_add(table, "%s", heads[i]);
    }
}

static enum confer_status
print_all(const struct cli *cli, struct confer_iterator *iterator, bool with_stats)
{
    const struct confer_node *node;
    struct print_table table;
    enum confer_status status;
    bool is_table = with_stats && cli->output == CLI_OUTPUT_TABLE;
    size_t count = 0;

    start_table(&table, is_table);
    while ((status = confer_next(iterator, &node)) == CONFER_OK) {
        if (cli->output == CLI_OUTPUT_JSON) {
            if (count == 0) {
                (void)fputc('[', stdout);
            }
            print_json(node, count == 0, with_stats);
        } else if (is_table) {
            add_row(&table, node);
            if (count % PAGE_NODES == PAGE_NODES - 1) {
                print_table_finish(&table, stdout);
                start_table(&table, false);
            }
        } else {
            print_plain(cli, node);
        }
        count++;
    }
    print_table_finish(&table, stdout);
    if (status == CONFER_END && cli->output == CLI_OUTPUT_JSON) {
        (void)puts(count == 0 ? "[]" : "]");
    }
    return status;
}

static int run(struct cli *cli)
{
    const char *path = cli_argument(cli, 0) == NULL ? "/" : cli_argument(cli, 0);
    bool with_stats = cli_option(cli, "long") != NULL;
    struct confer_page page = {.count_max = PAGE_NODES, .with_stats = with_stats};
    struct confer_iterator *iterator = NULL;
    enum confer_status status;
    int code = cli_open(cli, NULL);

    if (code != EXIT_CODE_OK) {
        return code;
    }
    cli_choose_level(cli);
    status = confer_list_begin(cli->confer, path, &page, &cli->call, &iterator);
    if (status == CONFER_OK) {
        status = print_all(cli, iterator, with_stats);
    }
    if (status != CONFER_END) {
        code = cli_fail(cli, status, iterator == NULL ? NULL : confer_iterator_message(iterator),
                        path);
    }
    confer_iterator_free(iterator);
    return cli_close(cli, code);
}

static const struct option options[] = {
    {"long", 'l', NULL, "with versions, sizes and number of children"},
    CLI_OPTION_LOCAL,
    {NULL, 0, NULL, NULL}};

const struct command cmd_list = {.name = "list",
                                 .short_name = "ls",
                                 .arguments = "[PATH]",
                                 .arguments_max = 1,
                                 .summary = "list the children of a node",
                                 .help =
                                     "One name a line, in order. Without PATH those of the root.\n"
                                     "\n"
                                     "  confer-cli list /app\n"
                                     "  confer-cli ls -l /app\n"
                                     "  confer-cli list -o json /app\n",
                                 .options = options,
                                 .run = run};
